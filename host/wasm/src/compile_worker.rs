//! The compiler in a process of its own.
//!
//! A compiler that strangers feed can take minutes, gigabytes or a wrong turn. In a child process of the same program,
//! with limits of its own, all of these end as a refused upload; and what the compiler allocated goes back to the
//! system with the process.
//!
//! The parent writes a [`Job`] and the upload to the child's standard input; the child answers on its standard output
//! with a length, a [`Verdict`], and the artefact. An answer that is cut short is a child that died. The child has no
//! environment, no other descriptor, and nothing to read: it is given bytes and gives bytes.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use hookmill_core::port::plugins::PluginRejected;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, nice, setrlimit};
use serde::{Deserialize, Serialize};
use wasmtime::Engine;

use crate::artefact::TrustedArtefact;
use crate::compile::Compiler;
use crate::engine::{self, Layout};
use crate::limits::{
    ARTEFACT_BYTES_MAX, COMPILE_ADDRESS_BYTES_MAX, COMPILE_CPU_MAX, COMPILE_STACK_BYTES, RunLimits,
};
use crate::structure::{self, rejected};

/// The program that a compile worker is: the router's own, with the arguments that lead to [`serve_compile_job`].
#[derive(Debug, Clone)]
pub struct CompileWorker {
    /// Usually `/proc/self/exe`, which stays the same program while a new one is installed over it.
    pub program: PathBuf,
    /// What makes it a compile worker.
    pub arguments: Vec<OsString>,
    /// After so long a worker is killed.
    pub wall_max: Duration,
}

/// What a worker is told before the upload.
#[derive(Debug, Serialize, Deserialize)]
struct Job {
    /// Code is made for the parent's memory layout.
    layout: Layout,
    memory_bytes: usize,
}

/// What a worker answers before the artefact.
#[derive(Debug, Serialize, Deserialize)]
enum Verdict {
    Compiled { artefact_bytes: usize },
    Rejected { code: String, message: String },
}

/// Bytes of a serialised [`Verdict`].
const VERDICT_BYTES_MAX: u64 = 64 << 10;
/// Codes that a worker can give; they are those of [`Compiler::compile`].
const CODES: [&str; 7] = [
    "plugin_invalid",
    "plugin_malformed",
    "plugin_not_component",
    "plugin_not_wasm",
    "plugin_structure_limit",
    "plugin_too_large",
    "plugin_compiler_failed",
];

impl CompileWorker {
    /// Compiles an upload in a new process.
    pub(crate) fn compile(
        &self,
        layout: Layout,
        limits: &RunLimits,
        upload: &[u8],
    ) -> Result<TrustedArtefact, PluginRejected> {
        // What is wrong at first sight costs no process.
        structure::check(upload, limits.memory_bytes)?;
        let job = serde_json::to_vec(&Job { layout, memory_bytes: limits.memory_bytes })
            .expect("a job can be written as JSON");
        let mut child = self.start().map_err(|error| {
            tracing::error!(%error, program = %self.program.display(), "compile worker does not start");
            failed("the compiler's process does not start".to_owned())
        })?;
        let answer = self.converse(&mut child, &job, upload);
        let ended = child.wait();
        match answer {
            Ok(Ok(artefact)) => Ok(TrustedArtefact::just_compiled(artefact)),
            Ok(Err(rejection)) => Err(rejection),
            Err(error) => {
                let status = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
                tracing::warn!(%error, status, "compile worker died");
                Err(failed(format!(
                    "the compiler ended early ({status}): a plugin may take {} s of its time, {} s in all, and {} MiB",
                    COMPILE_CPU_MAX.as_secs(),
                    self.wall_max.as_secs(),
                    COMPILE_ADDRESS_BYTES_MAX >> 20,
                )))
            }
        }
    }

    fn start(&self) -> io::Result<Child> {
        Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
    }

    /// Writes and reads at once, since neither side waits for the other, while a third thread keeps the time.
    fn converse(
        &self,
        child: &mut Child,
        job: &[u8],
        upload: &[u8],
    ) -> io::Result<Result<Vec<u8>, PluginRejected>> {
        let mut input = child.stdin.take().expect("standard input is piped");
        let mut output = child.stdout.take().expect("standard output is piped");
        let pid = Pid::from_child(child);
        let (done, is_done) = mpsc::channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || {
                // A worker that does not listen is noticed where its answer is read.
                let _ = write_block(&mut input, job).and_then(|()| input.write_all(upload));
            });
            scope.spawn(move || {
                if let Err(RecvTimeoutError::Timeout) = is_done.recv_timeout(self.wall_max) {
                    // Not yet waited for, so the number is still this child's.
                    let _ = kill_process(pid, Signal::KILL);
                }
            });
            let answer = read_answer(&mut output);
            // Whoever has answered has nothing left to do, and whoever has not is not waited for.
            let _ = kill_process(pid, Signal::KILL);
            drop(done);
            answer
        })
    }
}

/// Does one job of a parent's [`CompileWorker`] over standard input and output, within limits that it sets itself.
///
/// # Errors
/// When the parent is gone or talks nonsense.
pub fn serve_compile_job() -> io::Result<()> {
    restrict()?;
    let mut input = io::stdin().lock();
    let job: Job = serde_json::from_slice(&read_block(&mut input, VERDICT_BYTES_MAX)?)?;
    let mut upload = Vec::new();
    input.read_to_end(&mut upload)?;
    let (verdict, artefact) = match compile_apart(&job, &upload) {
        Ok(artefact) => (Verdict::Compiled { artefact_bytes: artefact.as_bytes().len() }, Some(artefact)),
        Err(PluginRejected { code, message }) => (Verdict::Rejected { code: code.to_owned(), message }, None),
    };
    let mut output = io::stdout().lock();
    write_block(&mut output, &serde_json::to_vec(&verdict)?)?;
    if let Some(artefact) = artefact {
        output.write_all(artefact.as_bytes())?;
    }
    output.flush()
}

/// Takes what a compiler needs and gives the rest up.
fn restrict() -> io::Result<()> {
    close_inherited();
    lower(Resource::Cpu, COMPILE_CPU_MAX.as_secs())?;
    lower(Resource::As, COMPILE_ADDRESS_BYTES_MAX)?;
    lower(Resource::Core, 0)?;
    lower(Resource::Fsize, 0)?;
    lower(Resource::Nofile, 3)?;
    nice(19)?;
    Ok(())
}

/// Sets a limit, unless the system has set a lower one already.
fn lower(resource: Resource, maximum: u64) -> io::Result<()> {
    let maximum = getrlimit(resource).maximum.map_or(maximum, |inherited| inherited.min(maximum));
    Ok(setrlimit(resource, Rlimit { current: Some(maximum), maximum: Some(maximum) })?)
}

/// Closes what the parent, or whoever started it, left open for its children. The router's own descriptors close
/// themselves; where a kernel before 5.9 does not have the call, there is nothing else to close.
#[expect(unsafe_code, reason = "descriptors that nobody in this process has opened have no safe handle")]
fn close_inherited() {
    // SAFETY: a worker's process has just begun, and nothing in it owns a descriptor but the three standard ones.
    let _ = unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
}

/// On a thread with room: compilers recurse along what they compile.
fn compile_apart(job: &Job, upload: &[u8]) -> Result<TrustedArtefact, PluginRejected> {
    let limits = RunLimits { memory_bytes: job.memory_bytes, ..RunLimits::default() };
    let engine = Engine::new(&engine::compile_config(job.layout, &limits))
        .map_err(|error| failed(format!("the compiler does not start: {error:#}")))?;
    let compiler = Compiler::new(engine, limits.memory_bytes);
    let compiling = thread::Builder::new().stack_size(COMPILE_STACK_BYTES);
    thread::scope(|scope| {
        let thread = compiling.spawn_scoped(scope, || compiler.compile(upload));
        let gave_up = || failed("the compiler gave up on the plugin".to_owned());
        thread.map_err(|_| gave_up())?.join().unwrap_or_else(|_| Err(gave_up()))
    })
}

fn read_answer(output: &mut impl Read) -> io::Result<Result<Vec<u8>, PluginRejected>> {
    match serde_json::from_slice(&read_block(output, VERDICT_BYTES_MAX)?)? {
        Verdict::Compiled { artefact_bytes } if artefact_bytes <= ARTEFACT_BYTES_MAX => {
            let mut artefact = vec![0; artefact_bytes];
            output.read_exact(&mut artefact)?;
            Ok(Ok(artefact))
        }
        Verdict::Compiled { artefact_bytes } => {
            Err(io::Error::other(format!("an artefact of {artefact_bytes} bytes")))
        }
        Verdict::Rejected { code, message } => {
            let code = CODES.into_iter().find(|known| *known == code).unwrap_or("plugin_invalid");
            Ok(Err(rejected(code, message)))
        }
    }
}

/// Writes a length and so many bytes.
fn write_block(output: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    output.write_all(&(bytes.len() as u64).to_le_bytes())?;
    output.write_all(bytes)
}

fn read_block(input: &mut impl Read, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut length = [0; 8];
    input.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > bytes_max {
        return Err(io::Error::other(format!("a block of {length} bytes, at most {bytes_max} are read")));
    }
    let mut block = Vec::new();
    input.take(length).read_to_end(&mut block)?;
    if (block.len() as u64) < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(block)
}

fn failed(message: String) -> PluginRejected {
    rejected("plugin_compiler_failed", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile_with(program: &str, arguments: &[&str]) -> PluginRejected {
        let worker = CompileWorker {
            program: program.into(),
            arguments: arguments.iter().map(OsString::from).collect(),
            wall_max: Duration::from_millis(50),
        };
        let component = wat::parse_str("(component)").unwrap();
        match worker.compile(Layout::OnDemand, &RunLimits::default(), &component) {
            Ok(_) => panic!("{program} is no compiler"),
            Err(rejection) => rejection,
        }
    }

    #[test]
    fn a_worker_that_dies_hangs_or_babbles_refuses_the_upload() {
        let check = |program: &str, arguments: &[&str]| {
            let rejection = compile_with(program, arguments);
            assert_eq!(rejection.code, "plugin_compiler_failed", "{rejection}");
        };
        check("/nowhere/at/all", &[]);
        check("/bin/false", &[]);
        check("/bin/sleep", &["1000"]);
        check("/bin/cat", &[]);
        check("/bin/sh", &["-c", "head -c 100 /dev/zero"]);
        check("/bin/sh", &["-c", "cat /dev/zero"]);
    }

    #[test]
    fn what_is_wrong_at_first_sight_costs_no_process() {
        let worker = CompileWorker {
            program: "/nowhere/at/all".into(),
            arguments: Vec::new(),
            wall_max: Duration::from_secs(1),
        };
        let refused = worker.compile(Layout::OnDemand, &RunLimits::default(), b"not wasm");
        assert_eq!(refused.map(|_| ()).unwrap_err().code, "plugin_not_wasm");
    }

    #[test]
    fn an_artefact_of_the_compile_configuration_fits_the_routers_engine() {
        let limits = RunLimits::default();
        for layout in [Layout::Reserved, Layout::Compact, Layout::OnDemand] {
            let job = Job { layout, memory_bytes: limits.memory_bytes };
            let component =
                wat::parse_str("(component (core module (memory 1) (func (drop (i32.load (i32.const 0))))))");
            compile_apart(&job, &component.unwrap()).map(|_| ()).unwrap();
            let compiling = Engine::new(&engine::compile_config(layout, &limits)).unwrap();
            let running = engine::build_layout(layout, 2, &limits, false).unwrap();
            assert_eq!(
                engine::compatibility_hash(&compiling),
                engine::compatibility_hash(&running),
                "{layout:?}"
            );
        }
    }
}
