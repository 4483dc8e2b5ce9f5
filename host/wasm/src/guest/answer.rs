//! `answer`: what a receiver answered.

use std::sync::Arc;

use wasmtime::component::Resource;

use super::headers::joined;
use super::{JsonAnswer, ResponseHandle, RunState};
use crate::bindings::hookmill::plugin::answer::{Host, HostResponse};

impl Host for RunState {}

impl HostResponse for RunState {
    fn status(&mut self, _: Resource<ResponseHandle>) -> wasmtime::Result<u16> {
        self.enter(0)?;
        Ok(self.answer().response.status.as_u16())
    }

    fn header(&mut self, _: Resource<ResponseHandle>, name: String) -> wasmtime::Result<Option<String>> {
        let value = joined(&self.answer().response.headers, &name);
        self.enter(name.len() + value.as_ref().map_or(0, String::len))?;
        Ok(value)
    }

    fn bytes(&mut self, _: Resource<ResponseHandle>) -> wasmtime::Result<Vec<u8>> {
        let response = Arc::clone(&self.answer().response);
        self.bytes_out(&response.body)
    }

    fn text(&mut self, _: Resource<ResponseHandle>) -> wasmtime::Result<Option<String>> {
        let response = Arc::clone(&self.answer().response);
        self.body_text_out(&response.body)
    }

    fn json(&mut self, _: Resource<ResponseHandle>, pointer: String) -> wasmtime::Result<JsonAnswer> {
        self.enter(pointer.len())?;
        let found = self.answer().body.find(&pointer);
        Ok(self.json_out(found))
    }

    fn no_opinion(&mut self, _: Resource<ResponseHandle>) -> wasmtime::Result<()> {
        self.enter(0)?;
        self.answer().left_to_status = true;
        Ok(())
    }

    fn drop(&mut self, _: Resource<ResponseHandle>) -> wasmtime::Result<()> {
        Ok(())
    }
}
