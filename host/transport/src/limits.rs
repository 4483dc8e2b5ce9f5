//! The transport's own bounds, beside those of [`hookmill_core::limits`].

use std::time::Duration;

/// From the lookup of the name to the end of the TLS handshake, unless configured otherwise.
pub const CONNECT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
/// Connections open at once, idle ones included, unless configured otherwise.
pub const CONNECTIONS_MAX_DEFAULT: usize = hookmill_core::limits::ROUTER_CONCURRENCY_MAX + IDLE_MAX;
/// How often one attempt sends its request again that was surely not taken.
pub const RESENDS_MAX: usize = 3;
/// How soon after a request a kept connection ends that was being closed when the request was sent: some round trips.
pub const CLOSED_AT_ONCE: Duration = Duration::from_secs(3);
/// Addresses of one host that are dialled; a name may resolve to any number of them.
pub const ADDRESSES_DIALLED_MAX: usize = 8;
/// How long one address has for itself before the next one is dialled beside it (RFC 8305, section 5).
pub const DIAL_STAGGER: Duration = Duration::from_millis(250);

/// Bytes of a response's status line and headers, and at least that much buffer for each HTTP/1 connection.
pub const RESPONSE_HEAD_BYTES_MAX: usize = 32 << 10;

/// Idle connections kept of one origin. As many as an endpoint has deliveries under way by default, so that a
/// steady stream of them opens no connection.
pub const IDLE_PER_ORIGIN_MAX: usize = hookmill_core::limits::ENDPOINT_CONCURRENCY_DEFAULT as usize;
/// Idle connections kept of all origins together.
pub const IDLE_MAX: usize = 512;
/// How long an idle connection is kept. A receiver that announces a shorter time (`Keep-Alive: timeout=5`) is
/// believed.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// An idle connection is given up this long before the receiver said that it would close it: a request on its way
/// when the receiver closes is lost.
pub const IDLE_TIMEOUT_MARGIN: Duration = Duration::from_secs(1);
/// How long a connection is reused at all, so that a change of DNS or of certificates takes effect.
pub const CONNECTION_AGE_MAX: Duration = Duration::from_secs(300);
/// Between two looks at the idle connections, for those that time or their receivers ended.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(2);

/// Requests under way on one HTTP/2 connection; one more opens another connection.
pub const HTTP2_STREAMS_MAX: usize = 100;
/// Bytes of one response body that an HTTP/2 receiver may send ahead of what was read.
pub const HTTP2_STREAM_WINDOW_BYTES: u32 = 64 << 10;
/// Bytes of all response bodies that an HTTP/2 receiver may send ahead on one connection.
pub const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
/// How often an HTTP/2 connection with requests under way is asked whether it still lives.
pub const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(10);
/// How long it may take to say so.
pub const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(5);

const _: () = {
    assert!(IDLE_PER_ORIGIN_MAX <= IDLE_MAX);
    assert!(IDLE_TIMEOUT.as_millis() <= CONNECTION_AGE_MAX.as_millis());
    assert!(HTTP2_STREAM_WINDOW_BYTES as usize >= hookmill_core::limits::RESPONSE_BODY_BYTES_MAX);
    assert!(HTTP2_STREAM_WINDOW_BYTES <= HTTP2_CONNECTION_WINDOW_BYTES);
};
