//! Where the requests of an endpoint go: the one place that says so.
//!
//! An endpoint has an [`address`](Endpoint::address), where it is asked whether it wants events, and
//! [origins](Endpoint::admits_origin), beyond which none of its requests goes, whoever made them: the event as it came, a
//! composition, a plugin. Consent is given for all that decides about the address; whoever changes any of it, by
//! whichever way, has [another destination](Endpoint::is_asked_as), and the consent is gone. A request that was made
//! earlier and kept for its retries follows the endpoint ([`Endpoint::kept`]).

use thiserror::Error;

use crate::address::{DeliveryUrl, Origin};
use crate::compose::Composition;
use crate::endpoint::Endpoint;
use crate::request::PreparedRequest;

/// An endpoint that is to be verified, and whose requests could go where it is not asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "an endpoint that is verified has one origin, that of the URL where it is asked; this one may also send to {origin}: \
     leave that out, or make an endpoint of its own for it"
)]
pub struct ManyOrigins {
    /// One that is not asked.
    pub origin: Origin,
}

/// What becomes of a request that was kept for a delivery's retries.
#[derive(Debug, Clone, PartialEq)]
pub enum Kept {
    /// It is sent, wherever the endpoint is now.
    Send(Box<PreparedRequest>),
    /// It was for another address and can't be led to this one; the request is made anew of the event.
    MakeAnew,
}

impl Endpoint {
    /// Where it is asked whether it wants events, and where requests go that say nothing else: its URL, or as much of its
    /// composition's as holds for every event.
    #[must_use]
    pub fn address(&self) -> DeliveryUrl {
        self.transformation.composition().map_or_else(|| self.url.clone(), Composition::base_url)
    }

    /// Whether its requests may go there.
    #[must_use]
    pub fn admits_origin(&self, origin: &Origin) -> bool {
        match self.transformation.composition() {
            Some(composition) => composition.origins().contains(origin),
            None => self.url.origin() == *origin || self.transformation.further_origins().contains(origin),
        }
    }

    /// Every origin that its requests may go to; at least one.
    #[must_use]
    pub fn origins(&self) -> Vec<Origin> {
        match self.transformation.composition() {
            Some(composition) => composition.origins().to_vec(),
            None => {
                let further = self.transformation.further_origins().iter().cloned();
                std::iter::once(self.url.origin()).chain(further).collect()
            }
        }
    }

    /// Whether a consent of the endpoint as `asked` is one of this endpoint: it is asked in the same way at the same address,
    /// and its requests go nowhere else.
    #[must_use]
    pub fn is_asked_as(&self, asked: &Self) -> bool {
        let template = |endpoint: &Self| {
            let composition = endpoint.transformation.composition();
            composition.map(|composition| composition.raw().url.trim().to_owned())
        };
        self.verification == asked.verification
            && self.address() == asked.address()
            && self.origins() == asked.origins()
            && template(self) == template(asked)
    }

    /// Whether all of its origins are asked, where it has to be verified.
    ///
    /// # Errors
    /// An origin that a handshake does not reach.
    pub fn check_verifiable(&self) -> Result<(), ManyOrigins> {
        if self.verification.is_none() {
            return Ok(());
        }
        let asked = self.address().origin();
        match self.origins().into_iter().find(|origin| *origin != asked) {
            Some(origin) => Err(ManyOrigins { origin }),
            None => Ok(()),
        }
    }

    /// What becomes of a request that an earlier attempt made and kept. Its bytes stay; where it goes is where the endpoint
    /// is now. One that was composed goes on as it was where it goes to an origin that the endpoint still has; else it is
    /// composed again: what it holds for the old receiver, such as a token, is nothing for the new one.
    #[must_use]
    pub fn kept(&self, prepared: &PreparedRequest) -> Kept {
        let (address, origin) = (self.address(), prepared.url.origin());
        let is_admitted = self.admits_origin(&origin);
        let made_for = prepared.made_for.as_ref();
        let follows = self.transformation.composition().is_none();
        if is_admitted && (!follows || made_for.is_none_or(|made_for| *made_for == address)) {
            return Kept::Send(Box::new(prepared.clone()));
        }
        let is_part = prepared.part.is_some();
        let url = match made_for {
            Some(made_for) if follows && prepared.url == *made_for => address,
            Some(made_for) if follows && origin == made_for.origin() => address.with_path_of(&prepared.url),
            Some(_) if follows && is_admitted => prepared.url.clone(),
            // The event would be all of its parts again.
            Some(_) | None if is_part => address,
            Some(_) | None => return Kept::MakeAnew,
        };
        Kept::Send(Box::new(PreparedRequest { url, ..prepared.clone() }))
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::compose::{MissingRule, RawBody, RawComposition};
    use crate::endpoint::Transformation;
    use crate::handshake::HandshakeMethod;
    use crate::test_values;

    const URL: &str = "https://a.example/hook";

    fn composed(url: &str, allowed_origins: &[&str]) -> Endpoint {
        let raw = RawComposition {
            name: "n".to_owned(),
            method: Method::POST,
            url: url.to_owned(),
            headers: Vec::new(),
            body: RawBody::None,
            missing: MissingRule::default(),
            allowed_origins: allowed_origins.iter().map(|text| (*text).to_owned()).collect(),
        };
        let transformation = Transformation::Composed(Box::new(Composition::parse(raw, None).unwrap()));
        Endpoint {
            transformation,
            verification: Some(HandshakeMethod::Challenge),
            ..test_values::endpoint(URL)
        }
    }

    fn plain(url: &str) -> Endpoint {
        Endpoint { verification: Some(HandshakeMethod::Challenge), ..test_values::endpoint(url) }
    }

    #[test]
    fn consent_is_for_all_that_decides_about_the_address() {
        let check = |before: &Endpoint, after: &Endpoint, expect: bool| {
            assert_eq!(after.is_asked_as(before), expect, "{} {}", before.address(), after.address());
            assert_eq!(before.is_asked_as(after), expect);
        };
        check(&plain(URL), &plain(URL), true);
        check(&plain(URL), &plain("https://a.example/other"), false);
        check(&plain(URL), &Endpoint { verification: None, ..plain(URL) }, false);
        check(&plain(URL), &composed("https://b.example/", &[]), false);
        check(
            &composed("https://b.example/@{{a.b}}", &[]),
            &composed("https://b.example/@{{a.c}}", &[]),
            false,
        );
        check(&composed("https://b.example/x", &[]), &composed(" https://b.example/x", &[]), true);
        let own_url_unused =
            Endpoint { url: "https://c.example/".parse().unwrap(), ..composed("https://b.example/x", &[]) };
        check(&composed("https://b.example/x", &[]), &own_url_unused, true);
        let origins = ["https://a.example", "https://b.example"];
        check(&composed("https://@{{a.b}}/", &origins), &composed("https://@{{a.b}}/", &origins[..1]), false);
    }

    #[test]
    fn what_is_verified_has_one_origin() {
        let check = |endpoint: &Endpoint, expect: Option<&str>| {
            let refused = endpoint.check_verifiable().err();
            assert_eq!(refused.map(|refused| refused.origin.to_string()).as_deref(), expect);
        };
        check(&plain(URL), None);
        check(&composed("https://a.example/@{{a.b}}", &[]), None);
        let origins = ["https://a.example", "https://b.example"];
        let many = composed("https://@{{a.b}}/", &origins);
        check(&many, Some("https://b.example"));
        check(&Endpoint { verification: None, ..many }, None);
    }

    #[test]
    fn a_kept_request_follows_its_endpoint() {
        let made = |at: &Endpoint, url: &str| PreparedRequest {
            url: url.parse().unwrap(),
            ..PreparedRequest::original(at)
        };
        let check = |prepared: &PreparedRequest, now: &Endpoint, expect: Option<&str>| {
            let url = match now.kept(prepared) {
                Kept::Send(prepared) => Some(prepared.url.to_string()),
                Kept::MakeAnew => None,
            };
            assert_eq!(url.as_deref(), expect, "{} at {}", prepared.url, now.address());
        };
        let (old, new) = (plain(URL), plain("https://new.example/in"));
        check(&made(&old, URL), &old, Some(URL));
        check(&made(&old, "https://a.example/made?q=1"), &old, Some("https://a.example/made?q=1"));
        check(&made(&old, URL), &new, Some("https://new.example/in"));
        check(&made(&old, URL), &plain("https://a.example/moved"), Some("https://a.example/moved"));
        check(&made(&old, "https://a.example/made?q=1"), &new, Some("https://new.example/made?q=1"));
        // Kept by a version that did not note the address.
        let unnoted = PreparedRequest { made_for: None, ..made(&old, URL) };
        check(&unnoted, &old, Some(URL));
        check(&unnoted, &new, None);
        let part = PreparedRequest { part: Some("p".parse().unwrap()), ..unnoted };
        check(&part, &new, Some("https://new.example/in"));

        let (first, second) =
            (composed("https://b.example/@{{a.b}}", &[]), composed("https://c.example/@{{a.b}}", &[]));
        let sent = made(&first, "https://b.example/7");
        check(&sent, &first, Some("https://b.example/7"));
        check(&sent, &composed("https://b.example/other", &[]), Some("https://b.example/7"));
        check(&sent, &second, None);
        check(&sent, &new, Some("https://new.example/7"));
    }
}
