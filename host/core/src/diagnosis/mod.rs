//! What a failed attempt most likely means, and what to do about it.
//!
//! [`diagnose`] reads what the attempt log keeps of a failure and answers with one row of a fixed [`table`]. The words are
//! those of the troubleshooting tables of the systems whose users come here: "Common Issues & Solutions" of the
//! conversation webhooks document and "Troubleshooting" of the Mifumo SMS document. Causes of a TLS failure are told
//! apart by what the TLS library says, which the transport writes into the detail.

mod table;

use crate::attempt::TransportFailure;
use crate::port::store::{AttemptRecord, AttemptResult};

/// What a failure most likely means.
#[derive(Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// Stable, for programs; failures with the same code have the same cause, as far as can be seen from here.
    pub code: &'static str,
    /// What happened, in one sentence.
    pub summary: &'static str,
    /// Why that happens, the likeliest first.
    pub causes: &'static [&'static str],
    /// What to do, in the order of trying.
    pub remedies: &'static [&'static str],
}

/// What the attempt log says of one failure.
#[derive(Debug, Clone, Copy)]
pub struct Symptom<'a> {
    /// The stable code of the failure.
    pub failure_code: &'a str,
    /// The status of the answer, where there was one.
    pub status: Option<u16>,
    /// What a person should read beside the code.
    pub detail: &'a str,
}

/// The diagnosis of an attempt; none where it did not fail.
#[must_use]
pub fn of_attempt(attempt: &AttemptRecord) -> Option<&'static Diagnosis> {
    match attempt.result {
        AttemptResult::Failed => Some(diagnose(Symptom {
            failure_code: attempt.failure_code.as_deref().unwrap_or_default(),
            status: attempt.status,
            detail: &attempt.detail,
        })),
        AttemptResult::Delivered | AttemptResult::Dropped | AttemptResult::Split => None,
    }
}

/// The diagnosis of a failure.
#[must_use]
pub fn diagnose(symptom: Symptom<'_>) -> &'static Diagnosis {
    let Symptom { failure_code, status, detail } = symptom;
    if let Some(class) = TransportFailure::from_code(failure_code) {
        return of_transport(class, detail);
    }
    match (failure_code, status) {
        ("status" | "", Some(status)) => of_status(status),
        (code, _) => of_code(code),
    }
}

fn of_transport(class: TransportFailure, detail: &str) -> &'static Diagnosis {
    match class {
        TransportFailure::DnsFailed => &table::DNS_FAILED,
        TransportFailure::AddressBlocked => &table::ADDRESS_BLOCKED,
        TransportFailure::ConnectRefused => &table::CONNECT_REFUSED,
        TransportFailure::ConnectFailed => &table::CONNECT_FAILED,
        TransportFailure::ConnectTimeout => &table::CONNECT_TIMEOUT,
        TransportFailure::TlsFailed => of_tls(detail),
        TransportFailure::ResponseTimeout => &table::RESPONSE_TIMEOUT,
        TransportFailure::BodyTimeout => &table::BODY_TIMEOUT,
        TransportFailure::ConnectionReset => &table::CONNECTION_RESET,
        TransportFailure::ProtocolError => &table::PROTOCOL_ERROR,
        TransportFailure::ResponseHeaderTooLarge => &table::RESPONSE_HEADER_TOO_LARGE,
    }
}

/// Where several texts fit, the first does: what is wrong with a certificate stands behind `invalid peer certificate`.
fn of_tls(detail: &str) -> &'static Diagnosis {
    const CAUSES: [(&str, &Diagnosis); 11] = [
        ("no certificate authorities", &table::TLS_NO_AUTHORITIES),
        ("certificate expired", &table::TLS_EXPIRED),
        ("certificate: Expired", &table::TLS_EXPIRED),
        ("not valid yet", &table::TLS_NOT_YET_VALID),
        ("NotValidYet", &table::TLS_NOT_YET_VALID),
        ("UnknownIssuer", &table::TLS_UNKNOWN_ISSUER),
        ("CaUsedAsEndEntity", &table::TLS_UNKNOWN_ISSUER),
        ("not valid for name", &table::TLS_NAME_MISMATCH),
        ("NotValidForName", &table::TLS_NAME_MISMATCH),
        ("Revoked", &table::TLS_REVOKED),
        ("invalid peer certificate", &table::TLS_CERTIFICATE_INVALID),
    ];
    CAUSES.iter().find(|(text, _)| detail.contains(text)).map_or(&table::TLS_HANDSHAKE, |(_, cause)| cause)
}

fn of_status(status: u16) -> &'static Diagnosis {
    match status {
        400 => &table::BAD_REQUEST,
        401 => &table::UNAUTHORIZED,
        403 => &table::FORBIDDEN,
        404 => &table::NOT_FOUND,
        405 => &table::METHOD_NOT_ALLOWED,
        408 => &table::REQUEST_TIMEOUT,
        410 => &table::GONE,
        413 => &table::TOO_LARGE,
        415 => &table::MEDIA_TYPE,
        429 => &table::RATE_LIMITED,
        502..=504 => &table::SERVICE_UNAVAILABLE,
        other => of_status_class(other / 100),
    }
}

fn of_status_class(hundreds: u16) -> &'static Diagnosis {
    match hundreds {
        2 => &table::SUCCESS_NOT_ADMITTED,
        3 => &table::REDIRECT,
        4 => &table::CLIENT_ERROR,
        _ => &table::SERVER_ERROR,
    }
}

/// Failures before or after the request: of plugins, of what a request is made of, of handshakes.
fn of_code(code: &str) -> &'static Diagnosis {
    match code {
        "classifier" => &table::CLASSIFIER,
        "plugin_asked_retry" => &table::PLUGIN_ASKED_RETRY,
        "plugin_rejected" => &table::PLUGIN_REJECTED,
        "plugin_missing" | "plugin_unavailable" | "plugin_not_loaded" | "plugin_version_unknown" => {
            &table::PLUGIN_MISSING
        }
        "plugin_queue_full" | "plugin_host_stopped" | "plugin_host_failed" => &table::PLUGIN_HOST,
        "plugin_out_of_fuel" | "plugin_deadline" => &table::PLUGIN_SLOW,
        "plugin_memory_limit" | "plugin_table_limit" | "plugin_handle_limit" | "plugin_stack_overflow" => {
            &table::PLUGIN_MEMORY
        }
        "secret_not_bound" | "secret_not_a_header" => &table::SECRET,
        "url_not_https" => &table::URL_NOT_HTTPS,
        "destination_not_allowed" => &table::DESTINATION_NOT_ALLOWED,
        "challenge_not_echoed" => &table::CHALLENGE_NOT_ECHOED,
        "origin_not_allowed" => &table::ORIGIN_NOT_ALLOWED,
        "rate_not_allowed" => &table::RATE_NOT_ALLOWED,
        code if code.starts_with("compose_") || code.starts_with("url_") => &table::COMPOSITION,
        code if code.starts_with("plugin_") && code.ends_with("_limit") => &table::PLUGIN_OUTPUT,
        code if code.starts_with("plugin_") => &table::PLUGIN_FAULT,
        _ => &table::UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn code(failure_code: &str, status: Option<u16>, detail: &str) -> &'static str {
        diagnose(Symptom { failure_code, status, detail }).code
    }

    #[test]
    fn every_class_of_transport_failure_has_its_own() {
        let codes: BTreeSet<&str> =
            TransportFailure::ALL.iter().map(|class| code(class.code(), None, "")).collect();
        assert_eq!(codes.len(), TransportFailure::ALL.len(), "{codes:?}");
        for class in TransportFailure::ALL.into_iter().filter(|class| *class != TransportFailure::TlsFailed) {
            assert_eq!(code(class.code(), None, ""), class.code());
        }
    }

    /// The texts are those of rustls, with and without what it calls context.
    #[test]
    fn a_tls_failure_is_told_by_its_cause() {
        let check =
            |detail: &str, expect: &str| assert_eq!(code("tls_failed", None, detail), expect, "{detail}");
        let certificate =
            |text: &str, expect: &str| check(&format!("invalid peer certificate: {text}"), expect);
        certificate(
            "certificate expired: verification time 1795309323 (UNIX), but certificate is not valid after 1 (2 seconds ago)",
            "tls_expired",
        );
        certificate("Expired", "tls_expired");
        certificate(
            "certificate not valid yet: verification time 1 (UNIX), but certificate is not valid before 3 (2 seconds in future)",
            "tls_not_yet_valid",
        );
        certificate("NotValidYet", "tls_not_yet_valid");
        certificate("UnknownIssuer", "tls_unknown_issuer");
        certificate("Other(OtherError(CaUsedAsEndEntity))", "tls_unknown_issuer");
        certificate(
            r#"certificate not valid for name "other.example"; certificate is only valid for DnsName("hooks.example")"#,
            "tls_name_mismatch",
        );
        certificate("NotValidForName", "tls_name_mismatch");
        certificate("Revoked", "tls_revoked");
        certificate("BadSignature", "tls_certificate_invalid");
        check("received fatal alert: HandshakeFailure", "tls_handshake");
        check("received corrupt message of type InvalidContentType", "tls_handshake");
        check("peer is incompatible: ServerDoesNotSupportTls12Or13", "tls_handshake");
        check("tls handshake eof", "tls_handshake");
        check(
            "this machine has no certificate authorities: install them or set SSL_CERT_FILE",
            "tls_no_authorities",
        );
        check("", "tls_handshake");
    }

    #[test]
    fn a_status_is_told_by_itself_or_by_its_class() {
        let check =
            |status: u16, expect: &str| assert_eq!(code("status", Some(status), ""), expect, "{status}");
        check(204, "success_not_admitted");
        check(301, "redirect");
        check(400, "bad_request");
        check(401, "unauthorized");
        check(402, "client_error");
        check(403, "forbidden");
        check(404, "not_found");
        check(405, "method_not_allowed");
        check(408, "request_timeout");
        check(410, "gone");
        check(413, "too_large");
        check(415, "media_type");
        check(422, "client_error");
        check(429, "rate_limited");
        check(500, "server_error");
        check(502, "service_unavailable");
        check(503, "service_unavailable");
        check(504, "service_unavailable");
        check(599, "server_error");
    }

    #[test]
    fn other_failures_are_told_in_groups() {
        let check = |codes: &[&str], expect: &str| {
            for failure_code in codes {
                assert_eq!(code(failure_code, None, ""), expect, "{failure_code}");
            }
        };
        check(&["plugin_asked_retry"], "plugin_asked_retry");
        check(&["plugin_rejected"], "plugin_rejected");
        check(&["plugin_missing", "plugin_unavailable", "plugin_not_loaded"], "plugin_missing");
        check(&["plugin_queue_full", "plugin_host_stopped", "plugin_host_failed"], "plugin_host");
        check(&["plugin_out_of_fuel", "plugin_deadline"], "plugin_slow");
        check(
            &["plugin_memory_limit", "plugin_table_limit", "plugin_handle_limit", "plugin_stack_overflow"],
            "plugin_memory",
        );
        check(
            &[
                "plugin_host_call_limit",
                "plugin_output_limit",
                "plugin_request_limit",
                "plugin_host_call_bytes_limit",
            ],
            "plugin_output",
        );
        check(
            &["plugin_trap", "plugin_exit", "plugin_wasi_refused", "plugin_part_keys", "plugin_new_kind"],
            "plugin_fault",
        );
        check(&["secret_not_bound", "secret_not_a_header"], "secret");
        check(&["url_not_https"], "url_not_https");
        check(&["destination_not_allowed"], "destination_not_allowed");
        check(&["compose_value_missing", "url_too_long"], "composition");
        check(&["challenge_not_echoed"], "challenge_not_echoed");
        check(&["origin_not_allowed"], "origin_not_allowed");
        check(&["rate_not_allowed"], "rate_not_allowed");
        check(&["", "never_heard_of"], "unknown");
        assert_eq!(code("classifier", Some(200), "the reason"), "classifier");
    }

    #[test]
    fn no_two_are_equal_and_each_says_what_to_do() {
        let (mut codes, mut summaries) = (BTreeSet::new(), BTreeSet::new());
        for row in table::ALL {
            assert!(codes.insert(row.code), "{}", row.code);
            assert!(summaries.insert(row.summary), "{}", row.summary);
            assert!(!row.causes.is_empty() && !row.remedies.is_empty(), "{}", row.code);
        }
    }
}
