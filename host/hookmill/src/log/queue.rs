//! Lines on their way to standard error.
//!
//! `tracing-appender` does nearly this. It bounds its queue in lines, of which a stranger can make large ones, and it does
//! not say in the log that some are missing.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use super::LogFormat;

/// Bytes of lines that wait to be written.
const QUEUE_BYTES_MAX: usize = 1 << 20;
/// Bytes of one line.
const LINE_BYTES_MAX: usize = 8 << 10;

static QUEUE: Queue = Queue::new();
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Lines that were dropped since this was last asked.
pub(super) fn take_dropped() -> u64 {
    DROPPED.swap(0, Ordering::Relaxed)
}

/// Waits until all lines are written, but not long.
pub(crate) fn flush(wait: Duration) {
    let lines = QUEUE.lock();
    // Whether they were, nobody is left to be told.
    let _ =
        QUEUE.written.wait_timeout_while(lines, wait, |lines| lines.is_writing || !lines.waiting.is_empty());
}

/// Takes lines, and never waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct LineWriter {
    format: LogFormat,
}

#[derive(Debug)]
struct Queue {
    lines: Mutex<Lines>,
    came: Condvar,
    written: Condvar,
}

#[derive(Debug)]
struct Lines {
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Since a line was written last.
    dropped: u64,
    is_writing: bool,
}

impl LineWriter {
    /// Starts the thread that writes. Called once a process.
    pub(super) fn start(format: LogFormat) -> Self {
        let thread = std::thread::Builder::new().name("log".into());
        if let Err(error) = thread.spawn(|| QUEUE.write_all(&mut io::stderr())) {
            let _ = writeln!(io::stderr(), "no log: its thread can't be started: {error}");
        }
        Self { format }
    }
}

impl Write for LineWriter {
    /// Takes one whole line, as the layer that formats them gives it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if line.len() > LINE_BYTES_MAX {
            QUEUE.push(shortened(line, self.format));
        } else {
            QUEUE.push(line.to_vec());
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LineWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

impl Queue {
    const fn new() -> Self {
        let lines = Lines { waiting: VecDeque::new(), bytes: 0, dropped: 0, is_writing: false };
        Self { lines: Mutex::new(lines), came: Condvar::new(), written: Condvar::new() }
    }

    fn push(&self, line: Vec<u8>) {
        let mut lines = self.lock();
        if lines.bytes + line.len() > QUEUE_BYTES_MAX {
            lines.dropped += 1;
            DROPPED.fetch_add(1, Ordering::Relaxed);
            return;
        }
        lines.bytes += line.len();
        lines.waiting.push_back(line);
        self.came.notify_one();
    }

    /// Writes lines as they come, for as long as the process runs.
    fn write_all(&self, to: &mut impl Write) {
        loop {
            self.write_some(to);
        }
    }

    /// Waits for lines and writes what is there.
    fn write_some(&self, to: &mut impl Write) {
        let mut lines = self.lock();
        while lines.waiting.is_empty() {
            lines = self.came.wait(lines).unwrap_or_else(PoisonError::into_inner);
        }
        lines.is_writing = true;
        while let Some(line) = lines.waiting.pop_front() {
            lines.bytes -= line.len();
            drop(lines);
            // A closed standard error takes nothing, and says so at once.
            let written = to.write_all(&line);
            lines = self.lock();
            let dropped = std::mem::take(&mut lines.dropped);
            if written.is_ok() && dropped > 0 {
                drop(lines);
                tracing::warn!(dropped, "log lines were dropped, since nobody read standard error");
                lines = self.lock();
            }
        }
        lines.is_writing = false;
        drop(lines);
        self.written.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The beginning of a line that is too long, as a line of its format.
fn shortened(line: &[u8], format: LogFormat) -> Vec<u8> {
    // Quoted in JSON it takes up to twice the place.
    let begun = String::from_utf8_lossy(&line[..LINE_BYTES_MAX / 4]).into_owned();
    let bytes = line.len();
    let mut text = match format {
        LogFormat::Text => format!("{}... (cut, {bytes} bytes)", begun.trim_end()),
        LogFormat::Json => {
            serde_json::json!({ "level": "WARN", "message": "a log line was cut", "bytes": bytes, "line": begun })
                .to_string()
        }
    };
    text.push('\n');
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_in_order_and_bounded_while_they_wait() {
        let queue = Queue::new();
        let line = |number: usize| format!("{number:0>1023}\n").into_bytes();
        for number in 0..2000 {
            queue.push(line(number));
        }
        let (waiting, dropped) = {
            let lines = queue.lock();
            assert!(lines.bytes <= QUEUE_BYTES_MAX);
            (lines.waiting.len(), lines.dropped)
        };
        assert_eq!((waiting, dropped), (1024, 976));
        let mut written = Vec::new();
        queue.write_some(&mut written);
        assert_eq!(written, (0..1024).flat_map(line).collect::<Vec<_>>());
        let lines = queue.lock();
        assert_eq!((lines.bytes, lines.dropped, lines.is_writing), (0, 0, false));
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_stays_a_line() {
        let long = format!("{{\"path\":\"{}\"}}\n", "\u{1}ü".repeat(20_000));
        let json = shortened(long.as_bytes(), LogFormat::Json);
        assert!(json.len() <= 2 * LINE_BYTES_MAX && json.ends_with(b"\n"), "{} bytes", json.len());
        let read: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(read["bytes"], long.len());
        let text = shortened(long.as_bytes(), LogFormat::Text);
        assert!(text.len() <= LINE_BYTES_MAX && text.iter().filter(|byte| **byte == b'\n').count() == 1);
    }
}
