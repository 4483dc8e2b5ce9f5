//! `event`: what is being delivered, and where to.

use wasmtime::component::Resource;

use super::{EventHandle, RunState, TargetHandle};
use crate::bindings::hookmill::plugin::event::{Host, HostEvent, HostTarget};
use crate::json::{Found, JsonError};

type JsonAnswer = Result<Option<String>, String>;

impl RunState {
    /// Copies a text out, which is charged for as bytes are.
    fn text_out(&mut self, text: &impl ToString) -> wasmtime::Result<String> {
        let text = text.to_string();
        self.enter(text.len())?;
        Ok(text)
    }

    fn json_out(&mut self, found: Result<Found, JsonError>) -> JsonAnswer {
        let found = found.map_err(|error| error.to_string())?;
        self.charge_read(found.bytes_read);
        Ok(found.text)
    }
}

impl Host for RunState {}

impl HostEvent for RunState {
    fn id(&mut self, _: Resource<EventHandle>) -> wasmtime::Result<String> {
        let id = self.run.event.id;
        self.text_out(&id)
    }

    fn uid(&mut self, _: Resource<EventHandle>) -> wasmtime::Result<Option<String>> {
        let uid = self.run.event.uid.as_ref().map(ToString::to_string);
        self.enter(uid.as_ref().map_or(0, String::len))?;
        Ok(uid)
    }

    fn event_type(&mut self, _: Resource<EventHandle>) -> wasmtime::Result<String> {
        let event = self.run.event.clone();
        self.text_out(&event.event_type)
    }

    fn channels(&mut self, _: Resource<EventHandle>) -> wasmtime::Result<Vec<String>> {
        let channels: Vec<_> = self.run.event.channels.as_slice().iter().map(ToString::to_string).collect();
        self.enter(channels.iter().map(String::len).sum())?;
        Ok(channels)
    }

    fn accepted_at(&mut self, _: Resource<EventHandle>) -> wasmtime::Result<u64> {
        self.enter(0)?;
        Ok(self.run.event.accepted_at().0)
    }

    fn content_type(&mut self, _: Resource<EventHandle>) -> wasmtime::Result<String> {
        let event = self.run.event.clone();
        self.text_out(&event.content_type.as_str())
    }

    fn size(&mut self, _: Resource<EventHandle>) -> wasmtime::Result<u64> {
        self.enter(0)?;
        Ok(self.run.event.body.len() as u64)
    }

    fn bytes(&mut self, _: Resource<EventHandle>) -> wasmtime::Result<Vec<u8>> {
        self.enter(self.run.event.body.len())?;
        Ok(self.run.event.body.to_vec())
    }

    fn text(&mut self, _: Resource<EventHandle>) -> wasmtime::Result<Option<String>> {
        self.enter(self.run.event.body.len())?;
        Ok(std::str::from_utf8(&self.run.event.body).ok().map(str::to_owned))
    }

    fn json(&mut self, _: Resource<EventHandle>, pointer: String) -> wasmtime::Result<JsonAnswer> {
        self.enter(pointer.len())?;
        let found = self.body.find(&pointer);
        Ok(self.json_out(found))
    }

    fn drop(&mut self, _: Resource<EventHandle>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl HostTarget for RunState {
    fn endpoint_id(&mut self, _: Resource<TargetHandle>) -> wasmtime::Result<String> {
        let id = self.run.endpoint.id;
        self.text_out(&id)
    }

    fn url(&mut self, _: Resource<TargetHandle>) -> wasmtime::Result<String> {
        let endpoint = self.run.endpoint.clone();
        self.text_out(&endpoint.url)
    }

    fn attempt(&mut self, _: Resource<TargetHandle>) -> wasmtime::Result<u32> {
        self.enter(0)?;
        Ok(self.run.attempt)
    }

    fn settings(&mut self, _: Resource<TargetHandle>) -> wasmtime::Result<String> {
        let settings = self.run.settings.clone();
        self.text_out(&settings)
    }

    fn setting(&mut self, _: Resource<TargetHandle>, pointer: String) -> wasmtime::Result<JsonAnswer> {
        self.enter(pointer.len())?;
        let found = self.settings.find(&pointer);
        Ok(self.json_out(found))
    }

    fn drop(&mut self, _: Resource<TargetHandle>) -> wasmtime::Result<()> {
        Ok(())
    }
}
