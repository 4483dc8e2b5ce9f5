//! Requests to a server that may be busy.

use hookmill_core::limits::PAGE_ITEMS_MAX;
use hookmill_core::port::Clock as _;
use http::{Method, StatusCode};
use serde_json::Value;

use crate::client::{Answer, Client};
use crate::failure::{Exit, Failure};
use crate::import::patience::wait_before_retry;
use crate::import::svix::Page;
use crate::world::SystemClock;

/// A client that asks again, for a while, where a server is busy.
pub(super) struct Patient {
    client: Client,
    /// What to do where the server can't be asked at all, instead of what the client says.
    hint: Option<&'static str>,
}

/// What a server says to one request. It may hold a secret, so it has no `Debug`.
pub(super) enum Reply {
    Done(Value),
    /// It is about this request; others may succeed.
    Refused {
        status: StatusCode,
        code: String,
        detail: String,
    },
}

/// A list that is read page by page.
pub(super) struct Pages<'a> {
    path: &'a [&'a str],
    query: &'a [(&'a str, &'a str)],
    items_max: usize,
    items: usize,
    next: Option<String>,
    is_done: bool,
}

impl<'a> Pages<'a> {
    /// A list of at most `items_max`; one that is longer fails.
    pub(super) fn new(path: &'a [&'a str], query: &'a [(&'a str, &'a str)], items_max: usize) -> Self {
        Self { path, query, items_max, items: 0, next: None, is_done: false }
    }
}

impl Patient {
    pub(super) fn new(client: Client) -> Self {
        Self { client, hint: None }
    }

    /// The same with another hint.
    pub(super) fn hint(self, hint: &'static str) -> Self {
        Self { hint: Some(hint), ..self }
    }

    /// One request with a JSON body; made again where that helps.
    ///
    /// # Errors
    /// No server answers, it goes on being busy, it fails, or it does not let us in.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Reply, Failure> {
        let mut url = self.client.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut retries = 0;
        loop {
            let request = self.client.request(method.clone(), url.clone());
            let request = match body {
                Some(body) => request.json(body),
                None => request,
            };
            let answer = self.client.exchange(request).await.map_err(|failure| self.hinted(failure))?;
            let retry_after = answer.retry_after.as_deref();
            match wait_before_retry(retries, answer.status, retry_after, SystemClock.now()) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return self.reply(&answer),
            }
            retries += 1;
        }
    }

    /// What is at a path; nothing where nothing is.
    ///
    /// # Errors
    /// As [`call`](Self::call), and any other refusal.
    pub(super) async fn find(&self, path: &[&str]) -> Result<Option<Value>, Failure> {
        match self.call(Method::GET, path, &[], None).await? {
            Reply::Done(found) => Ok(Some(found)),
            Reply::Refused { status: StatusCode::NOT_FOUND, .. } => Ok(None),
            Reply::Refused { code, detail, .. } => Err(self.refused(code, detail)),
        }
    }

    /// The next page of a list; nothing after the last one.
    ///
    /// # Errors
    /// As [`find`](Self::find); what is no page, and a list that is too long.
    pub(super) async fn next_page(&self, pages: &mut Pages<'_>) -> Result<Option<Vec<Value>>, Failure> {
        if pages.is_done {
            return Ok(None);
        }
        let limit = PAGE_ITEMS_MAX.to_string();
        let mut query = [pages.query, &[("limit", &limit)]].concat();
        query.extend(pages.next.as_deref().map(|next| ("iterator", next)));
        let answer = match self.call(Method::GET, pages.path, &query, None).await? {
            Reply::Done(answer) => answer,
            Reply::Refused { code, detail, .. } => return Err(self.refused(code, detail)),
        };
        let path = pages.path.join("/");
        // A page that names itself as the next one has no end.
        let page = Page::read(answer).filter(|page| page.next.is_none() || page.next != pages.next);
        let page = page.ok_or_else(|| {
            let message =
                format!("{} answered for `{path}` with what is no page of a list", self.client.base);
            self.hinted(Failure::new(Exit::Failed, "answer_not_understood", message))
        })?;
        pages.items += page.items.len();
        if pages.items > pages.items_max {
            let message =
                format!("`{path}` has more than {} items, the most that are kept here", pages.items_max);
            return Err(Failure::new(Exit::Failed, "import_too_large", message));
        }
        pages.is_done = page.next.is_none();
        pages.next = page.next;
        Ok(Some(page.items))
    }

    fn reply(&self, answer: &Answer) -> Result<Reply, Failure> {
        let status = answer.status;
        let is_about_request = status.is_client_error()
            && !matches!(
                status,
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
            );
        if !is_about_request {
            return self.client.judge(answer).map(Reply::Done).map_err(|failure| self.hinted(failure));
        }
        let (code, detail) = answer
            .code_and_detail()
            .unwrap_or_else(|| ("answer_not_understood".to_owned(), status.to_string()));
        Ok(Reply::Refused { status, code, detail })
    }

    fn refused(&self, code: String, detail: String) -> Failure {
        self.hinted(Failure::new(Exit::Refused, code, detail))
    }

    fn hinted(&self, failure: Failure) -> Failure {
        match self.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
