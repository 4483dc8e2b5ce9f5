//! What each [`Behaviour`] does with a connection.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::wire::Wire;
use super::{Answer, Behaviour, Shared, Then};

/// Between two bytes of a receiver that drips.
const DRIP_INTERVAL: Duration = Duration::from_millis(10);
/// The body that is promised and not kept.
const PROMISED_BYTES: usize = 1000;

/// Serves one connection until its end.
pub(super) async fn run(stream: TcpStream, number: usize, shared: &Shared) -> io::Result<()> {
    let mut wire = Wire::new(stream, number);
    match &shared.behaviour {
        Behaviour::Answers(_) | Behaviour::Chooses(_) => answer_all(&mut wire, shared).await,
        Behaviour::Gated(gate) => {
            while take_request(&mut wire, shared).await? {
                gate.pass().await;
                wire.write_answer(&Answer::status(200)).await?;
            }
            Ok(())
        }
        Behaviour::NeverAnswers => {
            while take_request(&mut wire, shared).await? {}
            Ok(())
        }
        Behaviour::NeverReads => std::future::pending().await,
        Behaviour::DripsHead => {
            take_request(&mut wire, shared).await?;
            say(&mut wire, "HTTP/1.1 200 OK\r\nx-drip: ").await?;
            drip(&mut wire).await
        }
        Behaviour::DripsBody => {
            take_request(&mut wire, shared).await?;
            say(&mut wire, "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").await?;
            drip(&mut wire).await
        }
        Behaviour::EndlessHead => {
            take_request(&mut wire, shared).await?;
            say(&mut wire, "HTTP/1.1 200 OK\r\n").await?;
            pour(&mut wire, format!("x-endless: {}\r\n", "a".repeat(500))).await
        }
        Behaviour::EndlessBody => {
            take_request(&mut wire, shared).await?;
            // Without a length, the body ends with the connection (RFC 9112 section 6.3).
            say(&mut wire, "HTTP/1.1 200 OK\r\n\r\n").await?;
            pour(&mut wire, "endless ".repeat(1000)).await
        }
        Behaviour::InformationalFlood => {
            take_request(&mut wire, shared).await?;
            pour(&mut wire, "HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n".repeat(50)).await
        }
        Behaviour::ResetsOnAccept => reset_at_close(&wire),
        Behaviour::ResetsMidBody => {
            half_answer(&mut wire, shared).await?;
            reset_at_close(&wire)
        }
        Behaviour::ClosesMidBody => half_answer(&mut wire, shared).await,
        Behaviour::ClosesUnanswered => take_request(&mut wire, shared).await.map(|_| ()),
        Behaviour::Says(bytes) => {
            take_request(&mut wire, shared).await?;
            wire.stream.write_all(bytes).await?;
            wire.stream.shutdown().await
        }
    }
}

async fn answer_all(wire: &mut Wire, shared: &Shared) -> io::Result<()> {
    while let Some(request) = wire.read_request().await? {
        let answer = shared.next_answer(&request);
        shared.journal.record(request);
        wire.write_answer(&answer).await?;
        match answer.then {
            Then::KeepAlive => {}
            Then::Close => return wire.stream.shutdown().await,
        }
    }
    Ok(())
}

/// Reads and records one request; `false` when the client closed instead.
async fn take_request(wire: &mut Wire, shared: &Shared) -> io::Result<bool> {
    let Some(request) = wire.read_request().await? else { return Ok(false) };
    shared.journal.record(request);
    Ok(true)
}

async fn say(wire: &mut Wire, text: &str) -> io::Result<()> {
    wire.stream.write_all(text.as_bytes()).await
}

async fn drip(wire: &mut Wire) -> io::Result<()> {
    let mut interval = tokio::time::interval(DRIP_INTERVAL);
    loop {
        interval.tick().await;
        wire.stream.write_all(b"d").await?;
    }
}

async fn pour(wire: &mut Wire, text: impl Into<Bytes>) -> io::Result<()> {
    let bytes = text.into();
    loop {
        wire.stream.write_all(&bytes).await?;
    }
}

async fn half_answer(wire: &mut Wire, shared: &Shared) -> io::Result<()> {
    take_request(wire, shared).await?;
    say(wire, &format!("HTTP/1.1 200 OK\r\ncontent-length: {PROMISED_BYTES}\r\n\r\n")).await?;
    say(wire, &"h".repeat(PROMISED_BYTES / 2)).await
}

/// Makes the close a reset: a socket that may not linger throws away what waits.
fn reset_at_close(wire: &Wire) -> io::Result<()> {
    wire.stream.set_zero_linger()
}
