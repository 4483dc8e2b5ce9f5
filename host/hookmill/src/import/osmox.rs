//! Webhooks of an OsmoX server, as its MySQL database has them.
//!
//! The columns of `notify_webhooks`, as the server's migrations make them: `id`, `provider_id`, `webhook_url` (in its
//! first version `webhookUrl`), `is_verified`, `created_on`, `updated_on`, `status`, which is 1 for an active webhook
//! and 0 for one that was removed.

use std::collections::BTreeMap;
use std::io::BufRead;

use hookmill_core::address::{DeliveryUrl, InvalidUrl};
use hookmill_core::limits::APPLICATION_ENDPOINTS_MAX;
use serde_json::{Value as Json, json};

use super::dump::{Dump, DumpError, Row, Value};
use super::report::{Creation, Item, Kind};

/// The application that gets the endpoints, unless another one is named.
pub(crate) const APPLICATION: &str = "osmox";
/// Where the webhooks are.
pub(crate) const TABLE: &str = "notify_webhooks";
/// Rows that are held: for each endpoint that an application may have, some that it had before.
const ROWS_MAX: usize = 10 * APPLICATION_ENDPOINTS_MAX;
const ACTIVE: i64 = 1;

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Webhook {
    line: u64,
    /// Rows that were made later have higher ones.
    id: i64,
    provider_id: i64,
    /// As it is in the table; not there where the column is NULL.
    url: Option<Vec<u8>>,
    is_active: bool,
}

/// What is to be made of the table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Plan {
    pub(crate) endpoints: Vec<Creation>,
    /// What is not made, and why.
    pub(crate) left_out: Vec<Item>,
}

/// Reads the table out of a dump.
///
/// # Errors
/// What is no dump, or has no such table.
pub(crate) fn read(dump: impl BufRead) -> Result<Vec<Webhook>, DumpError> {
    let mut webhooks = Vec::new();
    Dump::new(dump, TABLE).read(|row| {
        if webhooks.len() == ROWS_MAX {
            return Err(DumpError::TooManyRows { line: row.line, table: TABLE, rows_max: ROWS_MAX });
        }
        webhooks.push(webhook(row)?);
        Ok(())
    })?;
    Ok(webhooks)
}

/// Decides what becomes of each row.
///
/// A provider has one endpoint: of the active row that was registered last. One without an active row has a disabled
/// endpoint where `include_inactive` is set, and else none.
pub(crate) fn plan(webhooks: &[Webhook], include_inactive: bool) -> Plan {
    let winners = winners(webhooks);
    let mut plan = Plan::default();
    for (index, webhook) in webhooks.iter().enumerate() {
        let winner = winners[&webhook.provider_id];
        let item = webhook.item();
        if !(webhook.is_active || include_inactive) {
            let note = "it is inactive; --include-inactive makes a disabled endpoint of it";
            plan.left_out.push(item.skipped(note));
        } else if index != winner {
            let Webhook { line, id, .. } = &webhooks[winner];
            plan.left_out.push(item.skipped(format!("line {line}, id {id} is the provider's newer webhook")));
        } else if webhook.url.is_none() {
            plan.left_out.push(item.skipped("it has no URL"));
        } else {
            match webhook.delivery_url() {
                Ok(url) => plan.endpoints.push(Creation { item, body: webhook.body(&url) }),
                Err(error) => plan.left_out.push(item.refused(error.code(), error.to_string())),
            }
        }
    }
    plan
}

/// Which row each provider's endpoint is made of: the newest of the active ones, or of all where none is active.
fn winners(webhooks: &[Webhook]) -> BTreeMap<i64, usize> {
    let mut winners = BTreeMap::new();
    for (index, webhook) in webhooks.iter().enumerate() {
        let winner = winners.entry(webhook.provider_id).or_insert(index);
        let rank = |webhook: &Webhook| (webhook.is_active, webhook.id);
        if rank(webhook) >= rank(&webhooks[*winner]) {
            *winner = index;
        }
    }
    winners
}

fn webhook(row: &Row<'_>) -> Result<Webhook, DumpError> {
    let provider_id = row.require(["provider_id", "providerId"])?;
    let url = row.require(["webhook_url", "webhookUrl"])?;
    Ok(Webhook {
        line: row.line,
        id: integer(row, "id")?.unwrap_or_default(),
        provider_id: provider_id
            .as_integer()
            .ok_or_else(|| row.unexpected("a whole number in `provider_id`", provider_id))?,
        url: match url {
            Value::Null => None,
            Value::Text(text) => Some(text.clone()),
            Value::Number(_) => return Err(row.unexpected("a text in `webhook_url`", url)),
        },
        // The first version of the table had no such column, and no way to remove a webhook.
        is_active: integer(row, "status")?.unwrap_or(ACTIVE) == ACTIVE,
    })
}

fn integer(row: &Row<'_>, column: &str) -> Result<Option<i64>, DumpError> {
    let Some(value) = row.get(column) else { return Ok(None) };
    let number = value.as_integer();
    number.map(Some).ok_or_else(|| row.unexpected(&format!("a whole number in `{column}`"), value))
}

impl Webhook {
    fn item(&self) -> Item {
        let url = String::from_utf8_lossy(self.url.as_deref().unwrap_or_default());
        Item::new(Kind::Endpoint, format!("line {}, id {}", self.line, self.id), self.uid(), url)
    }

    fn uid(&self) -> String {
        format!("provider-{}", self.provider_id)
    }

    fn delivery_url(&self) -> Result<DeliveryUrl, InvalidUrl> {
        let text = std::str::from_utf8(self.url.as_deref().unwrap_or_default());
        text.map_err(|_| InvalidUrl::Malformed).and_then(DeliveryUrl::parse)
    }

    /// The endpoint that OsmoX's own registration of this webhook makes.
    fn body(&self, url: &DeliveryUrl) -> Json {
        json!({
            "url": url.to_string(),
            "uid": self.uid(),
            "preset": "osmox",
            "pattern": { "providerId": [self.provider_id] },
            "disabled": !self.is_active,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::report::Outcome;

    const COLUMNS: &str = "`id`,`provider_id`,`webhook_url`,`is_verified`,`status`";

    fn read_rows(rows: &str) -> Result<Vec<Webhook>, DumpError> {
        read(format!("INSERT INTO `notify_webhooks` ({COLUMNS}) VALUES {rows};").as_bytes())
    }

    /// What becomes of each row, in the order of the table: its outcome and, if it is made, its body.
    fn check(rows: &str, include_inactive: bool, expect: &[(i64, Outcome, Option<&str>)]) {
        let plan = plan(&read_rows(rows).unwrap(), include_inactive);
        let made = plan.endpoints.iter().map(|new| (&new.item, new.body["disabled"].as_bool()));
        let left_out = plan.left_out.iter().map(|item| (item, None));
        let mut outcomes: Vec<_> = made
            .chain(left_out)
            .map(|(item, disabled)| {
                let (_, id) = item.origin.rsplit_once(' ').unwrap();
                let disabled = disabled.map(|disabled| if disabled { "disabled" } else { "enabled" });
                (id.parse::<i64>().unwrap(), item.outcome, disabled.or(item.code.as_deref()))
            })
            .collect();
        outcomes.sort_by_key(|(id, ..)| *id);
        assert_eq!(outcomes, expect, "{rows}");
    }

    #[test]
    fn a_provider_has_the_newest_of_its_active_webhooks() {
        use Outcome::{Refused, Skipped, WouldMake};
        let url = "'https://a.example/',0";
        let enabled = (1, WouldMake, Some("enabled"));
        check(&format!("(1,10,{url},1)"), false, &[enabled]);
        check(&format!("(1,10,{url},0)"), false, &[(1, Skipped, None)]);
        check(&format!("(1,10,{url},0)"), true, &[(1, WouldMake, Some("disabled"))]);
        let three = format!("(3,10,{url},0),(2,10,{url},1),(1,10,{url},1)");
        let newest = [(1, Skipped, None), (2, WouldMake, Some("enabled")), (3, Skipped, None)];
        check(&three, false, &newest);
        check(&three, true, &newest);
        let two = format!("(1,10,{url},0),(2,10,{url},0)");
        check(&two, true, &[(1, Skipped, None), (2, WouldMake, Some("disabled"))]);
        check(&format!("(1,10,{url},1),(2,11,{url},1)"), false, &[enabled, (2, WouldMake, Some("enabled"))]);
        check("(1,10,NULL,0,1)", false, &[(1, Skipped, None)]);
        check("(1,10,'',0,1)", false, &[(1, Refused, Some("url_invalid"))]);
        check("(1,10,'ftp://a.example/',0,1)", false, &[(1, Refused, Some("url_scheme"))]);
        check("(1,10,0xFF,0,1)", false, &[(1, Refused, Some("url_invalid"))]);
        let long = format!("(1,10,'https://a.example/{}',0,1)", "a".repeat(100_000));
        check(&long, false, &[(1, Refused, Some("url_too_long"))]);
        // Rows that no database has: the same one twice.
        check(
            &format!("(1,10,{url},1),(1,10,{url},1)"),
            false,
            &[(1, WouldMake, Some("enabled")), (1, Skipped, None)],
        );
    }

    #[test]
    fn an_endpoint_is_what_osmox_registers() {
        let dump = "CREATE TABLE `notify_webhooks` (`id` int, `provider_id` int, `webhookUrl` varchar(255));\n\
                    INSERT INTO `notify_webhooks` VALUES (7,10,'http://localhost:4200/webhook');";
        let plan = plan(&read(dump.as_bytes()).unwrap(), false);
        let [new] = &plan.endpoints[..] else { panic!("{plan:?}") };
        let expect = json!({
            "url": "http://localhost:4200/webhook", "uid": "provider-10", "preset": "osmox",
            "pattern": { "providerId": [10] }, "disabled": false,
        });
        assert_eq!(new.body, expect);
        assert_eq!((new.item.uid.as_str(), new.item.origin.as_str()), ("provider-10", "line 2, id 7"));
    }

    #[test]
    fn another_table_of_this_name_is_told() {
        let check = |dump: &str, expect: &str| {
            assert_eq!(read(dump.as_bytes()).unwrap_err().to_string(), expect, "{dump}");
        };
        check(
            "INSERT INTO notify_webhooks (id, url) VALUES (1, 'x');",
            "line 1: expected `notify_webhooks` to have a column `provider_id`, found `id, url`",
        );
        check(
            "INSERT INTO notify_webhooks (provider_id, webhook_url) VALUES\n('ten', 'x');",
            "line 2: expected a whole number in `provider_id`, found `ten`",
        );
        check(
            "INSERT INTO notify_webhooks (provider_id, webhook_url) VALUES (1, 2);",
            "line 1: expected a text in `webhook_url`, found `2`",
        );
        check(
            "INSERT INTO notify_webhooks (provider_id, webhook_url, status) VALUES (1, 'x', NULL);",
            "line 1: expected a whole number in `status`, found NULL",
        );
    }

    #[test]
    fn rows_are_bounded() {
        let rows = vec!["(1,1,'',0,1)"; ROWS_MAX + 1].join(",");
        assert!(matches!(read_rows(&rows), Err(DumpError::TooManyRows { rows_max: ROWS_MAX, .. })));
    }
}
