//! `event`: what is being delivered, and where to.

use std::sync::Arc;

use wasmtime::component::Resource;

use super::{EventHandle, JsonAnswer, RunState, TargetHandle};
use crate::bindings::hookmill::plugin::event::{Host, HostEvent, HostTarget};

impl Host for RunState {}

impl HostEvent for RunState {
    fn id(&mut self, _: Resource<EventHandle>) -> wasmtime::Result<String> {
        let id = self.delivery().event.id;
        self.text_out(&id)
    }

    fn uid(&mut self, _: Resource<EventHandle>) -> wasmtime::Result<Option<String>> {
        let uid = self.delivery().event.uid.as_ref().map(ToString::to_string);
        self.enter(uid.as_ref().map_or(0, String::len))?;
        Ok(uid)
    }

    fn event_type(&mut self, _: Resource<EventHandle>) -> wasmtime::Result<String> {
        let event = Arc::clone(&self.delivery().event);
        self.text_out(&event.event_type)
    }

    fn channels(&mut self, _: Resource<EventHandle>) -> wasmtime::Result<Vec<String>> {
        let channels: Vec<_> =
            self.delivery().event.channels.as_slice().iter().map(ToString::to_string).collect();
        self.enter(channels.iter().map(String::len).sum())?;
        Ok(channels)
    }

    fn accepted_at(&mut self, _: Resource<EventHandle>) -> wasmtime::Result<u64> {
        self.enter(0)?;
        Ok(self.delivery().event.accepted_at().0)
    }

    fn content_type(&mut self, _: Resource<EventHandle>) -> wasmtime::Result<String> {
        let event = Arc::clone(&self.delivery().event);
        self.text_out(&event.content_type.as_str())
    }

    fn size(&mut self, _: Resource<EventHandle>) -> wasmtime::Result<u64> {
        self.enter(0)?;
        Ok(self.delivery().event.body.len() as u64)
    }

    fn bytes(&mut self, _: Resource<EventHandle>) -> wasmtime::Result<Vec<u8>> {
        let event = Arc::clone(&self.delivery().event);
        self.bytes_out(&event.body)
    }

    fn text(&mut self, _: Resource<EventHandle>) -> wasmtime::Result<Option<String>> {
        let event = Arc::clone(&self.delivery().event);
        self.body_text_out(&event.body)
    }

    fn json(&mut self, _: Resource<EventHandle>, pointer: String) -> wasmtime::Result<JsonAnswer> {
        self.enter(pointer.len())?;
        let found = self.delivery().body.find(&pointer);
        Ok(self.json_out(found))
    }

    fn drop(&mut self, _: Resource<EventHandle>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl HostTarget for RunState {
    fn endpoint_id(&mut self, _: Resource<TargetHandle>) -> wasmtime::Result<String> {
        let id = self.delivery().endpoint.id;
        self.text_out(&id)
    }

    fn url(&mut self, _: Resource<TargetHandle>) -> wasmtime::Result<String> {
        let endpoint = Arc::clone(&self.delivery().endpoint);
        self.text_out(&endpoint.url)
    }

    fn attempt(&mut self, _: Resource<TargetHandle>) -> wasmtime::Result<u32> {
        self.enter(0)?;
        Ok(self.delivery().attempt)
    }

    fn settings(&mut self, _: Resource<TargetHandle>) -> wasmtime::Result<String> {
        self.settings_out()
    }

    fn setting(&mut self, _: Resource<TargetHandle>, pointer: String) -> wasmtime::Result<JsonAnswer> {
        self.setting_out(&pointer)
    }

    fn drop(&mut self, _: Resource<TargetHandle>) -> wasmtime::Result<()> {
        Ok(())
    }
}
