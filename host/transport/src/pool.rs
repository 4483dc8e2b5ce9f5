//! Open connections, kept for the next request to the same origin.
//!
//! An HTTP/1 connection is either here and idle, or with the one request that took it. An HTTP/2 connection stays
//! here and gives out streams. Everything ends by [`IDLE_TIMEOUT`] and [`CONNECTION_AGE_MAX`], so what the guard
//! once allowed holds for that long. The key is scheme, host and port; the policy is one for all.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use crate::http1::Http1;
use crate::http2::{Http2, Stream2};
use crate::limits::{CONNECTION_AGE_MAX, IDLE_MAX, IDLE_PER_ORIGIN_MAX, IDLE_TIMEOUT};

/// Open connections by origin, such as `https://example.com:8443`.
pub(crate) struct Pool {
    state: Mutex<State>,
}

/// How many connections are kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Idle ones of one origin.
    pub(crate) per_origin: usize,
    /// All.
    pub(crate) total: usize,
}

/// A connection that a request can go out on.
pub(crate) enum Line {
    /// All of one.
    Http1(Box<Http1>),
    /// One of its streams.
    Http2(Stream2),
}

struct State {
    bounds: Bounds,
    origins: HashMap<Box<str>, Origin>,
    /// Connections of all origins.
    count: usize,
}

/// The connections of one origin; perhaps none until the next sweep.
#[derive(Default)]
struct Origin {
    /// The one used last is taken first, so that those that are too many grow old.
    idle: Vec<Idle>,
    shared: Vec<Shared>,
}

struct Idle {
    connection: Box<Http1>,
    until: Instant,
}

struct Shared {
    connection: Http2,
    until: Instant,
}

/// Connections to close, after the lock is given back: closing is a call to the kernel.
#[derive(Default)]
struct Closed {
    idle: Vec<Idle>,
    shared: Vec<Shared>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { per_origin: IDLE_PER_ORIGIN_MAX, total: IDLE_MAX }
    }
}

impl Pool {
    /// An empty pool.
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { state: Mutex::new(State { bounds, origins: HashMap::new(), count: 0 }) }
    }

    /// Takes a connection to the origin, if there is one that lives.
    pub(crate) fn take(&self, origin: &str, now: Instant) -> Option<Line> {
        loop {
            let mut closed = Closed::default();
            let taken = self.lock().take(origin, now, &mut closed);
            match taken? {
                // Looked at without the lock: it may read from the socket.
                Line::Http1(mut connection) => {
                    if connection.is_open() {
                        return Some(Line::Http1(connection));
                    }
                }
                Line::Http2(stream) => return Some(Line::Http2(stream)),
            }
        }
    }

    /// Keeps a connection that has no request on it any more, for at most `idle_max`.
    pub(crate) fn keep(&self, origin: &str, mut connection: Box<Http1>, idle_max: Duration, now: Instant) {
        let until = expiry(now, idle_max, connection.opened);
        if until <= now || !connection.is_open() {
            return;
        }
        let mut closed = Closed::default();
        self.lock().keep(origin, Idle { connection, until }, &mut closed);
    }

    /// Shares a new HTTP/2 connection and gives its first stream.
    ///
    /// Where another request has meanwhile opened one with room, that one is used and this one closed: many
    /// requests that begin at once to a new origin can't know that they could share.
    pub(crate) fn share(&self, origin: &str, connection: Http2, now: Instant) -> Option<Stream2> {
        let mut closed = Closed::default();
        let mut state = self.lock();
        if let Some(stream) = state.take_stream(origin, now) {
            return Some(stream);
        }
        let stream = connection.stream()?;
        let until = expiry(now, IDLE_TIMEOUT, connection.opened);
        state.make_room(&mut closed);
        state.origin(origin).shared.push(Shared { connection, until });
        state.count += 1;
        Some(stream)
    }

    /// Closes what has been idle or alive for too long, and what its receiver has closed.
    pub(crate) fn sweep(&self, now: Instant) {
        let mut closed = Closed::default();
        self.lock().sweep(now, &mut closed);
    }

    /// Closes the idle connection that would be closed first anyway; `false` where none is idle.
    pub(crate) fn close_one_idle(&self) -> bool {
        let mut closed = Closed::default();
        self.lock().close_one_idle(&mut closed)
    }

    /// Connections that are kept.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().count
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the pool")
    }
}

impl State {
    fn take(&mut self, name: &str, now: Instant, closed: &mut Closed) -> Option<Line> {
        if let Some(stream) = self.take_stream(name, now) {
            return Some(Line::Http2(stream));
        }
        let origin = self.origins.get_mut(name)?;
        let mut taken = None;
        while let Some(idle) = origin.idle.pop() {
            self.count -= 1;
            if idle.until > now {
                taken = Some(Line::Http1(idle.connection));
                break;
            }
            closed.idle.push(idle);
        }
        taken
    }

    fn take_stream(&mut self, name: &str, now: Instant) -> Option<Stream2> {
        let origin = self.origins.get_mut(name)?;
        origin.shared.iter_mut().find_map(|shared| {
            let stream = if shared.until > now { shared.connection.stream() } else { None };
            if stream.is_some() {
                shared.until = expiry(now, IDLE_TIMEOUT, shared.connection.opened);
            }
            stream
        })
    }

    fn keep(&mut self, name: &str, idle: Idle, closed: &mut Closed) {
        let of_origin = self.origins.get(name).map_or(0, |origin| origin.idle.len());
        if of_origin >= self.bounds.per_origin {
            closed.idle.push(idle);
            return;
        }
        self.make_room(closed);
        self.origin(name).idle.push(idle);
        self.count += 1;
    }

    fn origin(&mut self, name: &str) -> &mut Origin {
        // The name is copied for a new origin only.
        if !self.origins.contains_key(name) {
            self.origins.insert(name.into(), Origin::default());
        }
        self.origins.get_mut(name).expect("it was just inserted")
    }

    /// Where the pool is full, closes the connection that would be closed first anyway.
    fn make_room(&mut self, closed: &mut Closed) {
        if self.count < self.bounds.total {
            return;
        }
        let first = self
            .origins
            .values_mut()
            .filter_map(|origin| Some((origin.first_expiry()?, origin)))
            .min_by_key(|(expiry, _)| *expiry);
        if let Some((expiry, origin)) = first {
            origin.close_one(expiry, closed);
            self.count -= 1;
        }
    }

    fn close_one_idle(&mut self, closed: &mut Closed) -> bool {
        let first_idle = |origin: &Origin| {
            let idle = origin.idle.iter().map(|idle| idle.until);
            let shared = origin.shared.iter().filter(|shared| shared.connection.is_idle());
            idle.chain(shared.map(|shared| shared.until)).min()
        };
        let origins = self.origins.values_mut();
        let first = origins
            .filter_map(|origin| Some((first_idle(origin)?, origin)))
            .min_by_key(|(expiry, _)| *expiry);
        let Some((expiry, origin)) = first else { return false };
        if let Some(at) = origin.idle.iter().position(|idle| idle.until == expiry) {
            closed.idle.push(origin.idle.remove(at));
        } else if let Some(at) =
            origin.shared.iter().position(|shared| shared.until == expiry && shared.connection.is_idle())
        {
            closed.shared.push(origin.shared.remove(at));
        }
        self.count -= 1;
        true
    }

    fn sweep(&mut self, now: Instant, closed: &mut Closed) {
        self.origins.retain(|_, origin| {
            closed.idle.extend(origin.idle.extract_if(.., |idle| idle.is_over(now)));
            closed.shared.extend(origin.shared.extract_if(.., |shared| shared.is_over(now)));
            !(origin.idle.is_empty() && origin.shared.is_empty())
        });
        self.count = self.origins.values().map(|origin| origin.idle.len() + origin.shared.len()).sum();
    }
}

impl Origin {
    fn first_expiry(&self) -> Option<Instant> {
        let idle = self.idle.iter().map(|idle| idle.until);
        idle.chain(self.shared.iter().map(|shared| shared.until)).min()
    }

    fn close_one(&mut self, expiry: Instant, closed: &mut Closed) {
        if let Some(at) = self.idle.iter().position(|idle| idle.until == expiry) {
            closed.idle.push(self.idle.remove(at));
        } else if let Some(at) = self.shared.iter().position(|shared| shared.until == expiry) {
            closed.shared.push(self.shared.remove(at));
        }
    }
}

impl Idle {
    /// Over its time, or closed by its receiver.
    fn is_over(&mut self, now: Instant) -> bool {
        self.until <= now || !self.connection.is_open()
    }
}

impl Shared {
    /// Over its time and without requests, or dead. Beyond its age it gives out no stream, so it falls idle.
    fn is_over(&self, now: Instant) -> bool {
        !self.connection.is_open() || (self.until <= now && self.connection.is_idle())
    }
}

/// When a connection that is idle from now on is to be closed.
fn expiry(now: Instant, idle_max: Duration, opened: Instant) -> Instant {
    (now + idle_max.min(IDLE_TIMEOUT)).min(opened + CONNECTION_AGE_MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hookmill_testkit::receiver::{Behaviour, Receiver};
    use http::HeaderValue;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::connect::Stream;

    const HOUR: Duration = Duration::from_secs(3600);

    #[expect(clippy::disallowed_methods, reason = "dials the test's own receiver")]
    async fn open(receiver: &Receiver, now: Instant) -> Box<Http1> {
        let stream = tokio::net::TcpStream::connect(receiver.address()).await.unwrap();
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let mut connection =
            Http1::begin(Stream::Plain(stream), place, HeaderValue::from_static("h"), now).await.unwrap();
        let request = http::Request::new(http_body_util::Full::default());
        assert!(connection.send(request).await.is_ok());
        connection
    }

    fn pool(per_origin: usize, total: usize) -> Pool {
        Pool::new(Bounds { per_origin, total })
    }

    #[tokio::test]
    async fn a_connection_ends_by_idleness_and_by_age() {
        let receiver = Receiver::start(Behaviour::accepts()).await;
        let pool = pool(9, 9);
        let now = Instant::now();
        let check = async |kept_after: Duration, idle_max: Duration, taken_after: Duration, expect: bool| {
            pool.keep("o", open(&receiver, now).await, idle_max, now + kept_after);
            assert_eq!(pool.take("o", now + taken_after).is_some(), expect, "{kept_after:?} {taken_after:?}");
            pool.sweep(now + HOUR);
            assert_eq!(pool.len(), 0);
        };
        let (tick, secs) = (Duration::from_millis(1), Duration::from_secs);
        check(secs(0), HOUR, secs(0), true).await;
        check(secs(0), HOUR, IDLE_TIMEOUT - tick, true).await;
        check(secs(0), HOUR, IDLE_TIMEOUT, false).await;
        check(secs(0), secs(4), secs(4) - tick, true).await;
        check(secs(0), secs(4), secs(4), false).await;
        check(secs(0), secs(0), secs(0), false).await;
        check(CONNECTION_AGE_MAX - secs(1), HOUR, CONNECTION_AGE_MAX - tick, true).await;
        check(CONNECTION_AGE_MAX - secs(1), HOUR, CONNECTION_AGE_MAX, false).await;
        check(CONNECTION_AGE_MAX, HOUR, CONNECTION_AGE_MAX, false).await;
    }

    #[tokio::test]
    async fn the_pool_is_bounded_by_origin_and_in_all() {
        let receiver = Receiver::start(Behaviour::accepts()).await;
        let pool = pool(2, 3);
        let now = Instant::now();
        for (second, origin) in ["a", "a", "a", "b", "c"].into_iter().enumerate() {
            let then = now + Duration::from_secs(second as u64);
            pool.keep(origin, open(&receiver, now).await, HOUR, then);
            assert!(pool.len() <= 3);
        }
        let now = now + Duration::from_secs(5);
        // The third of `a` found no place, and the first one made way for that of `c`.
        let left = |origin| std::iter::from_fn(|| pool.take(origin, now)).count();
        assert_eq!((left("a"), left("b"), left("c"), left("d")), (1, 1, 1, 0));
        assert_eq!(pool.len(), 0);
    }

    #[tokio::test]
    async fn a_sweep_closes_what_the_receiver_closed() {
        let receiver = Receiver::start(Behaviour::accepts()).await;
        let pool = pool(9, 9);
        let now = Instant::now();
        for _ in 0..3 {
            pool.keep("o", open(&receiver, now).await, HOUR, now);
        }
        pool.sweep(now);
        assert_eq!(pool.len(), 3);
        drop(receiver);
        while pool.len() > 0 {
            tokio::task::yield_now().await;
            pool.sweep(now);
        }
        assert!(pool.lock().origins.is_empty());
    }
}
