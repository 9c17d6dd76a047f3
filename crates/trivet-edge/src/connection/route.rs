//! The way of a request through the routes, and the answers that they give themselves.

use std::sync::Arc;

use trivet_core::Problem;
use trivet_core::http1::{KnownField, reason_phrase};
use trivet_core::problem::{PageFormat, status_page};
use trivet_core::route::{Request, ValuePattern};

use super::log::Record;
use super::{After, Connection};
use crate::routing::{Action, MOST_REWRITES, Place, Treatment, has_field, render};

/// How far a request has come on its way.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// What the routes have said so far.
    pub(super) treatment: Treatment,
    /// The first route that was for the request.
    pub(super) route: Option<Arc<str>>,
    /// Whether a rate has counted the request.
    pub(super) is_counted: bool,
    place: Place,
    rewrites: usize,
}

impl Way {
    /// Whether the path is not the one that was asked for.
    pub(super) fn is_rewritten(&self) -> bool {
        self.rewrites > 0
    }
}

/// Who answers.
#[derive(Debug)]
pub(super) enum Answerer {
    /// The app, if the path belongs to one.
    App,
    /// The edge has answered.
    Done(After),
}

impl Connection {
    /// Go through the routes until somebody answers.
    pub(super) async fn take_way(&mut self, record: &mut Record) -> Answerer {
        if !self
            .settings
            .lists
            .admits(&self.settings.config.access, record.client)
        {
            return Answerer::Done(self.answer_without_app(Problem::Forbidden, record).await);
        }
        if self.settings.routes.is_empty() {
            return Answerer::App;
        }
        loop {
            let action = self.next_action(record);
            // A rewritten request is judged by what the routes say of it in the end.
            if !matches!(action.as_deref(), Some(Action::Rewrite { .. })) {
                if let Err(problem) = self.admit_by_policy(record) {
                    return Answerer::Done(self.answer_without_app(problem, record).await);
                }
            }
            let Some(action) = action else {
                return Answerer::App;
            };
            match &*action {
                Action::App => return Answerer::App,
                Action::Redirect {
                    status,
                    location,
                    names,
                } => {
                    let location =
                        self.ask(record, |request| render(location, names.as_ref(), request));
                    return Answerer::Done(self.answer_redirect(*status, &location, record).await);
                }
                Action::Respond {
                    status,
                    content_type,
                    content,
                } => {
                    let content = content.as_deref().map(|text| (content_type.as_str(), text));
                    return Answerer::Done(self.answer_status(*status, content, record).await);
                }
                Action::Rewrite { path, names } => {
                    let path = self.ask(record, |request| render(path, names.as_ref(), request));
                    self.way.rewrites += 1;
                    if self.way.rewrites > MOST_REWRITES || !path.starts_with(b"/") {
                        record.error = Some("the routes rewrite in a circle".to_owned());
                        return Answerer::Done(
                            self.answer_without_app(Problem::Internal, record).await,
                        );
                    }
                    self.admitted.path = path;
                    self.way.place = Place::default();
                }
                // Only `trivet explain` plans without opening.
                Action::PlannedFiles(_) => {}
                Action::Files(folder) => {
                    if let Some(after) = self.answer_from(folder, record).await {
                        return Answerer::Done(after);
                    }
                }
            }
        }
    }

    /// The next action for the present request.
    fn next_action(&mut self, record: &Record) -> Option<Arc<Action>> {
        let mut way = std::mem::take(&mut self.way);
        let routes = &self.settings.routes;
        let found = self.ask(record, |request| {
            routes.walk(way.place, request, &mut way.treatment, &mut way.route)
        });
        let action = found.map(|(action, place)| {
            way.place = place;
            action
        });
        self.way = way;
        action
    }

    /// Ask something about the present request.
    pub(super) fn ask<T>(&self, record: &Record, question: impl FnOnce(&Request<'_>) -> T) -> T {
        let (head, buf, admitted) = (&self.head, &self.buf, &self.admitted);
        let has_field = |name: &str, pattern: &ValuePattern| has_field(head, buf, name, pattern);
        let authority = record
            .host
            .map_or_else(|| admitted.host.of(buf), |host| host.of(buf));
        question(&Request {
            authority,
            is_secure: record.scheme == "https",
            method: head.method.of(buf),
            path: &admitted.path,
            query: admitted.query.of(buf),
            has_field: &has_field,
            is_listed: &|number| self.settings.lists.holds(number, record.client),
        })
    }

    async fn answer_redirect(
        &mut self,
        status: u16,
        location: &[u8],
        record: &mut Record,
    ) -> After {
        record.status = status;
        let fields: [(&[u8], &[u8]); 1] = [(b"Location", location)];
        self.answer_route(&fields, b"", record).await
    }

    /// Answer with `status`, and with a media type and content or with the edge's own page.
    async fn answer_status(
        &mut self,
        status: u16,
        content: Option<(&str, &str)>,
        record: &mut Record,
    ) -> After {
        record.status = status;
        let (content_type, content) = match content {
            Some((content_type, content)) => (content_type, content.as_bytes().to_vec()),
            None if status < 400 => ("", Vec::new()),
            None => {
                let mut accept = self.head.values(&self.buf, KnownField::Accept);
                let format = PageFormat::from_accept(accept.next().unwrap_or_default());
                status_page(status, &record.id, format)
            }
        };
        let fields: [(&[u8], &[u8]); 1] = [(b"Content-Type", content_type.as_bytes())];
        let fields = if content.is_empty() { &[][..] } else { &fields };
        self.answer_route(fields, &content, record).await
    }

    async fn answer_route(
        &mut self,
        fields: &[(&[u8], &[u8])],
        content: &[u8],
        record: &mut Record,
    ) -> After {
        record.keep_alive &= !self.has_content();
        let reason = reason_phrase(record.status);
        self.answer_by_itself(reason, fields, content, record).await;
        self.log(record);
        self.after_head(record)
    }
}
