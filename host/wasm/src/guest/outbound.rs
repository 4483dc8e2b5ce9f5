//! `outbound`: requests under construction. Each argument is checked when it is set.

use bytes::Bytes;
use hookmill_core::address::DeliveryUrl;
use hookmill_core::endpoint::Endpoint;
use hookmill_core::event::Name;
use hookmill_core::limits::{CUSTOM_HEADER_BYTES_MAX, CUSTOM_HEADERS_MAX};
use hookmill_core::request::{PreparedRequest, RequestBody, header_is_reserved};
use http::{HeaderMap, HeaderName, HeaderValue};
use wasmtime::component::Resource;

use super::{RequestHandle, RunState};
use crate::bindings::hookmill::plugin::outbound::{Host, HostRequest, Method};
use crate::fault::Breach;
use crate::json;
use crate::run_log::printable;

type SetterAnswer = Result<(), String>;

/// The requests of one run; a handle's number is a place in it. Bodies are counted while they are held, not when they are sent, so that drafts that are
/// never sent are bounded too.
#[derive(Default)]
pub(super) struct Drafts {
    slots: Vec<Option<Draft>>,
    live: usize,
    body_bytes: usize,
}

struct Draft {
    method: Method,
    url: Option<DeliveryUrl>,
    headers: HeaderMap,
    body: RequestBody,
    part: Option<Name>,
}

impl Draft {
    fn new() -> Self {
        Self {
            method: Method::Post,
            url: None,
            headers: HeaderMap::new(),
            body: RequestBody::Original,
            part: None,
        }
    }

    fn body_bytes(&self) -> usize {
        match &self.body {
            RequestBody::Original => 0,
            RequestBody::Replaced(bytes) => bytes.len(),
        }
    }

    /// Checks a header as `CustomHeaders` does for an endpoint's own, beside those that stay.
    fn check_header(
        &self,
        name: &str,
        value: &str,
        replaces: bool,
    ) -> Result<(HeaderName, HeaderValue), String> {
        let shown = printable(name, 64);
        let name: HeaderName = name.parse().map_err(|_| format!("`{shown}` is no header name"))?;
        if header_is_reserved(&name) {
            return Err(format!("header `{name}` is reserved"));
        }
        let value = HeaderValue::from_bytes(value.as_bytes())
            .map_err(|_| format!("the value of header `{name}` has a control character"))?;
        let mut count = 1;
        let mut bytes = name.as_str().len() + value.len();
        for (other, other_value) in &self.headers {
            if !(replaces && *other == name) {
                count += 1;
                bytes += other.as_str().len() + other_value.len();
            }
        }
        if count > CUSTOM_HEADERS_MAX || bytes > CUSTOM_HEADER_BYTES_MAX {
            return Err(format!(
                "at most {CUSTOM_HEADERS_MAX} headers and {CUSTOM_HEADER_BYTES_MAX} bytes of them"
            ));
        }
        Ok((name, value))
    }

    fn into_request(self, endpoint: &Endpoint) -> PreparedRequest {
        PreparedRequest {
            method: match self.method {
                Method::Get => http::Method::GET,
                Method::Post => http::Method::POST,
                Method::Put => http::Method::PUT,
                Method::Patch => http::Method::PATCH,
                Method::Delete => http::Method::DELETE,
            },
            url: self.url.unwrap_or_else(|| endpoint.url.clone()),
            headers: self.headers,
            body: self.body,
            part: self.part,
        }
    }
}

impl Drafts {
    fn add(&mut self, max: usize) -> Result<Resource<RequestHandle>, Breach> {
        if self.live >= max {
            return Err(Breach::Requests { max });
        }
        self.live += 1;
        let place = u32::try_from(self.slots.len()).expect("calls of the host are bounded");
        self.slots.push(Some(Draft::new()));
        Ok(Resource::new_own(place))
    }

    /// Wasmtime hands out handles of this store only, and none twice after it was dropped.
    fn get(&mut self, handle: &Resource<RequestHandle>) -> wasmtime::Result<&mut Draft> {
        let slot = self.slots.get_mut(handle.rep() as usize).and_then(Option::as_mut);
        slot.ok_or_else(|| Breach::Handle.into())
    }

    fn remove(&mut self, handle: &Resource<RequestHandle>) -> Result<Draft, Breach> {
        let slot = self.slots.get_mut(handle.rep() as usize).and_then(Option::take);
        let draft = slot.ok_or(Breach::Handle)?;
        self.live -= 1;
        self.body_bytes -= draft.body_bytes();
        Ok(draft)
    }

    fn set_body(
        &mut self,
        handle: &Resource<RequestHandle>,
        body: RequestBody,
        max: usize,
    ) -> wasmtime::Result<()> {
        let draft = self.get(handle)?;
        let before = draft.body_bytes();
        draft.body = body;
        let after = draft.body_bytes();
        self.body_bytes = self.body_bytes - before + after;
        if self.body_bytes > max { Err(Breach::Output { max }.into()) } else { Ok(()) }
    }

    /// The requests that the plugin returned.
    pub(super) fn take(
        &mut self,
        returned: &[Resource<RequestHandle>],
        endpoint: &Endpoint,
    ) -> Result<Vec<PreparedRequest>, Breach> {
        if returned.is_empty() {
            return Err(Breach::NoRequests);
        }
        let mut requests: Vec<PreparedRequest> = Vec::with_capacity(returned.len());
        for handle in returned {
            let request = self.remove(handle)?.into_request(endpoint);
            // Both would have the same `webhook-id`, and receivers drop what they have seen.
            if requests.iter().any(|other| part_of_id(other) == part_of_id(&request)) {
                return Err(Breach::PartKeys);
            }
            requests.push(request);
        }
        Ok(requests)
    }
}

/// A part key as it goes into the `webhook-id`, where `.` separates the fields of what is signed.
fn part_of_id(request: &PreparedRequest) -> Option<String> {
    request.part.as_ref().map(|part| part.as_str().replace('.', "-"))
}

impl Host for RunState {}

impl HostRequest for RunState {
    fn new(&mut self) -> wasmtime::Result<Resource<RequestHandle>> {
        self.enter(0)?;
        Ok(self.drafts.add(self.limits.requests)?)
    }

    fn set_method(&mut self, request: Resource<RequestHandle>, method: Method) -> wasmtime::Result<()> {
        self.enter(0)?;
        self.drafts.get(&request)?.method = method;
        Ok(())
    }

    fn set_url(&mut self, request: Resource<RequestHandle>, url: String) -> wasmtime::Result<SetterAnswer> {
        self.enter(url.len())?;
        let parsed = match DeliveryUrl::parse(&url) {
            Ok(parsed) => parsed,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let allowed = self.run.endpoint.url.origin();
        if parsed.origin() != allowed {
            return Ok(Err(format!(
                "{} is not an origin that this endpoint allows: it allows {allowed}",
                parsed.origin()
            )));
        }
        self.drafts.get(&request)?.url = Some(parsed);
        Ok(Ok(()))
    }

    fn set_header(
        &mut self,
        request: Resource<RequestHandle>,
        name: String,
        value: String,
    ) -> wasmtime::Result<SetterAnswer> {
        self.enter(name.len() + value.len())?;
        let draft = self.drafts.get(&request)?;
        Ok(draft.check_header(&name, &value, true).map(|(name, value)| {
            draft.headers.insert(name, value);
        }))
    }

    fn append_header(
        &mut self,
        request: Resource<RequestHandle>,
        name: String,
        value: String,
    ) -> wasmtime::Result<SetterAnswer> {
        self.enter(name.len() + value.len())?;
        let draft = self.drafts.get(&request)?;
        Ok(draft.check_header(&name, &value, false).map(|(name, value)| {
            draft.headers.append(name, value);
        }))
    }

    fn set_secret_header(
        &mut self,
        _: Resource<RequestHandle>,
        name: String,
        _: String,
        secret: String,
        _: String,
    ) -> wasmtime::Result<SetterAnswer> {
        self.enter(name.len() + secret.len())?;
        Ok(Self::unknown_secret(&secret))
    }

    fn remove_header(&mut self, request: Resource<RequestHandle>, name: String) -> wasmtime::Result<()> {
        self.enter(name.len())?;
        self.drafts.get(&request)?.headers.remove(name.as_str());
        Ok(())
    }

    fn set_body(&mut self, request: Resource<RequestHandle>, body: Vec<u8>) -> wasmtime::Result<()> {
        self.enter(body.len())?;
        self.drafts.set_body(&request, RequestBody::Replaced(body.into()), self.limits.output_bytes)
    }

    fn set_body_text(&mut self, request: Resource<RequestHandle>, body: String) -> wasmtime::Result<()> {
        self.set_body(request, body.into_bytes())
    }

    fn set_body_patch(
        &mut self,
        request: Resource<RequestHandle>,
        patch: String,
    ) -> wasmtime::Result<SetterAnswer> {
        self.enter(patch.len())?;
        self.charge_read(self.run.event.body.len() + patch.len());
        let body = match json::merge_patch("event's body", &self.run.event.body, &patch) {
            Ok(body) => RequestBody::Replaced(Bytes::from(body)),
            Err(error) => return Ok(Err(error.to_string())),
        };
        self.drafts.set_body(&request, body, self.limits.output_bytes).map(Ok)
    }

    fn set_body_original(&mut self, request: Resource<RequestHandle>) -> wasmtime::Result<()> {
        self.enter(0)?;
        self.drafts.set_body(&request, RequestBody::Original, self.limits.output_bytes)
    }

    fn set_part_key(
        &mut self,
        request: Resource<RequestHandle>,
        key: String,
    ) -> wasmtime::Result<SetterAnswer> {
        self.enter(key.len())?;
        let draft = self.drafts.get(&request)?;
        Ok(match key.parse::<Name>() {
            Ok(name) => {
                draft.part = Some(name);
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        })
    }

    fn drop(&mut self, request: Resource<RequestHandle>) -> wasmtime::Result<()> {
        self.drafts.remove(&request)?;
        Ok(())
    }
}
