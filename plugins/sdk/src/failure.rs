//! Why nothing came of a run.

use std::fmt;

/// What a plugin's functions return.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why a plugin could not do its work, which decides what the router does next.
///
/// `?` turns every [`std::error::Error`] into a permanent failure: the same event gives the same error again. Where
/// trying again can help, say so with [`Failure::retryable`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Run again later, on the endpoint's retry schedule.
    Retryable(String),
    /// This event can never be delivered: it goes to the dead letters.
    Permanent(String),
}

impl Failure {
    /// Asks for another run later, with a reason for the event's timeline.
    pub fn retryable(reason: impl Into<String>) -> Self {
        Self::Retryable(reason.into())
    }

    /// Gives the event up, with a reason for its timeline.
    pub fn permanent(reason: impl Into<String>) -> Self {
        Self::Permanent(reason.into())
    }

    /// The reason.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Retryable(reason) | Self::Permanent(reason) => reason,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.reason())
    }
}

// `Failure` itself is no `Error`, which is what makes this conversion possible (as in `anyhow`).
impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Permanent(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_permanent() {
        let parse = || -> Result<u8> { Ok("300".parse::<u8>()?) };
        assert_eq!(parse(), Err(Failure::permanent("number too large to fit in target type")));
    }
}
