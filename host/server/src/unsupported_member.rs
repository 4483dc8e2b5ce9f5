//! Members of bodies and parameters of queries that the Svix API knows and this router does not. They are refused by name,
//! with what to do instead, since leaving them out silently would do something else than was asked.

/// What is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unsupported {
    pub(crate) name: &'static str,
    /// What to do instead.
    pub(crate) instead: &'static str,
}

const MEMBERS: [Unsupported; 16] = [
    unsupported("deliverAt", "messages are delivered at once; send it when it is due"),
    unsupported("tags", "messages have no tags; filter by `channels` or by a `pattern`"),
    unsupported("payloadRetentionPeriod", "all payloads are kept for the router's `retention_days`"),
    unsupported("payloadRetentionHours", "all payloads are kept for the router's `retention_days`"),
    unsupported("featureFlags", "there are no feature flags"),
    unsupported("featureFlag", "there are no feature flags"),
    unsupported("deprecated", "event types are not marked as deprecated; archive it"),
    unsupported("exampleIndex", "the first example is sent"),
    unsupported("variables", "a script reads `settings` and `secrets`"),
    unsupported("readOnly", "make a key of the scope that fits with POST /api/v1/key"),
    unsupported("capabilities", "make a key of the scope that fits with POST /api/v1/key"),
    unsupported("expiry", "keys do not expire; delete it with DELETE /api/v1/key/{key}"),
    unsupported("sessionId", "there are no sessions"),
    unsupported("retrySchedule", "set `schedule` with PATCH .../endpoint/{endpoint}/policy"),
    unsupported("oauthConfig", "set a header or use a plugin with a secret"),
    unsupported("mtlsConfig", "client certificates are not sent"),
];

const PARAMETERS: [Unsupported; 6] = [
    unsupported("tag", "messages have no tags; filter by `channel` or `event_types`"),
    unsupported("with_msg", "read the message with GET .../msg/{message}"),
    unsupported("exclude_apps_with_no_endpoints", "all applications are listed"),
    unsupported("exclude_apps_with_disabled_endpoints", "all applications are listed"),
    unsupported("exclude_apps_with_svix_play_endpoints", "all applications are listed"),
    unsupported("exclude_svix_play", "all are counted"),
];

const fn unsupported(name: &'static str, instead: &'static str) -> Unsupported {
    Unsupported { name, instead }
}

/// The member of this name.
pub(crate) fn find(name: &str) -> Option<Unsupported> {
    MEMBERS.into_iter().find(|member| member.name == name)
}

/// The parameter of this name.
pub(crate) fn find_parameter(name: &str) -> Option<Unsupported> {
    PARAMETERS.into_iter().find(|parameter| parameter.name == name)
}

impl Unsupported {
    pub(crate) const CODE: &'static str = "not_supported";

    /// What is told.
    pub(crate) fn detail(self) -> String {
        format!("`{}` of the Svix API is not supported: {}; leave it out", self.name, self.instead)
    }
}
