//! `inbound`: what a provider sent, and the events or the reply that it becomes.

use std::sync::Arc;

use bytes::Bytes;
use hookmill_core::event::{Channels, ContentType, Name};
use hookmill_core::limits::{EVENT_BODY_BYTES_MAX, SOURCE_REPLY_BYTES_MAX};
use hookmill_core::plugin::{InboundRequest, SourceEvent, SourceReply};
use http::{HeaderMap, StatusCode, header};
use wasmtime::component::Resource;

use super::drafts::Draft;
use super::headers::{bytes_beside, check_room, checked_name, checked_value, joined};
use super::subject::Inbound;
use super::{InboundHandle, JsonAnswer, NewEventHandle, OriginHandle, ReplyHandle, RunState};
use crate::bindings::hookmill::plugin::inbound::{Host, HostNewEvent, HostOrigin, HostReply, HostRequest};
use crate::fault::Breach;

type SetterAnswer = Result<(), String>;

/// Replies that a plugin may hold at once; it hands over one.
const REPLIES_MAX: usize = 16;

/// An event that a plugin fills in.
pub(super) struct EventDraft {
    event_type: Name,
    uid: Option<Name>,
    channels: Channels,
    content_type: ContentType,
    /// None where it is the request's own.
    body: Option<Bytes>,
}

/// A reply that a plugin fills in.
pub(super) struct ReplyDraft {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Draft for EventDraft {
    fn body_bytes(&self) -> usize {
        self.body.as_ref().map_or(0, Bytes::len)
    }

    fn too_many(max: usize) -> Breach {
        Breach::Events { max }
    }
}

impl Draft for ReplyDraft {
    fn body_bytes(&self) -> usize {
        self.body.len()
    }

    fn too_many(max: usize) -> Breach {
        Breach::Replies { max }
    }
}

impl EventDraft {
    fn new(event_type: Name, request: &InboundRequest) -> Self {
        let named = request.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = named.and_then(|text| text.parse().ok()).unwrap_or_else(ContentType::json);
        Self { event_type, uid: None, channels: Channels::default(), content_type, body: None }
    }
}

impl Inbound {
    /// The events that the plugin returned. One body may stand in several of them, and counts in each.
    pub(super) fn take_events(
        &mut self,
        returned: &[Resource<NewEventHandle>],
        bytes_max: usize,
    ) -> Result<Vec<SourceEvent>, Breach> {
        let mut events = Vec::with_capacity(returned.len());
        let mut bytes = 0;
        for handle in returned {
            let draft = self.events.remove(handle.rep())?;
            let body = draft.body.unwrap_or_else(|| self.request.body.clone());
            bytes += body.len();
            if bytes > bytes_max {
                return Err(Breach::Output { max: bytes_max });
            }
            events.push(SourceEvent {
                event_type: draft.event_type,
                uid: draft.uid,
                channels: draft.channels,
                content_type: draft.content_type,
                body,
            });
        }
        Ok(events)
    }

    /// The reply that the plugin returned.
    pub(super) fn take_reply(&mut self, returned: &Resource<ReplyHandle>) -> Result<SourceReply, Breach> {
        let ReplyDraft { status, headers, body } = self.replies.remove(returned.rep())?;
        Ok(SourceReply { status, headers, body })
    }
}

impl Host for RunState {}

impl HostRequest for RunState {
    fn method(&mut self, _: Resource<InboundHandle>) -> wasmtime::Result<String> {
        let request = Arc::clone(&self.inbound().request);
        self.text_out(&request.method)
    }

    fn path(&mut self, _: Resource<InboundHandle>) -> wasmtime::Result<String> {
        let request = Arc::clone(&self.inbound().request);
        self.text_out(&request.path)
    }

    fn query(&mut self, _: Resource<InboundHandle>) -> wasmtime::Result<String> {
        let request = Arc::clone(&self.inbound().request);
        self.text_out(&request.query)
    }

    fn header(&mut self, _: Resource<InboundHandle>, name: String) -> wasmtime::Result<Option<String>> {
        let value = joined(&self.inbound().request.headers, &name);
        self.enter(name.len() + value.as_ref().map_or(0, String::len))?;
        Ok(value)
    }

    fn header_names(&mut self, _: Resource<InboundHandle>) -> wasmtime::Result<Vec<String>> {
        let names: Vec<String> = self.inbound().request.headers.keys().map(ToString::to_string).collect();
        self.enter(names.iter().map(String::len).sum())?;
        Ok(names)
    }

    fn bytes(&mut self, _: Resource<InboundHandle>) -> wasmtime::Result<Vec<u8>> {
        let request = Arc::clone(&self.inbound().request);
        self.bytes_out(&request.body)
    }

    fn text(&mut self, _: Resource<InboundHandle>) -> wasmtime::Result<Option<String>> {
        let request = Arc::clone(&self.inbound().request);
        self.body_text_out(&request.body)
    }

    fn json(&mut self, _: Resource<InboundHandle>, pointer: String) -> wasmtime::Result<JsonAnswer> {
        self.enter(pointer.len())?;
        let found = self.inbound().body.find(&pointer);
        Ok(self.json_out(found))
    }

    fn received_at(&mut self, _: Resource<InboundHandle>) -> wasmtime::Result<u64> {
        self.enter(0)?;
        Ok(self.now.0)
    }

    fn drop(&mut self, _: Resource<InboundHandle>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl HostOrigin for RunState {
    fn name(&mut self, _: Resource<OriginHandle>) -> wasmtime::Result<String> {
        let source = Arc::clone(&self.inbound().source);
        self.text_out(&source)
    }

    fn settings(&mut self, _: Resource<OriginHandle>) -> wasmtime::Result<String> {
        self.settings_out()
    }

    fn setting(&mut self, _: Resource<OriginHandle>, pointer: String) -> wasmtime::Result<JsonAnswer> {
        self.setting_out(&pointer)
    }

    fn drop(&mut self, _: Resource<OriginHandle>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl RunState {
    fn event_draft(&mut self, event: &Resource<NewEventHandle>) -> Result<&mut EventDraft, Breach> {
        self.inbound().events.get(event.rep())
    }

    fn reply_draft(&mut self, reply: &Resource<ReplyHandle>) -> Result<&mut ReplyDraft, Breach> {
        self.inbound().replies.get(reply.rep())
    }
}

impl HostNewEvent for RunState {
    fn create(&mut self, event_type: String) -> wasmtime::Result<Result<Resource<NewEventHandle>, String>> {
        self.enter(event_type.len())?;
        let event_type: Name = match event_type.parse() {
            Ok(event_type) => event_type,
            Err(error) => return Ok(Err(format!("the event type is not one: {error}"))),
        };
        let max = self.limits.events;
        let inbound = self.inbound();
        let draft = EventDraft::new(event_type, &inbound.request);
        Ok(Ok(Resource::new_own(inbound.events.add(draft, max)?)))
    }

    fn set_uid(&mut self, event: Resource<NewEventHandle>, uid: String) -> wasmtime::Result<SetterAnswer> {
        self.enter(uid.len())?;
        let draft = self.event_draft(&event)?;
        Ok(match uid.parse::<Name>() {
            Ok(uid) => {
                draft.uid = Some(uid);
                Ok(())
            }
            Err(error) => Err(format!("the uid is not one: {error}")),
        })
    }

    fn set_channels(
        &mut self,
        event: Resource<NewEventHandle>,
        channels: Vec<String>,
    ) -> wasmtime::Result<SetterAnswer> {
        self.enter(channels.iter().map(String::len).sum())?;
        let names: Result<Vec<Name>, _> = channels.iter().map(|channel| channel.parse()).collect();
        let channels = match names {
            Ok(names) => Channels::new(names).map_err(|error| error.to_string()),
            Err(error) => Err(format!("a channel is not one: {error}")),
        };
        let draft = self.event_draft(&event)?;
        Ok(channels.map(|channels| draft.channels = channels))
    }

    fn set_content_type(
        &mut self,
        event: Resource<NewEventHandle>,
        content_type: String,
    ) -> wasmtime::Result<SetterAnswer> {
        self.enter(content_type.len())?;
        let draft = self.event_draft(&event)?;
        Ok(match content_type.parse::<ContentType>() {
            Ok(content_type) => {
                draft.content_type = content_type;
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        })
    }

    fn set_body(&mut self, event: Resource<NewEventHandle>, body: Vec<u8>) -> wasmtime::Result<()> {
        self.enter(body.len())?;
        if body.len() > EVENT_BODY_BYTES_MAX {
            return Err(Breach::Output { max: EVENT_BODY_BYTES_MAX }.into());
        }
        let max = self.limits.event_bytes;
        let body = Some(Bytes::from(body));
        Ok(self.inbound().events.change_body(event.rep(), max, |draft| draft.body = body)?)
    }

    fn set_body_text(&mut self, event: Resource<NewEventHandle>, body: String) -> wasmtime::Result<()> {
        HostNewEvent::set_body(self, event, body.into_bytes())
    }

    fn drop(&mut self, event: Resource<NewEventHandle>) -> wasmtime::Result<()> {
        self.inbound().events.remove(event.rep())?;
        Ok(())
    }
}

impl HostReply for RunState {
    fn create(&mut self, status: u16) -> wasmtime::Result<Result<Resource<ReplyHandle>, String>> {
        self.enter(0)?;
        let status = match StatusCode::from_u16(status) {
            Ok(status) if (200..600).contains(&status.as_u16()) => status,
            Ok(_) | Err(_) => return Ok(Err(format!("a reply's status is 200 to 599, not {status}"))),
        };
        let draft = ReplyDraft { status, headers: HeaderMap::new(), body: Bytes::new() };
        Ok(Ok(Resource::new_own(self.inbound().replies.add(draft, REPLIES_MAX)?)))
    }

    fn set_header(
        &mut self,
        reply: Resource<ReplyHandle>,
        name: String,
        value: String,
    ) -> wasmtime::Result<SetterAnswer> {
        self.enter(name.len() + value.len())?;
        let draft = self.reply_draft(&reply)?;
        let checked = || {
            let name = checked_name(&name)?;
            let value = checked_value(&name, &value)?;
            check_room(name.as_str().len() + value.len(), bytes_beside(&draft.headers, Some(&name)))?;
            Ok((name, value))
        };
        Ok(checked().map(|(name, value)| {
            draft.headers.insert(name, value);
        }))
    }

    fn set_body(&mut self, reply: Resource<ReplyHandle>, body: Vec<u8>) -> wasmtime::Result<()> {
        self.enter(body.len())?;
        let body = Bytes::from(body);
        let change = |draft: &mut ReplyDraft| draft.body = body;
        Ok(self.inbound().replies.change_body(reply.rep(), SOURCE_REPLY_BYTES_MAX, change)?)
    }

    fn set_body_text(&mut self, reply: Resource<ReplyHandle>, body: String) -> wasmtime::Result<()> {
        HostReply::set_body(self, reply, body.into_bytes())
    }

    fn drop(&mut self, reply: Resource<ReplyHandle>) -> wasmtime::Result<()> {
        self.inbound().replies.remove(reply.rep())?;
        Ok(())
    }
}
