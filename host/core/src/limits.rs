//! A bound on everything, named with its unit last.
//!
//! These are the defaults and ceilings that are not part of one module's own rule (a pattern's limits live with
//! patterns, a plugin's with plugins). Relations between them are asserted when this crate is compiled.

use std::time::Duration;

/// Bytes of one event's body, as accepted over HTTP.
pub const EVENT_BODY_BYTES_MAX: usize = 1 << 20;
/// Bytes of one API request that is not an event: configuration objects are small.
pub const API_BODY_BYTES_MAX: usize = 256 << 10;
/// Bytes of one dry run: the largest event, each byte of it escaped in JSON, and what belongs to it.
pub const DRY_RUN_BODY_BYTES_MAX: usize =
    2 * EVENT_BODY_BYTES_MAX + 2 * TRANSFORM_SETTINGS_BYTES_MAX + API_BODY_BYTES_MAX;
/// Characters of an event type's name, a channel, a uid (the Svix API's bound).
pub const NAME_CHARS_MAX: usize = 256;
/// Channels of one event (the Svix API's bound).
pub const EVENT_CHANNELS_MAX: usize = 5;
/// Attributes of one event.
pub const EVENT_ATTRIBUTES_MAX: usize = 64;
/// Bytes of all of one event's attribute names and values.
pub const EVENT_ATTRIBUTE_BYTES_MAX: usize = 16 << 10;
/// Characters of an `Idempotency-Key`.
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 256;
/// How long an `Idempotency-Key` is remembered (the Svix API keeps 12 hours).
pub const IDEMPOTENCY_KEY_KEPT: Duration = Duration::from_secs(24 * 3600);

/// Endpoints of one application, which bounds the fan-out of one event.
pub const APPLICATION_ENDPOINTS_MAX: usize = 1000;
/// Applications of one installation.
pub const APPLICATIONS_MAX: usize = 100_000;
/// Event types of one installation.
pub const EVENT_TYPES_MAX: usize = 10_000;
/// Sources of one installation.
pub const SOURCES_MAX: usize = 10_000;
/// Sources that one application may make for itself; the operator may give it more.
pub const APPLICATION_SOURCES_MAX: usize = 100;
/// Keys that open one application.
pub const APPLICATION_KEYS_MAX: usize = 1000;
/// Bytes of all that the endpoints of one application are configured with: patterns, settings, compositions, headers, texts.
pub const APPLICATION_CONFIGURATION_BYTES_MAX: usize = 16 << 20;
/// Bytes of answers that are remembered for one application's own idempotency keys, within [`IDEMPOTENCY_KEY_KEPT`].
pub const APPLICATION_REMEMBERED_BYTES_MAX: usize = 16 << 20;
/// What remembering an answer takes beside its bytes.
pub const REMEMBERED_OVERHEAD_BYTES: usize = 128;
/// API keys of one installation.
pub const KEYS_MAX: usize = 10_000;
/// Characters of a description.
pub const DESCRIPTION_CHARS_MAX: usize = 4096;
/// Entries of one metadata map.
pub const METADATA_ENTRIES_MAX: usize = 50;
/// Bytes of all keys and values of one metadata map.
pub const METADATA_BYTES_MAX: usize = 4 << 10;

/// Headers that one endpoint or one plugin may add to a delivery.
pub const CUSTOM_HEADERS_MAX: usize = 64;
/// Bytes of all custom header names and values of one delivery.
pub const CUSTOM_HEADER_BYTES_MAX: usize = 16 << 10;
/// Requests that one plugin run may produce from one event.
pub const TRANSFORM_REQUESTS_MAX: usize = 16;
/// Bytes of all request bodies that one plugin run may produce of a small event; of a large one it may produce more.
pub const TRANSFORM_OUTPUT_BYTES_MAX: usize = 1 << 20;
/// Bytes of an endpoint's plugin settings (JSON).
pub const TRANSFORM_SETTINGS_BYTES_MAX: usize = 64 << 10;
/// Origins beside its own that an endpoint may let its plugin send to.
pub const ALLOWED_ORIGINS_MAX: usize = 16;
/// Secrets that one endpoint or source may bind for its plugin.
pub const BOUND_SECRETS_MAX: usize = 16;
/// Bytes of one bound secret; a PEM-encoded RSA key of 4096 bits has about 800 (public) or 3300 (private).
pub const SECRET_BYTES_MAX: usize = 4 << 10;
/// Events that one request to a source may become.
pub const SOURCE_EVENTS_MAX: usize = 1000;
/// Bytes of the bodies of all events that one request becomes, so that they fit one commit.
pub const SOURCE_EVENT_BYTES_MAX: usize = COMMIT_BYTES_MAX;
/// Bytes of an answer that a source plugin gives in the place of the usual one.
pub const SOURCE_REPLY_BYTES_MAX: usize = 64 << 10;
/// Bytes of one uploaded plugin. One in Python carries its interpreter, 18 MB.
pub const PLUGIN_BYTES_MAX: usize = 24 << 20;
/// The deterministic budget of one run of a plugin: about one for each instruction, and more for calls of the host.
/// It takes about 5 ms.
pub const PLUGIN_FUEL_MAX: u64 = 30_000_000;
/// What a run may spend besides for each byte of the body that it is given: a rebuilt mebibyte of dense JSON takes 60 a byte
/// in Rust.
pub const PLUGIN_FUEL_PER_BYTE: u64 = 100;
/// The processor's time for one run.
pub const PLUGIN_TIME_MAX: Duration = Duration::from_millis(100);
/// How often that a run may take by the clock, where the processor has other things to do.
pub const PLUGIN_WALL_PER_TIME: u64 = 10;
/// By how much threads that compute what users ask for step back behind those that do I/O (as `nice` does).
pub const COMPUTE_NICE: i32 = 10;
/// The same of threads that run plugins; deliveries wait for those.
pub const PLUGIN_NICE: i32 = 5;
/// Memory of one run.
pub const PLUGIN_MEMORY_BYTES_MAX: usize = 32 << 20;
/// Bytes of body and settings that those limits are made for. For each byte beyond there is more of everything, so that a
/// plain handler of each language comes to the end of the largest event.
pub const PLUGIN_SMALL_INPUT_BYTES: usize = 4 << 10;
/// Fuel for each byte beyond: to read JSON and write it again takes up to 400 in jq, 650 in JavaScript, and more in Python.
pub const PLUGIN_FUEL_PER_LARGE_BYTE: u64 = 2_000;
/// Time for each byte beyond: several times what the fuel for it takes.
pub const PLUGIN_TIME_PER_LARGE_BYTE: Duration = Duration::from_micros(2);
/// Memory for each byte beyond: JSON of small values takes so much as objects.
pub const PLUGIN_MEMORY_PER_LARGE_BYTE: usize = 64;
/// Plugins of one installation, each with any number of versions up to [`PLUGIN_VERSIONS_MAX`].
pub const PLUGINS_MAX: usize = 10_000;
/// Versions kept of one plugin.
pub const PLUGIN_VERSIONS_MAX: usize = 1000;

/// Bytes read of one receiver's answer; the rest is not waited for.
pub const RESPONSE_BODY_BYTES_MAX: usize = 16 << 10;
/// Bytes of a receiver's answer that the attempt log keeps.
pub const RESPONSE_KEPT_BYTES_MAX: usize = 1 << 10;
/// Bytes of a failure's detail that the attempt log keeps.
pub const FAILURE_DETAIL_BYTES_MAX: usize = 512;
/// Bytes of what a plugin says of its own failure, with the lines of its stack, that are kept.
pub const PLUGIN_FAILURE_BYTES_MAX: usize = 4 << 10;
/// Bytes of a sent body that the attempt log keeps, where the operator wants bodies kept.
pub const SENT_BODY_KEPT_BYTES_MAX: usize = 16 << 10;
/// One attempt, from connect to the last byte of the answer (Standard Webhooks recommends 15 to 30 s).
pub const ATTEMPT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(15);
/// The longest timeout that an endpoint may ask for.
pub const ATTEMPT_TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// Deliveries of one endpoint under way at once, unless its policy says otherwise.
pub const ENDPOINT_CONCURRENCY_DEFAULT: u16 = 64;
/// The most that an endpoint's policy may ask for.
pub const ENDPOINT_CONCURRENCY_MAX: u16 = 1024;
/// Deliveries of one endpoint that are in flight at once, for each that may be under way at once: a delivery is in
/// flight from its start until what came of it is committed. A crash repeats at most those.
pub const IN_FLIGHT_PER_PLACE: usize = 8;
/// Deliveries of the whole router under way at once. An application alone may have half of them.
pub const ROUTER_CONCURRENCY_MAX: usize = 2048;
/// The most that one application ever has under way: nobody takes more than he leaves free.
pub const APPLICATION_CONCURRENCY_MAX: usize = ROUTER_CONCURRENCY_MAX / 2;
/// How many of the router's are kept for applications that have few.
pub const ROUTER_CONCURRENCY_RESERVE: usize = 128;
/// How many an application may have of the kept ones.
pub const ROUTER_CONCURRENCY_NEWCOMER: usize = 8;
/// Deliveries of one endpoint held in memory; the rest of its queue stays in the store.
pub const ENDPOINT_HEADS_MAX: usize = 1024;
/// Bytes that events take in memory, wherever they wait: those that are being accepted, those of deliveries that are
/// held or in flight, and what plugins and compositions made of them. Each event is counted once. Beside it there are
/// answers of receivers, [`RESPONSE_BODY_BYTES_MAX`] for each delivery under way.
pub const EVENT_MEMORY_BYTES_MAX: usize = ACCEPTING_BYTES_MAX + BODIES_BYTES_MAX + MADE_BYTES_MAX;
/// Bytes of requests that are being read for callers with a key, and of events that wait for their commit or for the
/// dispatcher.
pub const ACCEPTING_BYTES_MAX: usize = 32 << 20;
/// Of these, how many are kept for applications that have few.
pub const ACCEPTING_RESERVE_BYTES: usize = 6 << 20;
/// How many an application may have of the kept ones: one event in its envelope.
pub const ACCEPTING_NEWCOMER_BYTES: usize = EVENT_BODY_BYTES_MAX + (128 << 10);
/// Bytes of the events of deliveries that are held or in flight, with what was made of them in an earlier attempt.
pub const BODIES_BYTES_MAX: usize = 40 << 20;
/// Of these, how many are kept for applications that have few.
pub const BODIES_RESERVE_BYTES: usize = 8 << 20;
/// How many an application may have of the kept ones: what it takes to read one delivery, whatever its size.
pub const BODIES_NEWCOMER_BYTES: usize = LOAD_BYTES_MIN;
/// Bytes of requests that plugins and compositions make in attempts under way, until what is kept of them is committed.
pub const MADE_BYTES_MAX: usize = 32 << 20;
/// Of these, how many are kept for applications that have few.
pub const MADE_RESERVE_BYTES: usize = 5 << 20;
/// Bytes that a plugin or composition makes of one event, at most.
pub const MADE_ATTEMPT_BYTES: usize = TRANSFORM_OUTPUT_BYTES_MAX + CUSTOM_HEADER_BYTES_MAX;
/// Bytes that are set aside before a plugin or composition makes something, beside [`MADE_EXPECTED_BODIES`], since nobody
/// knows yet how much it will be. What turns out to be more is thrown away, and made again with [`MADE_ATTEMPT_BYTES`].
pub const MADE_EXPECTED_BYTES: usize = 16 << 10;
/// How often the event's body is set aside before a plugin or composition makes something of it.
pub const MADE_EXPECTED_BODIES: usize = 4;
/// What an event takes in memory beside its body, about.
pub const EVENT_OVERHEAD_BYTES: usize = 512;
/// What a delivery takes in memory beside its event, about.
pub const DELIVERY_OVERHEAD_BYTES: usize = 256;
/// Deliveries that one read brings from the store.
pub const LOAD_ROWS_MAX: usize = 512;
/// Bytes of deliveries that one read brings from the store.
pub const LOAD_BYTES_MAX: usize = 4 << 20;
/// A read of the store waits until it may bring as much: one delivery, whatever its size.
pub const LOAD_BYTES_MIN: usize = EVENT_BODY_BYTES_MAX + TRANSFORM_OUTPUT_BYTES_MAX + (128 << 10);
/// Reads of the store under way at once.
pub const LOADS_IN_FLIGHT_MAX: usize = 4;

/// Events waiting for the writer; one more is refused with 503.
pub const APPEND_QUEUE_MAX: usize = 8192;
/// Of these places, how many are kept for applications with few.
pub const APPEND_QUEUE_RESERVE: usize = 1024;
/// How many an application may have of the kept ones.
pub const APPEND_QUEUE_NEWCOMER: usize = 16;
/// Events of one commit.
pub const COMMIT_EVENTS_MAX: usize = 512;
/// Rows of one commit, about: an event, each of its deliveries, and each half a kibibyte of its body. A single event may
/// have more.
pub const COMMIT_ROWS_MAX: usize = 4096;
/// The same where more than one application waits, so that none waits long for what another one writes.
pub const COMMIT_ROWS_SHARED_MAX: usize = 1024;
/// Event body bytes of one commit.
pub const COMMIT_BYTES_MAX: usize = 2 << 20;
/// How long finished deliveries wait for an accepted event's commit before they get one of their own.
pub const COMPLETION_DELAY_MAX: Duration = Duration::from_millis(20);

/// Items of one API page, and the default of [`PAGE_ITEMS_DEFAULT`].
pub const PAGE_ITEMS_MAX: usize = 250;
/// Items of one API page where the caller names no number.
pub const PAGE_ITEMS_DEFAULT: usize = 50;
/// Rows of the history that one read looks at, whatever its filter lets through.
pub const READ_ROWS_MAX: usize = 1000;
/// Bytes of event bodies that one read of the history takes; one event more may pass it.
pub const READ_BYTES_MAX: usize = 2 << 20;
/// Bytes of event bodies on one API page; one event more may pass it.
pub const PAGE_BYTES_MAX: usize = 8 << 20;
/// Bytes of event bodies that one API page shows, as they are shown; what goes beyond is on the next page.
pub const PAGE_SHOWN_BYTES_MAX: usize = 2 << 20;
/// Bytes of pages of events that are being read for callers. Beside [`EVENT_MEMORY_BYTES_MAX`]: nobody reads pages at a start.
pub const READING_BYTES_MAX: usize = 3 * READING_PAGE_BYTES;
/// Of these, how many are kept for applications that have few.
pub const READING_RESERVE_BYTES: usize = READING_PAGE_BYTES;
/// What one page takes while it is read.
pub const READING_PAGE_BYTES: usize = PAGE_SHOWN_BYTES_MAX + READ_BYTES_MAX + 2 * EVENT_BODY_BYTES_MAX;
/// What one event takes while it is read: its body, and that in an answer.
pub const READING_EVENT_BYTES: usize = 2 * EVENT_BODY_BYTES_MAX;
/// How long a page waits until others of the same application are read.
pub const READING_WAIT_MAX: Duration = Duration::from_secs(10);
/// Rows of the history that are looked at for one API page.
pub const PAGE_ROWS_MAX: usize = 5000;

/// Events that one step of a background task looks at.
pub const TASK_STEP_ROWS_MAX: usize = 50;
/// Tasks of one endpoint that can be looked up: the one that runs, and the latest that ended.
pub const ENDPOINT_TASKS_KEPT_MAX: usize = 20;

/// How long finished events and their attempts stay readable, by default.
pub const RETENTION_DEFAULT: Duration = Duration::from_secs(14 * 24 * 3600);
/// Rows that one retention step deletes.
pub const RETENTION_ROWS_MAX: usize = 1000;

const _: () = {
    assert!(RESPONSE_KEPT_BYTES_MAX <= RESPONSE_BODY_BYTES_MAX);
    assert!(EVENT_BODY_BYTES_MAX <= COMMIT_BYTES_MAX, "one event must fit a commit");
    assert!(LOAD_BYTES_MIN <= LOAD_BYTES_MAX, "one delivery must fit a load");
    assert!(LOADS_IN_FLIGHT_MAX * LOAD_BYTES_MAX < BODIES_BYTES_MAX);
    assert!(2 * BODIES_NEWCOMER_BYTES <= BODIES_RESERVE_BYTES);
    assert!(2 * MADE_ATTEMPT_BYTES <= MADE_RESERVE_BYTES);
    assert!(MADE_EXPECTED_BYTES <= MADE_ATTEMPT_BYTES);
    assert!(2 * ACCEPTING_NEWCOMER_BYTES <= ACCEPTING_RESERVE_BYTES);
    assert!(ROUTER_CONCURRENCY_RESERVE >= 2 * ROUTER_CONCURRENCY_NEWCOMER);
    assert!(EVENT_MEMORY_BYTES_MAX <= 120 << 20, "a router with any backlog lives in 200 MB");
    assert!(LOAD_ROWS_MAX <= ENDPOINT_HEADS_MAX, "a load must fit the heads it fills");
    assert!(ENDPOINT_CONCURRENCY_DEFAULT <= ENDPOINT_CONCURRENCY_MAX);
    assert!(PAGE_ITEMS_DEFAULT <= PAGE_ITEMS_MAX);
    assert!(PAGE_ITEMS_MAX < READ_ROWS_MAX && READ_ROWS_MAX <= PAGE_ROWS_MAX);
    assert!(EVENT_BODY_BYTES_MAX <= READ_BYTES_MAX && READ_BYTES_MAX <= PAGE_BYTES_MAX);
    assert!(
        6 * EVENT_BODY_BYTES_MAX <= READING_PAGE_BYTES,
        "one event with each byte escaped must fit a page"
    );
    assert!(TRANSFORM_OUTPUT_BYTES_MAX <= EVENT_BODY_BYTES_MAX);
    assert!(SOURCE_REPLY_BYTES_MAX <= TRANSFORM_OUTPUT_BYTES_MAX);
};
