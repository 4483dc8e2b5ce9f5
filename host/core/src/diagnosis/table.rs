//! The diagnoses, as data.

use super::Diagnosis;

/// A row of the table.
macro_rules! diagnoses {
    ($(
        $name:ident = $code:literal, $summary:literal,
        [$($cause:literal),+ $(,)?],
        [$($remedy:literal),+ $(,)?];
    )+) => {
        $(
            pub(super) const $name: Diagnosis = Diagnosis {
                code: $code,
                summary: $summary,
                causes: &[$($cause),+],
                remedies: &[$($remedy),+],
            };
        )+

        #[cfg(test)]
        pub(super) const ALL: &[&Diagnosis] = &[$(&$name),+];
    };
}

diagnoses! {
    // The connection.
    DNS_FAILED = "dns_failed", "the name of the receiver's host has no address",
        [
            "the host is misspelt in the URL",
            "the DNS record is missing or not public yet",
            "the router's name servers do not answer",
        ],
        [
            "look the name up from the router's machine",
            "correct the URL, or add the record",
            "check the router's name servers (/etc/resolv.conf)",
        ];
    ADDRESS_BLOCKED = "address_blocked", "the router refuses to send to the address of the receiver's host",
        [
            "the host is on the router's own or a private network",
            "its name resolves to such an address from here",
        ],
        [
            "give a URL with a public address",
            "if the private receiver is meant: `allow_addresses`, or --allow-private-network",
        ];
    CONNECT_REFUSED = "connect_refused", "the receiver's machine answers, but nothing listens on this port",
        [
            "the receiver's server is down",
            "the port in the URL is wrong",
            "a firewall rejects the connection",
        ],
        [
            "start the receiver's server",
            "check the port in the webhook URL",
            "check firewall and security group settings",
        ];
    CONNECT_FAILED = "connect_failed", "no connection can be made to the receiver's machine",
        [
            "there is no route to its network",
            "a firewall or security group drops the connection",
            "the router's machine is offline",
        ],
        [
            "check that the webhook URL is accessible from the router's machine",
            "check firewall and security group settings",
        ];
    CONNECT_TIMEOUT = "connect_timeout", "the receiver's machine did not take the connection in time",
        [
            "a firewall or security group drops packets",
            "the receiver is overloaded",
            "an https URL leads to a port without TLS",
        ],
        [
            "check firewall and security group settings",
            "check that the URL's scheme fits its port",
            "raise the policy's `timeoutMs`",
        ];
    RESPONSE_TIMEOUT = "response_timeout", "the receiver took the request, but did not answer in time",
        ["slow processing before the answer", "heavy payload", "network latency"],
        [
            "answer at once and process afterwards (asynchronous processing)",
            "optimize the webhook handler and the payload's size",
            "raise the policy's `timeoutMs` if the receiver needs it",
        ];
    BODY_TIMEOUT = "body_timeout", "the receiver began its answer, but did not end it in time",
        ["the receiver streams its answer", "a proxy in front of it stalls"],
        ["answer with a short body or none", "check the proxy in front of the receiver"];
    CONNECTION_RESET = "connection_reset",
        "the receiver closed the connection before its answer was complete",
        [
            "the receiver's process crashed or was restarted",
            "a proxy or load balancer cut the connection",
            "the request is larger than the receiver reads",
        ],
        [
            "read the receiver's server logs at the time of the attempt",
            "check the limits and timeouts of what stands in front of it",
        ];
    PROTOCOL_ERROR = "protocol_error", "what came back is not HTTP",
        [
            "the port belongs to another service",
            "an http URL leads to a port with TLS",
            "the receiver breaks its headers or chunks",
        ],
        [
            "check the scheme and the port of the webhook URL",
            "request the URL with curl -v and look at the answer",
        ];
    RESPONSE_HEADER_TOO_LARGE = "response_header_too_large",
        "the headers of the receiver's answer are larger than the router reads",
        ["the receiver sets many or large cookies"],
        ["answer webhooks without cookies and with few headers"];

    // TLS.
    TLS_EXPIRED = "tls_expired", "the receiver's certificate has expired",
        ["expired certificate", "the clock of the router's machine is ahead"],
        [
            "renew the certificate, and set up auto-renewal",
            "compare the clock of the router's machine with the true time",
        ];
    TLS_NOT_YET_VALID = "tls_not_yet_valid", "the receiver's certificate is not valid yet",
        ["the clock of the router's machine is behind", "the certificate was issued for later"],
        ["set the clock of the router's machine by NTP", "install the certificate that is valid now"];
    TLS_UNKNOWN_ISSUER = "tls_unknown_issuer",
        "the receiver's certificate comes from an authority that the router does not trust",
        [
            "self-signed certificate",
            "the receiver does not send its intermediate certificates",
            "a private authority",
        ],
        [
            "update the certificate with one of a public authority",
            "configure the server to send the full chain",
            "add a private authority to the trusted ones of the router's machine",
        ];
    TLS_NAME_MISMATCH = "tls_name_mismatch", "the receiver's certificate is for another host name",
        [
            "certificate mismatch",
            "the URL has an address or an alias instead of the certificate's name",
            "the server picks a wrong virtual host",
        ],
        ["verify that the domain of the URL matches the certificate", "issue a certificate with this name"];
    TLS_REVOKED = "tls_revoked", "the receiver's certificate was revoked",
        ["its key was exposed, or it was replaced"],
        ["install a new certificate"];
    TLS_CERTIFICATE_INVALID = "tls_certificate_invalid", "the receiver's certificate can't be accepted",
        ["invalid certificate", "an outdated signature algorithm or key usage"],
        ["update the SSL certificate", "check it with: openssl s_client -connect HOST:PORT"];
    TLS_HANDSHAKE = "tls_handshake", "the TLS handshake with the receiver failed",
        [
            "the port speaks no TLS",
            "the receiver offers TLS 1.1 or older only",
            "no cipher suite in common",
            "the receiver wants a client certificate",
        ],
        [
            "check the scheme and the port of the webhook URL",
            "offer TLS 1.2 or 1.3",
            "check it with: openssl s_client -connect HOST:PORT",
        ];
    TLS_NO_AUTHORITIES = "tls_no_authorities",
        "the router's machine has no certificate authorities, so it trusts no receiver",
        ["a minimal image without the package of certificate authorities"],
        ["install ca-certificates on the router's machine, or set SSL_CERT_FILE, and start the router again"];

    // Answers.
    SUCCESS_NOT_ADMITTED = "success_not_admitted",
        "the receiver answered with a 2xx that the endpoint's terms do not count as success",
        ["the endpoint's `success` rule is `200`"],
        ["answer with 200, or set the policy's `success` to `2xx`"];
    REDIRECT = "redirect", "the receiver answered with a redirect, which is not followed",
        [
            "the URL changed",
            "http is redirected to https",
            "a trailing slash is missing or too much",
            "the path leads to a login page",
        ],
        ["update the webhook URL to where the redirect points"];
    BAD_REQUEST = "bad_request", "the receiver says that the request is malformed (400)",
        [
            "the payload has another format than the handler expects",
            "the handler's check of the signature or its timestamp failed",
        ],
        [
            "validate the payload's format against what the receiver documents",
            "verify with the endpoint's current secret, over the raw body",
            "use a plugin or a composition to reshape the payload",
        ];
    UNAUTHORIZED = "unauthorized",
        "the receiver does not accept the request's credentials or signature (401)",
        [
            "the secret was rotated on one side only",
            "the handler verifies a parsed body instead of its raw bytes",
            "clocks differ by more than the receiver tolerates",
            "an authorization header is missing",
        ],
        [
            "compare the secret with `hookmill endpoint secret`",
            "check the clocks of both machines",
            "set the header that the receiver wants on the endpoint",
        ];
    FORBIDDEN = "forbidden", "the receiver refuses the request (403)",
        [
            "a web application firewall or an address filter",
            "a framework's CSRF check on the webhook's path",
            "signature refused",
        ],
        [
            "admit the router's address where the receiver filters",
            "exempt the webhook's path from CSRF checks",
            "compare the secret with `hookmill endpoint secret`",
        ];
    NOT_FOUND = "not_found", "the receiver has nothing at this URL (404)",
        ["invalid URL", "URL changed", "service unavailable: the route is not deployed"],
        ["check the webhook configuration", "update the webhook URL", "verify the service's status"];
    METHOD_NOT_ALLOWED = "method_not_allowed", "the receiver does not take this method at this URL (405)",
        ["the handler is registered for GET, or for another path", "the URL is that of a page"],
        ["accept POST at the webhook's path", "check the webhook URL"];
    REQUEST_TIMEOUT = "request_timeout", "the receiver gave up reading the request (408)",
        ["heavy payload", "network latency", "an overloaded receiver or proxy"],
        ["optimize the payload's size", "check the read timeout of what stands in front of the receiver"];
    GONE = "gone", "the receiver says that it wants no events any more (410)",
        ["the webhook was removed on the receiver's side"],
        ["delete the endpoint, or update its URL and run `hookmill endpoint enable`"];
    TOO_LARGE = "too_large", "the payload is larger than the receiver takes (413)",
        ["a limit of the receiver or its proxy (client_max_body_size, body parser)"],
        ["raise the receiver's limit to 1 MiB", "optimize the payload's size with a plugin or a composition"];
    MEDIA_TYPE = "media_type", "the receiver does not take this content type (415)",
        ["the handler expects form data or another media type"],
        ["accept application/json", "set the content type with a plugin or a composition"];
    RATE_LIMITED = "rate_limited", "the receiver asks to be sent less (429)",
        ["more deliveries than its rate limit allows"],
        [
            "set the policy's `rate` and `concurrency` to what the receiver takes",
            "raise the receiver's rate limit",
        ];
    CLIENT_ERROR = "client_error", "the receiver refuses the request (4xx)",
        ["the handler does not accept this event or its format"],
        [
            "read the answer's body in the attempt, and the receiver's server logs",
            "send only the event types that the handler knows",
        ];
    SERVER_ERROR = "server_error", "the receiver failed while it handled the request (5xx)",
        ["an error in the webhook handler", "a database or service behind it is down"],
        [
            "read the receiver's server logs at the time of the attempt",
            "answer at once and process afterwards, so that errors behind do not repeat deliveries",
        ];
    SERVICE_UNAVAILABLE = "service_unavailable", "the receiver is away or overloaded (502, 503 or 504)",
        [
            "a deployment or an outage",
            "the proxy in front does not reach the service",
            "slow processing behind a proxy",
        ],
        [
            "verify the service's status",
            "wait: deliveries are retried",
            "answer at once and process afterwards",
        ];
    CLASSIFIER = "classifier", "the endpoint's classifier read the answer as a failure",
        ["the receiver reports an error in the body of its answer"],
        ["read the reason and the answer's body in the attempt"];

    // Plugins, and what requests are made of.
    PLUGIN_ASKED_RETRY = "plugin_asked_retry", "the plugin asked to be run again later",
        ["the plugin finds the event not ready"],
        ["read its reason in the attempt"];
    PLUGIN_REJECTED = "plugin_rejected", "the plugin says that this event can never be delivered",
        ["the event lacks what the plugin needs"],
        ["read its reason in the attempt, correct the event or the plugin, and send the event again"];
    PLUGIN_MISSING = "plugin_missing", "the plugin of the endpoint is not there",
        ["the plugin or its version was deleted", "its bytes can't be loaded"],
        ["upload it again with `hookmill plugin push`, or choose another"];
    PLUGIN_HOST = "plugin_host", "the router had no room to run the plugin",
        ["more runs wait than may wait", "the router is stopping"],
        ["wait: deliveries are retried", "look for slow plugins, and give the router more cores"];
    PLUGIN_SLOW = "plugin_slow", "the plugin took more time than a run may take",
        ["an endless loop", "heavy payload"],
        [
            "run it with `hookmill plugin run` on this event and look at its cost",
            "roll back with `hookmill plugin rollback`",
        ];
    PLUGIN_MEMORY = "plugin_memory", "the plugin took more memory than a run may take",
        ["unbounded recursion or buffers", "heavy payload"],
        ["run it with `hookmill plugin run` on this event", "roll back with `hookmill plugin rollback`"];
    PLUGIN_OUTPUT = "plugin_output", "the plugin made more than a run may make",
        ["too many requests, too large bodies, or too many calls of the host"],
        ["make less of one event", "roll back with `hookmill plugin rollback`"];
    PLUGIN_FAULT = "plugin_fault", "the plugin crashed or broke a rule",
        ["an event that the plugin does not expect", "a bug of the plugin"],
        [
            "run it with `hookmill plugin run` on this event and read its log",
            "roll back with `hookmill plugin rollback`",
        ];
    SECRET = "secret", "a secret that the request needs is missing or unfit",
        ["the secret was unbound from the endpoint", "it has a line break at its end"],
        ["bind the secret to the endpoint again"];
    URL_NOT_HTTPS = "url_not_https", "the endpoint's terms want https, and the request would go elsewhere",
        ["the plugin or the composition makes an http URL"],
        ["make an https URL, or set the policy's `url` to `any`"];
    DESTINATION_NOT_ALLOWED = "destination_not_allowed",
        "the request would go to an origin that the endpoint does not allow",
        ["the endpoint's URL or its allowed origins changed after the request was made", "the plugin names another host"],
        ["add the origin to the transformation's `allowedOrigins`, or correct what names it"];
    COMPOSITION = "composition", "no request could be composed for this event",
        ["the event lacks a value that the composition needs", "a value does not fit its place"],
        ["preview the composition against the event, and correct it"];

    // Verification of endpoints.
    CHALLENGE_NOT_ECHOED = "challenge_not_echoed", "the receiver answered, but did not echo the challenge",
        [
            "the handler does not know events of the type `webhook.verification`",
            "it adds something to the challenge",
        ],
        ["answer such a request with its `challenge`, as the whole body or as {\"challenge\": \"...\"}"];
    ORIGIN_NOT_ALLOWED = "origin_not_allowed",
        "the receiver answered, but did not allow this router as an origin",
        [
            "the handler does not know the OPTIONS handshake of CloudEvents",
            "its list of origins lacks the router's",
        ],
        [
            "answer OPTIONS with WebHook-Allowed-Origin: the origin that the request names, or *",
            "set the router's `origin` to the name that the receiver expects",
        ];
    RATE_NOT_ALLOWED = "rate_not_allowed", "the receiver allowed the origin, but no rate",
        ["WebHook-Allowed-Rate is missing from the answer, or is no number above 0"],
        ["answer OPTIONS with WebHook-Allowed-Rate: a number of requests per minute, or *"];
    UNKNOWN = "unknown", "the attempt failed in a way that has no diagnosis",
        ["see the failure's code and detail"],
        ["read the attempt, and the router's log at that time"];
}
