//! Notes for the event's timeline.

use crate::host;

/// How loud a note is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// For the plugin's author.
    Debug,
    /// For the router's operator.
    Info,
    /// Something is odd.
    Warn,
    /// Something failed.
    Error,
}

/// Writes one line; [`debug!`](crate::debug), [`info!`](crate::info), [`warn!`](crate::warn) and
/// [`error!`](crate::error) are shorter. The router escapes control characters, cuts long lines, and of many lines
/// keeps the last.
pub fn write(level: Level, message: &str) {
    host::log(level, message);
}

/// Writes a line for the plugin's author. Takes what [`format!`] takes.
#[macro_export]
macro_rules! debug {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Debug, &::std::format!($($message)+)) };
}

/// Writes a line for the router's operator. Takes what [`format!`] takes.
#[macro_export]
macro_rules! info {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Info, &::std::format!($($message)+)) };
}

/// Writes a line about something odd. Takes what [`format!`] takes.
#[macro_export]
macro_rules! warn {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Warn, &::std::format!($($message)+)) };
}

/// Writes a line about something that failed. Takes what [`format!`] takes.
#[macro_export]
macro_rules! error {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Error, &::std::format!($($message)+)) };
}
