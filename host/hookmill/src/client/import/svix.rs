//! `hookmill import svix`.

use hookmill_core::limits::{APPLICATION_ENDPOINTS_MAX, APPLICATIONS_MAX, EVENT_TYPES_MAX};
use http::Method;
use serde_json::Value;

use super::Import;
use super::patient::{Pages, Patient, Reply};
use crate::cli::{Connection, ImportSvix};
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::import::report::{Item, Outcome};
use crate::import::svix::{self, Beside, EndpointCreation};

const SOURCE_HINT: &str = "check --url and --token, which are of the server to import from; what was made is left as \
                           it is when you import again";

pub(super) async fn run(client: Client, json: bool, arguments: ImportSvix) -> Result<(), Failure> {
    let ImportSvix { source, token, dry_run } = arguments;
    let source = Client::new(&Connection { url: source, key: Some(token), json })
        .map_err(|failure| Failure::new(Exit::Usage, failure.code, failure.message).hint(SOURCE_HINT))?;
    let source = Patient::new(source).hint(SOURCE_HINT);
    let mut import = Import::new(client, json, dry_run);
    let outcome = carry_out(&source, &mut import).await;
    import.finish(outcome)
}

async fn carry_out(source: &Patient, import: &mut Import) -> Result<(), Failure> {
    import.count_things("event types");
    let query = [("with_content", "true"), ("include_archived", "true")];
    let mut pages = Pages::new(&["event-type"], &query, EVENT_TYPES_MAX);
    while let Some(page) = source.next_page(&mut pages).await? {
        import.progress.inc_length(page.len() as u64);
        for event_type in &page {
            let _ = import.make(&["event-type"], svix::event_type(event_type)).await?;
        }
    }
    import.count_things("applications and endpoints");
    let mut pages = Pages::new(&["app"], &[], APPLICATIONS_MAX);
    while let Some(page) = source.next_page(&mut pages).await? {
        import.progress.inc_length(page.len() as u64);
        for application in &page {
            import_application(source, import, application).await?;
        }
    }
    Ok(())
}

async fn import_application(
    source: &Patient,
    import: &mut Import,
    application: &Value,
) -> Result<(), Failure> {
    let creation = svix::application(application);
    let (uid, source_id) = (creation.item.uid.clone(), creation.item.origin.clone());
    if import.make(&["app"], creation).await? == Outcome::Refused {
        return Ok(());
    }
    let path = ["app", &source_id, "endpoint"];
    let mut pages = Pages::new(&path, &[], APPLICATION_ENDPOINTS_MAX);
    while let Some(page) = source.next_page(&mut pages).await? {
        import.progress.inc_length(page.len() as u64);
        for endpoint in &page {
            let item = import_endpoint(source, import, &source_id, &uid, endpoint).await?;
            import.add(item);
        }
    }
    Ok(())
}

/// Makes an endpoint, or what is missing of one.
async fn import_endpoint(
    source: &Patient,
    import: &Import,
    source_application: &str,
    application: &str,
    endpoint: &Value,
) -> Result<Item, Failure> {
    let item = svix::endpoint_item(endpoint);
    if item.outcome == Outcome::Refused {
        return Ok(item);
    }
    let list = ["app", application, "endpoint"];
    let existing = import.target.find(&[&list[..], &[&item.uid]].concat()).await?;
    if existing.as_ref().is_some_and(|existing| !svix::is_unfinished(existing)) {
        return Ok(item.with(Outcome::Present));
    }
    let beside =
        read_beside(source, &["app", source_application, "endpoint", &item.origin], import.dry_run).await?;
    let creation = svix::endpoint(endpoint, &beside);
    if import.dry_run {
        return Ok(creation.item);
    }
    if !creation.has_secret() {
        return Ok(item.refused("secret_missing", "the server to import from does not show its secret"));
    }
    let item = match existing {
        // It was made by an import that was cut off.
        Some(_) => creation.item.clone().with(Outcome::Made),
        None => import.create(&list, creation.item.clone(), &creation.body).await?,
    };
    match item.outcome {
        Outcome::Made => complete(import, &list, item, creation).await,
        Outcome::WouldMake | Outcome::Present | Outcome::Skipped | Outcome::Refused => Ok(item),
    }
}

/// What the source has of an endpoint in other places; its secret is not asked for without need.
async fn read_beside(source: &Patient, endpoint: &[&str], dry_run: bool) -> Result<Beside, Failure> {
    let read = async |part: &str| -> Result<Value, Failure> {
        Ok(source.find(&[endpoint, &[part]].concat()).await?.unwrap_or_default())
    };
    Ok(Beside {
        secret: if dry_run { Value::Null } else { read("secret").await? },
        headers: read("headers").await?,
        transformation: read("transformation").await?,
    })
}

/// Makes the rest of an endpoint that takes more than one request.
async fn complete(
    import: &Import,
    list: &[&str],
    item: Item,
    creation: EndpointCreation,
) -> Result<Item, Failure> {
    let EndpointCreation { headers, transformation, finish, .. } = creation;
    let path = [list, &[item.uid.as_str()]].concat();
    let steps = [
        (Method::PUT, Some("headers"), headers),
        (Method::PATCH, Some("transformation"), transformation),
        (Method::PATCH, None, finish),
    ];
    for (method, part, change) in steps {
        let Some(change) = change else { continue };
        let path = [path.as_slice(), part.as_slice()].concat();
        if let Reply::Refused { code, detail, .. } =
            import.target.call(method, &path, &[], Some(&change)).await?
        {
            let note = format!("{detail}; the endpoint stays disabled until it is imported whole");
            return Ok(item.refused(code, note));
        }
    }
    Ok(item)
}
