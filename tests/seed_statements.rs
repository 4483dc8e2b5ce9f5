//! What the four documents that Hookmill is measured against say, in their order, and the tests that show it.
//!
//! Each statement is quoted by its first words, enough to find it. What says nothing about a webhook router (how a receiver
//! of a customer is written, what another product does inside) is listed too, with the reason in a word, so that nothing is
//! left out unseen.

use std::collections::BTreeSet;
use std::process::Command;

/// A statement of a document.
struct Statement {
    /// Its first words, as they are printed.
    quote: &'static str,
    shown: Shown,
}

enum Shown {
    /// By these tests of the real process, or in virtual time.
    By(&'static [&'static str]),
    /// Not here: it is about something else.
    Elsewhere(&'static str),
}

const fn by(quote: &'static str, tests: &'static [&'static str]) -> Statement {
    Statement { quote, shown: Shown::By(tests) }
}

const fn elsewhere(quote: &'static str, reason: &'static str) -> Statement {
    Statement { quote, shown: Shown::Elsewhere(reason) }
}

/// "Our handlers": what customers write.
const RECEIVER: &str = "a receiver's own code";
/// Pages of another product.
const DASHBOARD: &str = "another product's pages";
/// Words that claim nothing.
const PROSE: &str = "introduction";

/// Conversation webhooks, "Webhook Integration Guide".
const CONVERSATION: &[Statement] = &[
    by(
        "our system sends HTTP POST requests to your configured webhook URL",
        &["conversation::the_envelope_arrives_byte_for_byte_and_signed"],
    ),
    by(
        "Add a webhook URL to your conversation configuration",
        &["conversation::the_configuration_object_makes_an_endpoint"],
    ),
    by("// Required", &["conversation::the_configuration_object_makes_an_endpoint"]),
    by("=== \"Django\"", &["receivers::django"]),
    by(
        "Always acknowledge receipt",
        &["conversation::failures_of_each_kind_are_retried_after_4_8_and_10_seconds"],
    ),
    by("=== \"FastAPI\"", &["receivers::fastapi"]),
    by("=== \"Flask\"", &["receivers::flask"]),
    by("=== \"Express.js\"", &["receivers::express"]),
    elsewhere("=== \"Spring Boot\"", "examples/receivers/java-spring-boot: the tests come without a JDK"),
    by("=== \"PHP\"", &["receivers::php"]),
    by("**Protocol**: HTTPS only", &["conversation::the_configuration_object_makes_an_endpoint"]),
    by("**Method**: POST", &["conversation::the_envelope_arrives_byte_for_byte_and_signed"]),
    by(
        "**Content-Type**: application/json",
        &["conversation::the_envelope_arrives_byte_for_byte_and_signed"],
    ),
    by("**Timeout**: 30 seconds per request", &["conversation::an_answer_has_30_seconds"]),
    // With three retries that makes four requests: the reading under which all that is printed is used.
    by(
        "**Retry Logic**: 3 attempts with exponential backoff",
        &["conversation::failures_of_each_kind_are_retried_after_4_8_and_10_seconds"],
    ),
    by(
        "**Maximum Attempts**: 3",
        &["conversation::failures_of_each_kind_are_retried_after_4_8_and_10_seconds"],
    ),
    by(
        "1st retry: 4 seconds wait",
        &[
            "conversation::failures_of_each_kind_are_retried_after_4_8_and_10_seconds",
            "schedules::each_preset_keeps_its_whole_schedule",
        ],
    ),
    by("2nd retry: 8 seconds wait", &["schedules::each_preset_keeps_its_whole_schedule"]),
    by("3rd retry: 10 seconds wait", &["schedules::each_preset_keeps_its_whole_schedule"]),
    by(
        "Network errors",
        &[
            "conversation::failures_of_each_kind_are_retried_after_4_8_and_10_seconds",
            "bad_receivers::ones_that_end_the_connection",
        ],
    ),
    by("Timeouts", &["conversation::an_answer_has_30_seconds"]),
    by("Non-2xx responses", &["conversation::failures_of_each_kind_are_retried_after_4_8_and_10_seconds"]),
    by("HTTPS protocol mandatory", &["conversation::the_configuration_object_makes_an_endpoint"]),
    by(
        "Valid SSL certificate",
        &[
            "doctor::a_certificate_that_nobody_trusts",
            "doctor::a_certificate_that_has_expired",
            "doctor::a_certificate_for_another_host",
        ],
    ),
    by(
        "Public endpoint accessibility",
        &[
            "conversation::a_callback_url_is_public",
            "bad_requests::private_addresses_where_they_are_forbidden",
        ],
    ),
    by(
        "2xx status code response expected",
        &["conversation::failures_of_each_kind_are_retried_after_4_8_and_10_seconds"],
    ),
    elsewhere("IP whitelist recommended", "a receiver's firewall"),
    by(
        "Request signing (optional but recommended)",
        &[
            "conversation::the_envelope_arrives_byte_for_byte_and_signed",
            "verifiers::a_changed_delivery_is_refused",
        ],
    ),
    by(
        "\"conversation_id\": \"uuid-string\"",
        &[
            "conversation::the_envelope_arrives_byte_for_byte_and_signed",
            "conversation::what_the_guide_prints_passes_validation",
        ],
    ),
    by("| conversation_id", &["conversation::the_field_reference_is_what_is_validated"]),
    by("| data.id", &["conversation::the_field_reference_is_what_is_validated"]),
    by("| data.content ", &["conversation::the_field_reference_is_what_is_validated"]),
    by("| data.content_type |", &["conversation::the_field_reference_is_what_is_validated"]),
    by("| data.filename", &["conversation::the_field_reference_is_what_is_validated"]),
    by("| data.type", &["conversation::the_field_reference_is_what_is_validated"]),
    by("| data.channel", &["conversation::the_field_reference_is_what_is_validated"]),
    by("| data.status", &["conversation::the_field_reference_is_what_is_validated"]),
    by("| data.metadata", &["conversation::the_field_reference_is_what_is_validated"]),
    // Required in the table, and left out by the guide's own generator of test payloads.
    by(
        "| data.created_by",
        &[
            "conversation::the_field_reference_is_what_is_validated",
            "conversation::what_the_guide_prints_passes_validation",
        ],
    ),
    by(
        "| data.updated_by",
        &[
            "conversation::the_field_reference_is_what_is_validated",
            "conversation::what_the_guide_prints_passes_validation",
        ],
    ),
    by("| data.created_at", &["conversation::the_field_reference_is_what_is_validated"]),
    by("| data.updated_at", &["conversation::the_field_reference_is_what_is_validated"]),
    by("| timestamp", &["conversation::the_field_reference_is_what_is_validated"]),
    by(
        "Return 2xx status immediately",
        &["bad_receivers::one_with_an_endless_body_has_answered", "receivers::flask"],
    ),
    elsewhere("Process webhook data asynchronously", RECEIVER),
    by(
        "message_id = payload['data']['id']",
        &["main_job::two_failures_and_a_success_are_three_attempts_with_one_id", "receivers::django"],
    ),
    elsewhere("1. **Graceful Recovery**", RECEIVER),
    elsewhere("2. **Logging Best Practices**", RECEIVER),
    by("# Update webhook URL", &["conversation::the_configuration_object_makes_an_endpoint"]),
    by("def generate_test_payload():", &["conversation::what_the_guide_prints_passes_validation"]),
    elsewhere("1. **webhook.site**", DASHBOARD),
    elsewhere("2. **Custom Test Suite**", RECEIVER),
    by("Webhook delivery success rate", &["conversation::what_the_guide_monitors_is_measured"]),
    by("Average response time", &["conversation::what_the_guide_monitors_is_measured"]),
    by("Retry attempt counts", &["conversation::what_the_guide_monitors_is_measured"]),
    by("Error rates by type", &["conversation::what_the_guide_monitors_is_measured"]),
    by("Processing time distribution", &["conversation::what_the_guide_monitors_is_measured"]),
    by("High error rate threshold", &["metrics::receivers_that_fail_fire_the_error_rate"]),
    by("Response time degradation", &["metrics::receivers_that_are_slow_fire_the_response_time"]),
    by("Retry count spikes", &["metrics::many_retries_fire_the_retry_spike"]),
    by("Failed delivery clusters", &["metrics::dead_letters_fire_the_failed_delivery_cluster"]),
    by("| Timeouts   | Slow processing", &["doctor::a_receiver_that_hangs"]),
    by("| Heavy payload", &["doctor::a_receiver_that_hangs"]),
    by("| Network latency", &["doctor::a_receiver_that_hangs"]),
    by("| SSL Errors | Invalid certificate", &["doctor::a_certificate_that_nobody_trusts"]),
    by("| Expired certificate", &["doctor::a_certificate_that_has_expired"]),
    by("| Certificate mismatch", &["doctor::a_certificate_for_another_host"]),
    by("| 404 Errors | Invalid URL", &["doctor::a_404"]),
    by("| URL changed", &["doctor::a_404"]),
    by("| Service unavailable", &["doctor::a_404", "doctor::a_refused_port"]),
    by("Verify webhook URL configuration", &["doctor::a_name_that_does_not_exist", "doctor::a_404"]),
    by("Check SSL certificate validity", &["doctor::a_certificate_that_has_expired"]),
    elsewhere("Monitor server logs for errors", RECEIVER),
    by("Validate payload format", &["conversation::the_field_reference_is_what_is_validated"]),
    by(
        "Test endpoint accessibility",
        &["mifumo::a_test_call_delivers_the_example_of_an_event_to_one_webhook"],
    ),
    by("Verify network connectivity", &["doctor::a_refused_port"]),
    by("Check rate limiting", &["conversation::answers_name_the_rate_limits"]),
    elsewhere("Monitor system resources", RECEIVER),
    by("Conversation ID", &["conversation::what_support_asks_for_can_be_looked_up"]),
    by("Message ID", &["conversation::what_support_asks_for_can_be_looked_up"]),
    by("Timestamp of issue", &["conversation::what_support_asks_for_can_be_looked_up"]),
    elsewhere("Server logs", RECEIVER),
    by("Webhook configuration", &["conversation::what_support_asks_for_can_be_looked_up"]),
    by("Error messages", &["conversation::what_support_asks_for_can_be_looked_up"]),
    by("Retry attempt logs", &["conversation::what_support_asks_for_can_be_looked_up"]),
    by("Maximum 10 concurrent webhook deliveries", &["conversation::ten_at_once_and_a_hundred_a_minute"]),
    by("Maximum 100 webhooks per minute per endpoint", &["conversation::ten_at_once_and_a_hundred_a_minute"]),
    by("Automatic back-pressure handling", &["conversation::ten_at_once_and_a_hundred_a_minute"]),
    by("Rate limit headers included in responses", &["conversation::answers_name_the_rate_limits"]),
];

/// Mifumo SMS, "Webhook Integration Guide".
const MIFUMO: &[Statement] = &[
    elsewhere("Webhooks allow you to receive real-time notifications about SMS delivery events", PROSE),
    by("| `message.sent`", &["mifumo::a_test_call_delivers_the_example_of_an_event_to_one_webhook"]),
    by("| `message.delivered`", &["mifumo::a_webhook_receives_the_events_that_it_selected"]),
    by("| `message.failed`", &["mifumo::a_webhook_receives_the_events_that_it_selected"]),
    elsewhere("1. Log in to your Mifumo SMS dashboard", DASHBOARD),
    by("4. Enter your webhook URL", &["mifumo::a_webhook_receives_the_events_that_it_selected"]),
    by(
        "5. Select the events you want to receive",
        &["mifumo::a_webhook_receives_the_events_that_it_selected"],
    ),
    by("- Accept POST requests", &["mifumo::the_guides_own_function_verifies_each_payload"]),
    by("- Return HTTP 200 status for successful processing", &["mifumo::only_200_is_success"]),
    by("- Handle JSON payloads", &["mifumo::the_guides_own_function_verifies_each_payload"]),
    by("- Respond within 30 seconds", &["mifumo::an_answer_after_30_seconds_is_none"]),
    by(
        "def verify_webhook(payload, signature, secret):",
        &["mifumo::the_guides_own_function_verifies_each_payload"],
    ),
    by("secret.encode()", &["mifumo::existing_plain_text_secrets_are_taken"]),
    by("\"event\": \"message.sent\"", &["mifumo::the_guides_own_function_verifies_each_payload"]),
    by("\"event\": \"message.delivered\"", &["mifumo::the_guides_own_function_verifies_each_payload"]),
    by("\"event\": \"message.failed\"", &["mifumo::the_guides_own_function_verifies_each_payload"]),
    by(
        "### Python Flask",
        &["receivers::flask", "mifumo::the_json_dumps_variant_verifies_what_json_dumps_wrote"],
    ),
    by("X-Webhook-Signature", &["mifumo::the_guides_own_function_verifies_each_payload"]),
    by(
        "verify_webhook(json.dumps(data), signature, WEBHOOK_SECRET)",
        &["mifumo::the_json_dumps_variant_verifies_what_json_dumps_wrote"],
    ),
    by("'Internal error'}), 500", &["mifumo::only_200_is_success"]),
    by("### Node.js Express", &["receivers::express"]),
    by("### PHP", &["receivers::php"]),
    by(
        "verify_webhook($input, $signature, WEBHOOK_SECRET)",
        &["receivers::php", "mifumo::the_guides_own_function_verifies_each_payload"],
    ),
    elsewhere("Use ngrok to expose your local server", "another product"),
    by(
        "Use the ngrok URL as your webhook URL",
        &["conversation::the_configuration_object_makes_an_endpoint"],
    ),
    by("### Test Webhook with cURL", &["mifumo::the_printed_test_event_arrives_as_it_is_printed"]),
    by("- We retry up to 3 times", &["mifumo::a_failed_webhook_waits_and_is_reactivated_in_order"]),
    by(
        "- Retry intervals: 1 minute, 5 minutes, 15 minutes",
        &[
            "mifumo::a_failed_webhook_waits_and_is_reactivated_in_order",
            "schedules::each_preset_keeps_its_whole_schedule",
        ],
    ),
    by(
        "- After 3 failures, the webhook is marked as failed",
        &["mifumo::a_failed_webhook_waits_and_is_reactivated_in_order"],
    ),
    by(
        "- You can reactivate failed webhooks",
        &[
            "mifumo::the_api_shows_a_failed_webhook_and_reactivates_it",
            "doctor::an_endpoint_that_failed_is_reactivated_as_the_doctor_says",
        ],
    ),
    by("1. **Idempotency**", &["receivers::flask", "receivers::express", "receivers::php"]),
    by("2. **Quick Response**", &["mifumo::an_answer_after_30_seconds_is_none"]),
    elsewhere("3. **Error Handling**", RECEIVER),
    by("4. **Security**", &["mifumo::the_guides_own_function_verifies_each_payload"]),
    by("5. **Monitoring**", &["conversation::what_the_guide_monitors_is_measured"]),
    elsewhere("6. **Queue Processing**", RECEIVER),
    by(
        "- Check webhook URL is accessible",
        &["doctor::a_refused_port", "doctor::a_name_that_does_not_exist"],
    ),
    by(
        "- Verify webhook is active",
        &["mifumo::the_api_shows_a_failed_webhook_and_reactivates_it", "doctor::an_endpoint_that_is_well"],
    ),
    by("- Check firewall/security group settings", &["doctor::a_refused_port"]),
    by("- Optimize your webhook handler", &["doctor::a_receiver_that_hangs"]),
    by("- Use asynchronous processing", &["doctor::a_receiver_that_hangs"]),
    by("- Increase timeout if possible", &["mifumo::a_timeout_can_be_increased"]),
    by("- Implement idempotency checks", &["receivers::flask"]),
    by(
        "- Use message IDs to track processed events",
        &["main_job::two_failures_and_a_success_are_three_attempts_with_one_id"],
    ),
    elsewhere("### Debug Mode", RECEIVER),
    by(
        "- Check webhook logs in the dashboard",
        &["timeline::an_attempt_says_where_it_went_then_and_what_was_sent_without_secrets"],
    ),
    by(
        "- Verify your endpoint is working with test calls",
        &["mifumo::a_test_call_delivers_the_example_of_an_event_to_one_webhook"],
    ),
];

/// OsmoX, "Osmox Webhook Configuration and Usage Guide".
const OSMOX: &[Statement] = &[
    by(
        "notifications through services like Mailgun and Twilio",
        &[
            "sources::what_each_provider_signs_is_delivered",
            "sources::reports_of_providers_become_notifications_by_plugins_that_come_with_the_router",
        ],
    ),
    elsewhere("- An active Osmox account", DASHBOARD),
    by(
        "- A providerID on which you want to add webhook",
        &["osmox::the_complete_notification_goes_to_its_provider_and_to_no_other"],
    ),
    by("mutation RegisterWebhook {", &["osmox::the_printed_command_registers_a_webhook"]),
    by(
        "--header 'x-api-key: OsmoX-test-key'",
        &["osmox::the_printed_command_registers_a_webhook", "osmox::a_short_key_is_taken_on_request_only"],
    ),
    by(
        "--header 'Authorization: Bearer OsmoX-test-key'",
        &["osmox::the_printed_command_registers_a_webhook"],
    ),
    by("### Example Response", &["osmox::the_printed_command_registers_a_webhook"]),
    by(
        "Once a webhook is registered, Osmox will start sending notifications",
        &["osmox::the_printed_command_registers_a_webhook"],
    ),
    by(
        "handle the incoming POST requests",
        &["osmox::the_complete_notification_goes_to_its_provider_and_to_no_other"],
    ),
    by("### Example Payload", &["osmox::the_complete_notification_goes_to_its_provider_and_to_no_other"]),
    by(
        "extract the required information from the payload",
        &["main_job::an_osmox_notification_becomes_a_flat_report"],
    ),
    by(
        "We are sending the complete notification object",
        &["osmox::the_complete_notification_goes_to_its_provider_and_to_no_other"],
    ),
    // There it is "not yet incorporated"; here it is.
    by("## Webhook Verification", &["osmox::each_delivery_is_signed"]),
    by(
        "exponential backoff strategy for retries",
        &["osmox::a_failed_request_is_sent_again_after_two_seconds"],
    ),
    by("retry after increasing intervals", &["schedules::each_preset_keeps_its_whole_schedule"]),
];

/// WhatsApp Business, "Webhooks".
const WHATSAPP: &[Statement] = &[
    by("immediately sends a notification (HTTP request) to the Webhook URL", &["whatsapp::examples"]),
    by("returns an HTTPS 2xx OK response", &["whatsapp::retrying_failed_webhooks"]),
    by("tries again after a delay", &["whatsapp::retrying_failed_webhooks"]),
    by("fails to send a response with a 2xx status code", &["whatsapp::retrying_failed_webhooks"]),
    by(
        "doesn't respond within 3 seconds",
        &[
            "whatsapp::an_app_that_does_not_respond_has_failed",
            "schedules::whatsapp_gives_up_after_3_seconds_and_tries_two_more_times",
        ],
    ),
    by("retry the call two more times", &["whatsapp::a_third_failure_is_the_last"]),
    by(
        "10 seconds between the first and second attempt",
        &["schedules::each_preset_keeps_its_whole_schedule"],
    ),
    by("100 seconds between the third and the fourth", &["schedules::whatsapp_waits_grow_to_27_hours"]),
    by("1000 between the fourth and the fifth", &["schedules::whatsapp_waits_grow_to_27_hours"]),
    by(
        "maximum amount of seconds that we'll wait is 100 000",
        &[
            "schedules::whatsapp_waits_grow_to_27_hours",
            "schedules::a_27_hour_wait_survives_a_restart_in_its_middle",
        ],
    ),
    by("If you wish to have your callbacks signed", &["whatsapp::signature"]),
    by("The signature generated by system with webhook id as secret", &["whatsapp::signature"]),
    by("\"event\": \"whatsapp:message:status\"", &["whatsapp::examples"]),
    by("### Message Incoming Notification", &["whatsapp::examples"]),
    by("### Incoming Media", &["whatsapp::examples"]),
    by("receive the customized webhook payload", &["whatsapp::compose_example_request"]),
    elsewhere("- Navigate to the Webhooks section", DASHBOARD),
    by("- Give the identification name", &["whatsapp::compose_ids_select_the_webhook"]),
    by("This URL is where the composed payload will be sent", &["whatsapp::compose_example_request"]),
    by("- In the url you can pass the replaced variables", &["whatsapp::compose_urls"]),
    by("?id=@{{id}}&mobile=@{{payload.mobile}}", &["whatsapp::compose_urls"]),
    by("?message_id=@{{payload.id}}&mobile_number=", &["whatsapp::compose_urls"]),
    by("- HTTP Method: Specify the HTTP method", &["whatsapp::compose_methods"]),
    by("- Headers: Define custom headers", &["whatsapp::compose_example_request"]),
    by(
        "- Body Format: Choose between JSON or FormData",
        &["whatsapp::compose_formats_as_they_are_spelt", "whatsapp::compose_form_data_with_binary"],
    ),
    by("- Upon creation, you will receive an `id`", &["whatsapp::compose_ids_select_the_webhook"]),
    by(
        "include the `webhook_id` parameter",
        &["whatsapp::compose_webhooks_are_opt_in_by_webhook_id", "whatsapp::compose_ids_select_the_webhook"],
    ),
    by(
        "you will receive the delivery report as you configured",
        &["whatsapp::compose_webhooks_are_opt_in_by_webhook_id"],
    ),
    by("here keys you can give any name", &["whatsapp::compose_example_request"]),
    by("value should be availebe", &["whatsapp::compose_webhooks_that_are_refused"]),
    by("### Example Compose Webhook Request", &["whatsapp::compose_example_request"]),
    by("| id ", &["whatsapp::compose_variables_of_the_table"]),
    by("| from ", &["whatsapp::compose_variables_of_the_table"]),
    by("| to ", &["whatsapp::compose_variables_of_the_table"]),
    by("| status ", &["whatsapp::compose_variables_of_the_table", "whatsapp::each_status_is_reported"]),
    by("| delivered_at ", &["whatsapp::compose_variables_of_the_table"]),
    by("| read_at ", &["whatsapp::compose_variables_of_the_table"]),
    by("| processed_at ", &["whatsapp::compose_variables_of_the_table"]),
    by("| submit_time ", &["whatsapp::compose_variables_of_the_table"]),
    by("| foreign_id ", &["whatsapp::compose_variables_of_the_table"]),
];

/// The tests of this program.
fn tests() -> BTreeSet<String> {
    let program = std::env::current_exe().expect("a running program knows its file");
    let output = Command::new(program).args(["--list", "--format", "terse"]).output().expect("it can be run");
    let listed = String::from_utf8(output.stdout).expect("names are text");
    listed.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
}

#[test]
fn each_statement_has_a_test_that_exists_or_a_reason() {
    let tests = tests();
    for (document, statements) in
        [("conversation", CONVERSATION), ("mifumo", MIFUMO), ("osmox", OSMOX), ("whatsapp", WHATSAPP)]
    {
        let mut seen = BTreeSet::new();
        for Statement { quote, shown } in statements {
            assert!(seen.insert(quote), "{document} has {quote:?} twice");
            match shown {
                Shown::By(names) => {
                    assert!(!names.is_empty(), "{document}, {quote:?}: no test");
                    for name in *names {
                        assert!(tests.contains(*name), "{document}, {quote:?}: there is no test {name}");
                    }
                }
                Shown::Elsewhere(reason) => assert!(!reason.is_empty(), "{document}, {quote:?}: no reason"),
            }
        }
    }
}
