//! WASI 0.2, inertly: what the runtimes of languages call when they start has an answer that is the same each time.
//!
//! No environment and no arguments, no files, clocks that stand at the run's present, chance that repeats. Standard
//! output and error go to the run's log, standard input is at its end, and nothing makes a plugin wait. The texts are
//! in `wit/wasi.wit`; what is not in them is refused by `link`.

use hookmill_core::plugin::LogLevel;
use wasmtime::component::Resource;

use super::{
    DescriptorHandle, ErrorHandle, InputHandle, OutputHandle, PollableHandle, RunState, TerminalHandle,
};
use crate::bindings::wasi::cli::{
    environment, exit, stderr, stdin, stdout, terminal_input, terminal_output, terminal_stderr,
    terminal_stdin, terminal_stdout,
};
use crate::bindings::wasi::clocks::{monotonic_clock, wall_clock};
use crate::bindings::wasi::filesystem::{preopens, types};
use crate::bindings::wasi::io::{error, poll, streams};
use crate::bindings::wasi::random::{insecure, insecure_seed, random};
use crate::fault::Breach;
use crate::limits::{LOG_LINE_BYTES_MAX, RANDOM_BYTES_MAX};
use crate::run_log::RunLog;

/// Numbers of the handles of output streams.
const STDOUT: u32 = 0;
const STDERR: u32 = 1;
/// Handles of what there is only one of, or whose number says nothing.
const ONLY: u32 = 0;
/// What a stream says that it takes at once, which WASI's own functions take at most.
const WRITE_BYTES: u64 = 4096;
const NANOS_PER_MILLI: u64 = 1_000_000;

/// Lines of standard output and standard error that have not ended yet.
#[derive(Default)]
pub(super) struct Output {
    lines: [Vec<u8>; 2],
}

impl Output {
    /// Logs each whole line; a line that is too long for the log is cut there, so its end need not be kept.
    fn write(&mut self, stream: u32, bytes: &[u8], log: &mut RunLog) {
        let Some(line) = self.lines.get_mut(stream as usize) else { return };
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                Some(_) | None => (piece, false),
            };
            let room = (LOG_LINE_BYTES_MAX + 1).saturating_sub(line.len());
            line.extend_from_slice(&text[..text.len().min(room)]);
            if ended {
                log.write(level(stream), &String::from_utf8_lossy(line));
                line.clear();
            }
        }
    }

    /// Logs what has no line's end.
    pub(super) fn finish(&mut self, log: &mut RunLog) {
        for stream in [STDOUT, STDERR] {
            if !self.lines[stream as usize].is_empty() {
                self.write(stream, b"\n", log);
            }
        }
    }
}

fn level(stream: u32) -> LogLevel {
    if stream == STDERR { LogLevel::Warn } else { LogLevel::Info }
}

impl environment::Host for RunState {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        self.enter(0)?;
        Ok(Vec::new())
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        self.enter(0)?;
        Ok(Vec::new())
    }

    fn initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        self.enter(0)?;
        Ok(None)
    }
}

impl exit::Host for RunState {
    fn exit(&mut self, status: Result<(), ()>) -> wasmtime::Result<()> {
        Err(Breach::Exit { status: u8::from(status.is_err()) }.into())
    }

    fn exit_with_code(&mut self, status: u8) -> wasmtime::Result<()> {
        Err(Breach::Exit { status }.into())
    }
}

impl stdin::Host for RunState {
    fn get_stdin(&mut self) -> wasmtime::Result<Resource<InputHandle>> {
        self.enter(0)?;
        Ok(Resource::new_own(ONLY))
    }
}

impl stdout::Host for RunState {
    fn get_stdout(&mut self) -> wasmtime::Result<Resource<OutputHandle>> {
        self.enter(0)?;
        Ok(Resource::new_own(STDOUT))
    }
}

impl stderr::Host for RunState {
    fn get_stderr(&mut self) -> wasmtime::Result<Resource<OutputHandle>> {
        self.enter(0)?;
        Ok(Resource::new_own(STDERR))
    }
}

impl terminal_stdin::Host for RunState {
    fn get_terminal_stdin(&mut self) -> wasmtime::Result<Option<Resource<TerminalHandle>>> {
        self.enter(0)?;
        Ok(None)
    }
}

impl terminal_stdout::Host for RunState {
    fn get_terminal_stdout(&mut self) -> wasmtime::Result<Option<Resource<TerminalHandle>>> {
        self.enter(0)?;
        Ok(None)
    }
}

impl terminal_stderr::Host for RunState {
    fn get_terminal_stderr(&mut self) -> wasmtime::Result<Option<Resource<TerminalHandle>>> {
        self.enter(0)?;
        Ok(None)
    }
}

impl terminal_input::Host for RunState {}

impl terminal_input::HostTerminalInput for RunState {
    fn drop(&mut self, _: Resource<TerminalHandle>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl terminal_output::Host for RunState {}

impl terminal_output::HostTerminalOutput for RunState {
    fn drop(&mut self, _: Resource<TerminalHandle>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl wall_clock::Host for RunState {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        self.enter(0)?;
        let (seconds, millis) = (self.now.0 / 1000, self.now.0 % 1000);
        let nanoseconds = u32::try_from(millis * NANOS_PER_MILLI).expect("less than a second");
        Ok(wall_clock::Datetime { seconds, nanoseconds })
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        self.enter(0)?;
        Ok(wall_clock::Datetime { seconds: 0, nanoseconds: 1_000_000 })
    }
}

impl monotonic_clock::Host for RunState {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.enter(0)?;
        Ok(self.now.0.saturating_mul(NANOS_PER_MILLI))
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        self.enter(0)?;
        Ok(NANOS_PER_MILLI)
    }

    fn subscribe_instant(&mut self, _: u64) -> wasmtime::Result<Resource<PollableHandle>> {
        self.enter(0)?;
        Ok(Resource::new_own(ONLY))
    }

    fn subscribe_duration(&mut self, _: u64) -> wasmtime::Result<Resource<PollableHandle>> {
        self.enter(0)?;
        Ok(Resource::new_own(ONLY))
    }
}

impl types::Host for RunState {}

impl types::HostDescriptor for RunState {
    fn drop(&mut self, _: Resource<DescriptorHandle>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl preopens::Host for RunState {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<DescriptorHandle>, String)>> {
        self.enter(0)?;
        Ok(Vec::new())
    }
}

impl RunState {
    fn random_bytes(&mut self, count: u64) -> wasmtime::Result<Vec<u8>> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > RANDOM_BYTES_MAX {
            return Err(Breach::RandomBytes { max: RANDOM_BYTES_MAX }.into());
        }
        self.enter(0)?;
        self.charge_read(count);
        Ok(self.random().bytes(count))
    }

    fn random_number(&mut self) -> wasmtime::Result<u64> {
        self.enter(0)?;
        Ok(self.random().next())
    }
}

impl random::Host for RunState {
    fn get_random_bytes(&mut self, count: u64) -> wasmtime::Result<Vec<u8>> {
        self.random_bytes(count)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.random_number()
    }
}

impl insecure::Host for RunState {
    fn get_insecure_random_bytes(&mut self, count: u64) -> wasmtime::Result<Vec<u8>> {
        self.random_bytes(count)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.random_number()
    }
}

impl insecure_seed::Host for RunState {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((self.random_number()?, self.random_number()?))
    }
}

impl error::Host for RunState {}

impl error::HostError for RunState {
    fn to_debug_string(&mut self, _: Resource<ErrorHandle>) -> wasmtime::Result<String> {
        self.enter(0)?;
        Ok(String::new())
    }

    fn drop(&mut self, _: Resource<ErrorHandle>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl poll::Host for RunState {
    /// All are ready, always.
    fn poll(&mut self, pollables: Vec<Resource<PollableHandle>>) -> wasmtime::Result<Vec<u32>> {
        self.enter(4 * pollables.len())?;
        Ok((0..).take(pollables.len()).collect())
    }
}

impl poll::HostPollable for RunState {
    fn ready(&mut self, _: Resource<PollableHandle>) -> wasmtime::Result<bool> {
        self.enter(0)?;
        Ok(true)
    }

    fn block(&mut self, _: Resource<PollableHandle>) -> wasmtime::Result<()> {
        self.enter(0)
    }

    fn drop(&mut self, _: Resource<PollableHandle>) -> wasmtime::Result<()> {
        Ok(())
    }
}

type Stream<T> = wasmtime::Result<Result<T, streams::StreamError>>;

impl RunState {
    fn closed<T>(&mut self) -> Stream<T> {
        self.enter(0)?;
        Ok(Err(streams::StreamError::Closed))
    }

    fn written(&mut self) -> Stream<()> {
        self.enter(0)?;
        Ok(Ok(()))
    }

    fn subscription(&mut self) -> wasmtime::Result<Resource<PollableHandle>> {
        self.enter(0)?;
        Ok(Resource::new_own(ONLY))
    }
}

impl streams::Host for RunState {}

impl streams::HostInputStream for RunState {
    fn read(&mut self, _: Resource<InputHandle>, _: u64) -> Stream<Vec<u8>> {
        self.closed()
    }

    fn blocking_read(&mut self, _: Resource<InputHandle>, _: u64) -> Stream<Vec<u8>> {
        self.closed()
    }

    fn skip(&mut self, _: Resource<InputHandle>, _: u64) -> Stream<u64> {
        self.closed()
    }

    fn blocking_skip(&mut self, _: Resource<InputHandle>, _: u64) -> Stream<u64> {
        self.closed()
    }

    fn subscribe(&mut self, _: Resource<InputHandle>) -> wasmtime::Result<Resource<PollableHandle>> {
        self.subscription()
    }

    fn drop(&mut self, _: Resource<InputHandle>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl streams::HostOutputStream for RunState {
    fn check_write(&mut self, _: Resource<OutputHandle>) -> Stream<u64> {
        self.enter(0)?;
        Ok(Ok(WRITE_BYTES))
    }

    fn write(&mut self, stream: Resource<OutputHandle>, contents: Vec<u8>) -> Stream<()> {
        self.enter(contents.len())?;
        self.output.write(stream.rep(), &contents, &mut self.log);
        Ok(Ok(()))
    }

    fn blocking_write_and_flush(&mut self, stream: Resource<OutputHandle>, contents: Vec<u8>) -> Stream<()> {
        self.write(stream, contents)
    }

    fn flush(&mut self, _: Resource<OutputHandle>) -> Stream<()> {
        self.written()
    }

    fn blocking_flush(&mut self, _: Resource<OutputHandle>) -> Stream<()> {
        self.written()
    }

    fn subscribe(&mut self, _: Resource<OutputHandle>) -> wasmtime::Result<Resource<PollableHandle>> {
        self.subscription()
    }

    fn write_zeroes(&mut self, _: Resource<OutputHandle>, _: u64) -> Stream<()> {
        self.written()
    }

    fn blocking_write_zeroes_and_flush(&mut self, _: Resource<OutputHandle>, _: u64) -> Stream<()> {
        self.written()
    }

    fn splice(&mut self, _: Resource<OutputHandle>, _: Resource<InputHandle>, _: u64) -> Stream<u64> {
        self.closed()
    }

    fn blocking_splice(
        &mut self,
        _: Resource<OutputHandle>,
        _: Resource<InputHandle>,
        _: u64,
    ) -> Stream<u64> {
        self.closed()
    }

    fn drop(&mut self, _: Resource<OutputHandle>) -> wasmtime::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_becomes_lines_of_the_log() {
        let (mut output, mut log) = (Output::default(), RunLog::default());
        output.write(STDOUT, b"one\ntw", &mut log);
        output.write(STDERR, b"oops \xff\n\n", &mut log);
        output.write(STDOUT, b"o\nrest", &mut log);
        output.write(STDOUT, &[b'x'; 2 * LOG_LINE_BYTES_MAX], &mut log);
        output.finish(&mut log);
        let lines: Vec<_> = log.into_lines().into_iter().map(|line| (line.level, line.message)).collect();
        let text = |level, text: &str| (level, text.to_owned());
        assert_eq!(lines[0], text(LogLevel::Info, "one"));
        assert_eq!(lines[1], text(LogLevel::Warn, "oops \u{fffd}"));
        assert_eq!(lines[2], text(LogLevel::Warn, ""));
        assert_eq!(lines[3], text(LogLevel::Info, "two"));
        assert!(lines[4].1.starts_with("restxxx") && lines[4].1.len() == LOG_LINE_BYTES_MAX);
        assert_eq!(lines.len(), 5);
    }
}
