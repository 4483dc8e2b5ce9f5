//! `hookmill event`.

use hookmill_core::limits::EVENT_BODY_BYTES_MAX;
use http::Method;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::show::{Column, table};
use super::{Client, print, read_file_or_stdin};
use crate::cli::{EventCommand, Payload, SendArguments};
use crate::failure::{Exit, Failure};

mod timeline;

const COLUMNS: [Column; 4] = [
    Column("id", "/id"),
    Column("event id", "/eventId"),
    Column("event type", "/eventType"),
    Column("accepted", "/timestamp"),
];
const TOO_LARGE: &str = "event_body_too_large";

/// `MessageIn`; the payload stays the bytes that came.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageIn<'a> {
    event_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<&'a str>,
    payload: &'a RawValue,
}

pub(crate) async fn run(client: Client, json: bool, command: EventCommand) -> Result<(), Failure> {
    match command {
        EventCommand::Send(arguments) => send(&client, json, arguments).await,
        EventCommand::Show(arguments) => timeline::show(&client, json, arguments).await,
    }
}

async fn send(client: &Client, json: bool, arguments: SendArguments) -> Result<(), Failure> {
    let SendArguments { app, event_type, payload, id } = arguments;
    let text = read(payload)?;
    let payload: &RawValue = serde_json::from_slice(&text).map_err(|error| {
        Failure::new(Exit::Failed, "payload_not_json", format!("the payload is no JSON: {error}"))
    })?;
    let accepted = client.send_event(&app, &event_type, id.as_deref(), payload).await?;
    print(json, &accepted, || table(&COLUMNS, std::slice::from_ref(&accepted), ""));
    Ok(())
}

impl Client {
    /// Sends one event.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub(crate) async fn send_event(
        &self,
        app: &str,
        event_type: &str,
        event_id: Option<&str>,
        payload: &RawValue,
    ) -> Result<Value, Failure> {
        let message = MessageIn { event_type, event_id, payload };
        self.call(Method::POST, &["app", app, "msg"], Some(&message)).await
    }
}

fn read(payload: Payload) -> Result<Vec<u8>, Failure> {
    match (payload.data, payload.file) {
        (Some(data), _) => Ok(data.into_bytes()),
        (None, Some(path)) => read_file_or_stdin(&path, EVENT_BODY_BYTES_MAX, TOO_LARGE),
        (None, None) => unreachable!("clap asks for one of them"),
    }
}
