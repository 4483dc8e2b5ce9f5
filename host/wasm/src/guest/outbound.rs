//! `outbound`: requests under construction. Each argument is checked when it is set.

use std::sync::Arc;

use bytes::Bytes;
use hookmill_core::address::DeliveryUrl;
use hookmill_core::endpoint::Endpoint;
use hookmill_core::event::Name;
use hookmill_core::plugin::SecretName;
use hookmill_core::request::{BuildError, PreparedRequest, RequestBody, SecretHeader};
use http::{HeaderMap, HeaderName, HeaderValue};
use wasmtime::component::Resource;

use super::drafts::{Draft, Drafts};
use super::headers::{bytes_beside, check_room, checked_name, checked_value};
use super::{RequestHandle, RunState, unknown_secret};
use crate::bindings::hookmill::plugin::outbound::{Host, HostRequest, Method};
use crate::fault::Breach;
use crate::json;

type SetterAnswer = Result<(), String>;

/// A request that a plugin fills in.
pub(super) struct RequestDraft {
    method: Method,
    url: Option<DeliveryUrl>,
    headers: HeaderMap,
    secret_headers: Vec<SecretHeader>,
    body: RequestBody,
    part: Option<Name>,
}

impl Draft for RequestDraft {
    fn body_bytes(&self) -> usize {
        match &self.body {
            RequestBody::Original => 0,
            RequestBody::Replaced(bytes) => bytes.len(),
        }
    }

    fn too_many(max: usize) -> Breach {
        Breach::Requests { max }
    }
}

impl RequestDraft {
    fn new() -> Self {
        Self {
            method: Method::Post,
            url: None,
            headers: HeaderMap::new(),
            secret_headers: Vec::new(),
            body: RequestBody::Original,
            part: None,
        }
    }

    fn check_header(
        &self,
        name: &str,
        value: &str,
        replaces: bool,
    ) -> Result<(HeaderName, HeaderValue), String> {
        let name = checked_name(name)?;
        let value = checked_value(&name, value)?;
        self.check_room(name.as_str().len() + value.len(), replaces.then_some(&name))?;
        Ok((name, value))
    }

    /// The secret itself is not counted: how long it is, is nothing that a plugin may find out.
    fn check_secret_header(
        &self,
        name: &str,
        prefix: &str,
        secret: &str,
        suffix: &str,
    ) -> Result<SecretHeader, String> {
        let name = checked_name(name)?;
        let prefix = checked_value(&name, prefix)?;
        let suffix = checked_value(&name, suffix)?;
        let secret: SecretName = secret.parse().map_err(|_| unknown_secret(secret))?;
        self.check_room(name.as_str().len() + prefix.len() + suffix.len(), Some(&name))?;
        Ok(SecretHeader { name, prefix, secret, suffix })
    }

    fn check_room(&self, header_bytes: usize, replaced: Option<&HeaderName>) -> Result<(), String> {
        let secret = self.secret_headers.iter().filter(|header| Some(&header.name) != replaced);
        let secret_bytes =
            secret.map(|header| header.name.as_str().len() + header.prefix.len() + header.suffix.len());
        check_room(header_bytes, bytes_beside(&self.headers, replaced).chain(secret_bytes))
    }

    fn remove_header(&mut self, name: &str) {
        self.headers.remove(name);
        self.secret_headers.retain(|header| !header.name.as_str().eq_ignore_ascii_case(name));
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
            url: self.url.unwrap_or_else(|| endpoint.address()),
            made_for: Some(endpoint.address()),
            headers: self.headers,
            secret_headers: self.secret_headers,
            body: self.body,
            part: self.part,
        }
    }
}

/// The requests that the plugin returned.
pub(super) fn take_requests(
    drafts: &mut Drafts<RequestDraft>,
    returned: &[Resource<RequestHandle>],
    endpoint: &Endpoint,
) -> Result<Vec<PreparedRequest>, Breach> {
    if returned.is_empty() {
        return Err(Breach::NoRequests);
    }
    let mut requests: Vec<PreparedRequest> = Vec::with_capacity(returned.len());
    for handle in returned {
        let request = drafts.remove(handle.rep())?.into_request(endpoint);
        // Both would have the same `webhook-id`, and receivers drop what they have seen.
        if requests.iter().any(|other| part_of_id(other) == part_of_id(&request)) {
            return Err(Breach::PartKeys);
        }
        requests.push(request);
    }
    Ok(requests)
}

/// A part key as it goes into the `webhook-id`, where `.` separates the fields of what is signed.
fn part_of_id(request: &PreparedRequest) -> Option<String> {
    request.part.as_ref().map(|part| part.as_str().replace('.', "-"))
}

impl RunState {
    fn draft(&mut self, request: &Resource<RequestHandle>) -> Result<&mut RequestDraft, Breach> {
        self.requests().get(request.rep())
    }

    fn replace_body(&mut self, request: &Resource<RequestHandle>, body: RequestBody) -> wasmtime::Result<()> {
        let max = self.limits.output_bytes;
        Ok(self.requests().change_body(request.rep(), max, |draft| draft.body = body)?)
    }
}

impl Host for RunState {}

impl HostRequest for RunState {
    fn new(&mut self) -> wasmtime::Result<Resource<RequestHandle>> {
        self.enter(0)?;
        let max = self.limits.requests;
        Ok(Resource::new_own(self.requests().add(RequestDraft::new(), max)?))
    }

    fn set_method(&mut self, request: Resource<RequestHandle>, method: Method) -> wasmtime::Result<()> {
        self.enter(0)?;
        self.draft(&request)?.method = method;
        Ok(())
    }

    fn set_url(&mut self, request: Resource<RequestHandle>, url: String) -> wasmtime::Result<SetterAnswer> {
        self.enter(url.len())?;
        let parsed = match DeliveryUrl::parse(&url) {
            Ok(parsed) => parsed,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let endpoint = &self.delivery().endpoint;
        if !endpoint.admits_origin(&parsed.origin()) {
            let allowed = endpoint.origins().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Ok(Err(format!(
                "{} is not an origin that this endpoint allows: it allows {allowed}",
                parsed.origin()
            )));
        }
        self.draft(&request)?.url = Some(parsed);
        Ok(Ok(()))
    }

    fn set_header(
        &mut self,
        request: Resource<RequestHandle>,
        name: String,
        value: String,
    ) -> wasmtime::Result<SetterAnswer> {
        self.enter(name.len() + value.len())?;
        let draft = self.draft(&request)?;
        Ok(draft.check_header(&name, &value, true).map(|(name, value)| {
            draft.remove_header(name.as_str());
            draft.headers.append(name, value);
        }))
    }

    fn append_header(
        &mut self,
        request: Resource<RequestHandle>,
        name: String,
        value: String,
    ) -> wasmtime::Result<SetterAnswer> {
        self.enter(name.len() + value.len())?;
        let draft = self.draft(&request)?;
        Ok(draft.check_header(&name, &value, false).map(|(name, value)| {
            draft.headers.append(name, value);
        }))
    }

    fn set_secret_header(
        &mut self,
        request: Resource<RequestHandle>,
        name: String,
        prefix: String,
        secret: String,
        suffix: String,
    ) -> wasmtime::Result<SetterAnswer> {
        self.enter(name.len() + prefix.len() + secret.len() + suffix.len())?;
        let secrets = Arc::clone(&self.secrets);
        let draft = self.draft(&request)?;
        let header = match draft.check_secret_header(&name, &prefix, &secret, &suffix) {
            Ok(header) => header,
            Err(message) => return Ok(Err(message)),
        };
        // Tried now, for the error; written when the request is sent.
        match header.fill_in(&secrets) {
            Ok(_) => {
                draft.remove_header(header.name.as_str());
                draft.secret_headers.push(header);
                Ok(Ok(()))
            }
            Err(error) => {
                let message = error.to_string();
                if matches!(error, BuildError::Unbound { .. }) {
                    self.missing_secret.get_or_insert_with(|| message.clone());
                }
                Ok(Err(message))
            }
        }
    }

    fn remove_header(&mut self, request: Resource<RequestHandle>, name: String) -> wasmtime::Result<()> {
        self.enter(name.len())?;
        self.draft(&request)?.remove_header(&name);
        Ok(())
    }

    fn set_body(&mut self, request: Resource<RequestHandle>, body: Vec<u8>) -> wasmtime::Result<()> {
        self.enter(body.len())?;
        self.replace_body(&request, RequestBody::Replaced(body.into()))
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
        let event = Arc::clone(&self.delivery().event);
        self.charge_read(event.body.len() + patch.len());
        let body = match json::merge_patch("event's body", &event.body, &patch) {
            Ok(body) => RequestBody::Replaced(Bytes::from(body)),
            Err(error) => return Ok(Err(error.to_string())),
        };
        self.replace_body(&request, body).map(Ok)
    }

    fn set_body_original(&mut self, request: Resource<RequestHandle>) -> wasmtime::Result<()> {
        self.enter(0)?;
        self.replace_body(&request, RequestBody::Original)
    }

    fn set_part_key(
        &mut self,
        request: Resource<RequestHandle>,
        key: String,
    ) -> wasmtime::Result<SetterAnswer> {
        self.enter(key.len())?;
        let draft = self.draft(&request)?;
        Ok(match key.parse::<Name>() {
            Ok(name) => {
                draft.part = Some(name);
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        })
    }

    fn drop(&mut self, request: Resource<RequestHandle>) -> wasmtime::Result<()> {
        // A handle that an earlier run in this instance kept: what it was of is gone, and may be given back.
        if !self.requests().is_earlier(request.rep()) {
            self.requests().remove(request.rep())?;
        }
        Ok(())
    }
}
