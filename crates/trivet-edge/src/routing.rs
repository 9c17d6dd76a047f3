//! Which routes a request takes: what its configuration said, ready to be asked.
//!
//! The verdict about one route is `trivet_core::route`'s; here the list is walked.
//! For each policy the first matching route that says something about it counts,
//! and for the action the first that has one.

mod explain;

use std::borrow::Cow;
use std::sync::Arc;

use trivet_core::http1::{Field, Head, KnownField};
use trivet_core::route::{
    Change, FieldChange, FieldEdits, HostPattern, Match, Message, PathPattern, Request, Template,
    Use, ValuePattern, check_changeable,
};
use trivet_wire::edge_config;

pub use explain::{Answerer, Asked, Explained, Permits, Step, Verdict, explain, judge};

use crate::files::Folder;
use crate::limits::{ConcurrencyLimit, Limits, RateLimit};

/// A request is rewritten so often at the most: more is a circle.
pub(crate) const MOST_REWRITES: usize = 8;

/// Why a list of routes cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{route}: `{part}` {problem}")]
pub struct RouteError {
    /// Its name.
    pub route: String,
    /// The part that is wrong.
    pub part: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

/// The routes, in their order.
#[derive(Debug, Default)]
pub struct Routes(Vec<Route>);

/// A route, ready to be asked.
#[derive(Debug)]
struct Route {
    name: Arc<str>,
    /// As the configuration has them.
    asked: edge_config::Match,
    requests: Match,
    policy: edge_config::Policy,
    request_fields: Vec<FieldChange>,
    response_fields: Vec<FieldChange>,
    limits: Limits,
    action: Option<Arc<Action>>,
}

/// Who answers a request.
#[derive(Debug)]
pub(crate) enum Action {
    /// The app.
    App,
    /// Files of a folder.
    Files(Arc<Folder>),
    /// As [`Action::Files`], where nothing is opened.
    PlannedFiles(edge_config::Files),
    /// A redirection.
    Redirect {
        status: u16,
        location: Template,
        names: Option<PathPattern>,
    },
    /// This answer; without content, the edge's page for the status.
    Respond {
        status: u16,
        content_type: String,
        content: Option<String>,
    },
    /// The same request with another path.
    Rewrite {
        path: Template,
        names: Option<PathPattern>,
    },
}

/// How a request is treated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Treatment {
    pub(crate) request_buffering: Option<bool>,
    pub(crate) request_body_bytes: Option<u64>,
    pub(crate) timeout_ms: Option<u32>,
    pub(crate) cancel_on_disconnect: Option<bool>,
    pub(crate) compress: Option<bool>,
    pub(crate) request_fields: FieldEdits,
    pub(crate) response_fields: FieldEdits,
    /// The route whose `allow` counts.
    pub(crate) allow: Option<Number>,
    /// The route whose `deny` counts.
    pub(crate) deny: Option<Number>,
    /// The route whose `rate_limit` counts.
    pub(crate) rate_limit: Option<Number>,
    /// The route whose `max_concurrency` counts.
    pub(crate) max_concurrency: Option<Number>,
}

/// The number of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number(usize);

impl Treatment {
    /// Take over what `route`, which has this number, says of `request` and nothing has said before.
    fn add(&mut self, at: usize, route: &Route, request: &Request<'_>) {
        let policy = &route.policy;
        self.request_buffering = self.request_buffering.or(policy.request_buffering);
        self.request_body_bytes = self.request_body_bytes.or(policy.request_body_bytes);
        self.timeout_ms = self.timeout_ms.or(policy.timeout_ms);
        self.cancel_on_disconnect = self.cancel_on_disconnect.or(policy.cancel_on_disconnect);
        self.compress = self.compress.or(policy.compress);
        let make = |template: &Template| render(template, route.requests.path.as_ref(), request);
        self.request_fields.add(&route.request_fields, make);
        self.response_fields.add(&route.response_fields, make);
        let here = |is_said: bool| is_said.then_some(Number(at));
        self.allow = self.allow.or(here(policy.allow.is_some()));
        self.deny = self.deny.or(here(policy.deny.is_some()));
        self.rate_limit = self.rate_limit.or(here(policy.rate_limit.is_some()));
        let is_limited = policy.max_concurrency.is_some();
        self.max_concurrency = self.max_concurrency.or(here(is_limited));
    }
}

/// A place in the list, to go on from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place(usize);

impl Routes {
    /// Make the routes ready. Folders that `before` has open, the files that it remembers, and
    /// what it has counted for the same routes are taken over.
    ///
    /// # Errors
    /// [`RouteError`] for the first that has a part which cannot be used.
    pub(crate) fn new(
        routes: &[edge_config::Route],
        before: Option<&Self>,
    ) -> Result<Self, RouteError> {
        let open = |files: &edge_config::Files| {
            let known = before.and_then(|before| before.folder(files));
            known.map_or_else(|| Folder::open(files).map(Arc::new), Ok)
        };
        Self::with(routes, before, |files| open(files).map(Action::Files))
    }

    /// Compile the routes without opening anything, to be asked about them.
    ///
    /// # Errors
    /// As [`Routes::new`].
    pub fn plan(routes: &[edge_config::Route]) -> Result<Self, RouteError> {
        Self::with(routes, None, |files| {
            Ok(Action::PlannedFiles(files.clone()))
        })
    }

    fn with(
        routes: &[edge_config::Route],
        before: Option<&Self>,
        files: impl Fn(&edge_config::Files) -> Result<Action, String>,
    ) -> Result<Self, RouteError> {
        let limits = |route: &edge_config::Route| {
            let mut known = before.into_iter().flat_map(|before| &before.0);
            let known = known.find(|known| known.asked == route.requests);
            Limits::new(&route.policy, known.map(|known| &known.limits))
        };
        let routes = routes
            .iter()
            .map(|route| Route::new(route, limits(route), &files));
        routes.collect::<Result<_, _>>().map(Self)
    }

    /// The folder that is open for this part of a configuration.
    fn folder(&self, files: &edge_config::Files) -> Option<Arc<Folder>> {
        self.0
            .iter()
            .find_map(|route| match route.action.as_deref() {
                Some(Action::Files(folder)) if folder.files == *files => Some(Arc::clone(folder)),
                _ => None,
            })
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Walk on from `place`: adds what the matching routes say to `treatment`, and returns the
    /// first action, with the place behind it. `None` where the app answers. `first` becomes the
    /// name of the first route that matches.
    pub(crate) fn walk(
        &self,
        place: Place,
        request: &Request<'_>,
        treatment: &mut Treatment,
        first: &mut Option<Arc<str>>,
    ) -> Option<(Arc<Action>, Place)> {
        for (at, route) in self.0.iter().enumerate().skip(place.0) {
            if route.requests.check(request).is_err() {
                continue;
            }
            treatment.add(at, route, request);
            if first.is_none() {
                *first = Some(Arc::clone(&route.name));
            }
            if let Some(action) = &route.action {
                return Some((Arc::clone(action), Place(at + 1)));
            }
        }
        None
    }

    /// The lists that the clients of such a request must be in; `None` for none.
    pub(crate) fn allow(&self, treatment: &Treatment) -> Option<&[u32]> {
        self.policy(treatment.allow)?.allow.as_deref()
    }

    /// The lists that they must not be in.
    pub(crate) fn deny(&self, treatment: &Treatment) -> &[u32] {
        let policy = self.policy(treatment.deny);
        policy
            .and_then(|policy| policy.deny.as_deref())
            .unwrap_or_default()
    }

    /// How many such requests are taken in a time.
    pub(crate) fn rate_limit(&self, treatment: &Treatment) -> Option<&Arc<RateLimit>> {
        let route = self.0.get(treatment.rate_limit?.0)?;
        route.limits.rate.as_ref()
    }

    /// How many such requests run at once.
    pub(crate) fn concurrency(&self, treatment: &Treatment) -> Option<&Arc<ConcurrencyLimit>> {
        let route = self.0.get(treatment.max_concurrency?.0)?;
        route.limits.concurrency.as_ref()
    }

    fn policy(&self, number: Option<Number>) -> Option<&edge_config::Policy> {
        Some(&self.0.get(number?.0)?.policy)
    }

    /// The first route that no request ever reaches, and the one before it that is why.
    pub fn unreachable(&self) -> Option<(&str, &str)> {
        self.0.iter().enumerate().find_map(|(at, route)| {
            let cover =
                self.0.iter().take(at).find(|before| {
                    before.ends_the_walk() && before.requests.covers(&route.requests)
                })?;
            Some((&*route.name, &*cover.name))
        })
    }
}

impl Route {
    fn new(
        route: &edge_config::Route,
        limits: Limits,
        open: impl Fn(&edge_config::Files) -> Result<Action, String>,
    ) -> Result<Self, RouteError> {
        let wrong = |part: &'static str| {
            move |problem: String| RouteError {
                route: route.name.clone(),
                part,
                problem,
            }
        };
        let requests = compile(&route.requests).map_err(|(part, error)| wrong(part)(error))?;
        let names = requests.path.clone();
        let known: Vec<_> = names.iter().flat_map(PathPattern::names).collect();
        let template = |text: &str, made_for| Template::parse(text, made_for, &known);
        let action = match &route.action {
            None => None,
            Some(edge_config::Action::App {}) => Some(Action::App),
            Some(edge_config::Action::Files(files)) => Some(open(files).map_err(wrong("folder"))?),
            Some(edge_config::Action::Redirect { status, location }) => Some(Action::Redirect {
                status: *status,
                location: template(location, Use::Location)
                    .map_err(|error| wrong("redirect")(error.to_string()))?,
                names: names.clone(),
            }),
            Some(edge_config::Action::Respond {
                status,
                content_type,
                content,
            }) => Some(Action::Respond {
                status: *status,
                content_type: content_type.clone(),
                content: content.clone(),
            }),
            Some(edge_config::Action::Rewrite { path }) => Some(Action::Rewrite {
                path: template(path, Use::Path)
                    .map_err(|error| wrong("rewrite")(error.to_string()))?,
                names: names.clone(),
            }),
        };
        let changes = |given: &[edge_config::FieldChange], message| {
            given
                .iter()
                .map(|change| field_change(change, message, &known))
                .collect::<Result<Vec<_>, _>>()
        };
        let policy = &route.policy;
        Ok(Self {
            name: Arc::from(route.name.as_str()),
            request_fields: changes(&policy.request_fields, Message::Request)
                .map_err(wrong("request_fields"))?,
            response_fields: changes(&policy.response_fields, Message::Response)
                .map_err(wrong("response_fields"))?,
            asked: route.requests.clone(),
            requests,
            policy: route.policy.clone(),
            limits,
            action: action.map(Arc::new),
        })
    }

    /// Whether no route behind it is asked about a request that it matches.
    fn ends_the_walk(&self) -> bool {
        match self.action.as_deref() {
            None => false,
            Some(Action::Files(folder)) => !folder.files.falls_through,
            Some(Action::PlannedFiles(files)) => !files.falls_through,
            Some(_) => true,
        }
    }
}

/// Make a change of fields ready, which may use the `names` of the path.
fn field_change(
    change: &edge_config::FieldChange,
    message: Message,
    names: &[&str],
) -> Result<FieldChange, String> {
    use edge_config::FieldChange as Wanted;
    let template =
        |value: &str| Template::parse(value, Use::Field, names).map_err(|error| error.to_string());
    let (name, kind) = match change {
        Wanted::Add { name, value } => (name, Change::Add(template(value)?)),
        Wanted::Remove { name } => (name, Change::Remove),
        Wanted::Set { name, value } => (name, Change::Set(template(value)?)),
    };
    check_changeable(name, message).map_err(|error| error.to_string())?;
    Ok(FieldChange {
        name: name.clone(),
        kind,
    })
}

/// Make the patterns of a route ready; the error names the part.
fn compile(requests: &edge_config::Match) -> Result<Match, (&'static str, String)> {
    let told = |part| move |error: trivet_core::route::PatternError| (part, error.to_string());
    let path = match &requests.path {
        None => None,
        Some(path) if path.is_regex => {
            Some(PathPattern::parse_regex(&path.text).map_err(told("regex"))?)
        }
        Some(path) => Some(PathPattern::parse(&path.text).map_err(told("path"))?),
    };
    let values = |named: &[edge_config::NamedValue], part| {
        named
            .iter()
            .map(|each| {
                let value = ValuePattern::parse(&each.value).map_err(told(part))?;
                Ok((each.name.clone(), value))
            })
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(Match {
        hosts: requests
            .hosts
            .iter()
            .map(|host| HostPattern::parse(host).map_err(told("host")))
            .collect::<Result<_, _>>()?,
        secure: requests.secure,
        path,
        methods: requests
            .methods
            .iter()
            .map(|method| method.clone().into_bytes())
            .collect(),
        fields: values(&requests.fields, "field")?,
        query: values(&requests.query, "query")?,
        clients: requests.clients.clone(),
    })
}

/// Whether a line of the field `name` has such a value; `name` is in lower case.
pub(crate) fn has_field(head: &Head, buf: &[u8], name: &str, pattern: &ValuePattern) -> bool {
    head.fields
        .iter()
        .any(|field| is_named(field, name, buf) && pattern.matches(field.value.of(buf)))
}

pub(crate) fn is_named(field: &Field, name: &str, buf: &[u8]) -> bool {
    match field.known {
        KnownField::Other => field.name.of(buf).eq_ignore_ascii_case(name.as_bytes()),
        known => known.name() == name,
    }
}

/// Make the text of `template` for a request, with the names that `names` finds in its path.
pub(crate) fn render(
    template: &Template,
    names: Option<&PathPattern>,
    request: &Request<'_>,
) -> Vec<u8> {
    template.render(|name| {
        let captured = names.and_then(|names| names.capture(request.path, name));
        Cow::Borrowed(match name {
            _ if captured.is_some() => captured.unwrap_or_default(),
            "host" => request.authority,
            "hostname" => request.hostname(),
            "path" => request.path,
            "port" => request.port(),
            "query" => request.query,
            "scheme" if request.is_secure => b"https",
            "scheme" => b"http",
            _ => b"",
        })
    })
}
