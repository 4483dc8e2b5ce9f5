//! The WhatsApp document, "Compose Webhook", section by section.

use super::super::DOCUMENTED_VARIABLES;
use super::*;

/// "Message Status Notification", with one of the states that it lists.
const STATUS: &str = r#"{
  "event": "whatsapp:message:status",
  "payload": {
    "id": "a418d672-9781-4d97-b517-a56f7d95ad8a",
    "channel": "whatsapp",
    "from": "919019120xxx",
    "to": "9190199xxxxx",
    "status": "delivered",
    "delivered_at": "2021-06-18T14:48:06.886358Z",
    "read_at": "2021-06-18T14:48:06.886358Z",
    "processed_at": "2021-06-18T14:48:06.886358Z",
    "timestamp": "2021-06-18T14:48:06.886358Z",
    "foreign_id": "your-business-identifier"
  }
}"#;

/// "Message Incoming Notification", and "Incoming Media" with its message.
fn incoming(message: &str) -> Value {
    let event = r#"{
  "event": "whatsapp:message:in",
  "payload": {
    "id": "our-message-id",
    "channels": [
      {
        "name": "whatsapp",
        "to": "919019120xxx"
      }
    ],
    "recipient": {
      "from": "91XXXXXX",
      "user": {
        "id": "unique-id",
        "identifier_id": "unique-identifier-id",
        "subscriber_id": "unique-subscriber-id",
        "identity": "unique-user-identity",
        "username": "username",
        "first_name": "user first name",
        "middle_name": "user middle name",
        "last_name": "user last name",
        "email": "user email",
        "phone": "user phone number",
        "attributes": "user attributes",
        "user_info": {
          "picture": "null",
          "gender": "user-gender",
          "title": "null"
        }
      }
    }
  }
}"#;
    let mut event = json_value(event);
    event["payload"]["message"] = json_value(message);
    event
}

const TEXT_MESSAGE: &str = r#"{
  "type": "text",
  "payload": {
    "text": "This is a simple text message from whatsapp channel"
  }
}"#;

const MEDIA_MESSAGE: &str = r#"{
  "type": "image",
  "payload": {
    "url": "https://domin-name.com/your_image_path.png",
    "caption": "some caption for image",
    "filename": ""
  }
}"#;

#[test]
fn both_example_urls_work_with_a_sample_and_without() {
    let check = |url: &str, expect: &str| {
        let event = json_value(STATUS);
        for sample in [None, Some(&event)] {
            let raw = RawComposition { method: Method::GET, ..raw(url) };
            let request = Composition::parse(raw, sample.map(document).as_ref())
                .unwrap()
                .render(document(&event).root())
                .unwrap();
            assert_eq!((request.method.as_str(), request.url.as_str()), ("GET", expect));
            assert!(body_of(&request).is_empty() && request.headers.is_empty());
        }
    };
    // With the blanks that the document has around it.
    check(
        "  https://www.domain.com/ack/receive?id=@{{id}}&mobile=@{{payload.mobile}}&status=@{{payload.status}}  ",
        "https://www.domain.com/ack/receive?id=a418d672-9781-4d97-b517-a56f7d95ad8a&mobile=9190199xxxxx&status=delivered",
    );
    check(
        "https://www.domain.com/ack/receive?message_id=@{{payload.id}}&mobile_number=@{{payload.mobile}}&message_status=@{{payload.status}}",
        "https://www.domain.com/ack/receive?message_id=a418d672-9781-4d97-b517-a56f7d95ad8a&mobile_number=9190199xxxxx&message_status=delivered",
    );
}

#[test]
fn methods_are_get_post_and_put() {
    let check = |method: Method, expect: Option<&str>| {
        let raw = RawComposition { method: method.clone(), ..raw("https://www.domain.com/") };
        let error = Composition::parse(raw, None).err();
        assert_eq!(error.as_ref().map(InvalidComposition::code), expect, "{method}");
    };
    check(Method::GET, None);
    check(Method::POST, None);
    check(Method::PUT, None);
    check(Method::PATCH, Some("compose_method_unknown"));
    check(Method::from_bytes(b"post").unwrap(), Some("compose_method_unknown"));
    let get = RawComposition { method: Method::GET, ..json_body("{}") };
    assert_eq!(refusal(get, None).code(), "compose_get_body");
}

#[test]
fn the_example_request_goes_out_as_composed() {
    let body = r#"{
      "id": "@{{payload.id}}",
      "mobile": "@{{payload.mobile}}",
      "message_status": "@{{payload.status}}",
      "read_at": "@{{payload.read_at}}"
    }"#;
    let raw = RawComposition {
        url: "https://www.domain.com/ack/receive?id=@{{payload.id}}".to_owned(),
        headers: pairs(&[("content-type", "application/json"), ("Authorization", "Bearer %token%")]),
        ..json_body(body)
    };
    let composition = Composition::parse(raw.clone(), None).unwrap();
    assert_eq!(composition.raw(), &raw);
    let request = composition.render(document(&json_value(STATUS)).root()).unwrap();
    assert_eq!(request.method, Method::POST);
    assert_eq!(
        request.url.as_str(),
        "https://www.domain.com/ack/receive?id=a418d672-9781-4d97-b517-a56f7d95ad8a"
    );
    assert_eq!(header_of(&request, "content-type"), [b"application/json"]);
    assert_eq!(header_of(&request, "authorization"), [b"Bearer %token%"]);
    assert_eq!(
        text_of(&request),
        r#"{"id":"a418d672-9781-4d97-b517-a56f7d95ad8a","mobile":"9190199xxxxx","message_status":"delivered","read_at":"2021-06-18T14:48:06.886358Z"}"#
    );
}

#[test]
fn every_variable_of_the_table_has_its_value() {
    let time = "2021-06-18T14:48:06.886358Z";
    let mut event = json_value(STATUS);
    // The table has it and the printed notification does not.
    event["payload"]["submit_time"] = time.into();
    let expect = [
        ("id", "a418d672-9781-4d97-b517-a56f7d95ad8a"),
        ("from", "919019120xxx"),
        ("to", "9190199xxxxx"),
        ("status", "delivered"),
        ("delivered_at", time),
        ("read_at", time),
        ("processed_at", time),
        ("submit_time", time),
        ("foreign_id", "your-business-identifier"),
    ];
    assert_eq!(expect.map(|(name, _)| name), DOCUMENTED_VARIABLES);
    for (name, value) in expect {
        for path in [name.to_owned(), format!("payload.{name}")] {
            let raw = raw_body(RawBody::Json(format!("@{{{{{path}}}}}").into()));
            let unlike = json_value("{}");
            for sample in [None, Some(&event), Some(&unlike)] {
                let composition = Composition::parse(raw.clone(), sample.map(document).as_ref()).unwrap();
                let request = composition.render(document(&event).root()).unwrap();
                assert_eq!(json_value(&text_of(&request)), value, "{path}");
            }
        }
    }
}

#[test]
fn incoming_messages_are_reached_by_path() {
    let check = |event: &Value, path: &str, expect: &str| {
        let raw = raw_body(RawBody::Json(format!("@{{{{ {path} }}}}").into()));
        let request =
            Composition::parse(raw, Some(&document(event))).unwrap().render(document(event).root()).unwrap();
        assert_eq!(json_value(&text_of(&request)), expect, "{path}");
    };
    let text = incoming(TEXT_MESSAGE);
    check(&text, "event", "whatsapp:message:in");
    check(&text, "payload.channels.0.name", "whatsapp");
    check(&text, "channels.0.to", "919019120xxx");
    check(&text, "recipient.from", "91XXXXXX");
    check(&text, "recipient.user.id", "unique-id");
    check(&text, "payload.recipient.user.user_info.gender", "user-gender");
    check(&text, "message.type", "text");
    // `payload` once is the notification's, twice the message's in it.
    check(&text, "message.payload.text", "This is a simple text message from whatsapp channel");
    let media = incoming(MEDIA_MESSAGE);
    check(&media, "message.type", "image");
    check(&media, "payload.message.payload.url", "https://domin-name.com/your_image_path.png");
    check(&media, "message.payload.caption", "some caption for image");
    check(&media, "message.payload.filename", "");
}

#[test]
fn form_data_is_the_other_body_format() {
    let fields = [("message", "@{{id}}"), ("state", "is @{{status}}"), ("mobile", "@{{mobile}}")];
    let event = json_value(STATUS);
    let encoded = render(form_body(&fields, FormEncoding::UrlEncoded), &event).unwrap();
    assert_eq!(header_of(&encoded, "content-type"), [b"application/x-www-form-urlencoded"]);
    assert_eq!(
        text_of(&encoded),
        "message=a418d672-9781-4d97-b517-a56f7d95ad8a&state=is+delivered&mobile=9190199xxxxx"
    );
    let multipart = render(form_body(&fields[1..], FormEncoding::Multipart), &event).unwrap();
    let content_type = String::from_utf8(header_of(&multipart, "content-type")[0].to_vec()).unwrap();
    let boundary = content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
    assert_eq!(
        text_of(&multipart),
        format!(
            "--{boundary}\r\ncontent-disposition: form-data; name=\"state\"\r\n\r\nis delivered\r\n\
             --{boundary}\r\ncontent-disposition: form-data; name=\"mobile\"\r\n\r\n9190199xxxxx\r\n\
             --{boundary}--\r\n"
        )
    );
}
