//! Why a request takes the route that it takes.

use std::net::IpAddr;
use std::sync::Arc;

use trivet_core::Problem;
use trivet_core::forwarded::{Client, TrustedProxies};
use trivet_core::gate::{self, Admitted};
use trivet_core::http1::{Head, Parse};
use trivet_core::route::{Part, Request, ValuePattern};
use trivet_wire::edge_config::EdgeConfig;

use super::{Action, MOST_REWRITES, Place, Routes, Treatment, has_field, render};
use crate::lists::Lists;
use crate::mount::Mounts;
use crate::settings::{gate_policy, head_limits, probe_paths};

/// A request that is asked about.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Its whole head, as a client sends it.
    pub head: &'a [u8],
    /// Whether it comes over TLS.
    pub is_secure: bool,
    /// The other end of its connection; `None` for a Unix socket.
    pub peer: Option<IpAddr>,
}

/// Who answers it.
#[derive(Debug, PartialEq, Eq)]
pub enum Answerer {
    /// The edge, for the stand is not for this client.
    Access,
    /// The app with this number.
    App(usize),
    /// No app is mounted above the path.
    Nobody,
    /// The edge, for it is a health probe.
    Probe,
    /// The gate, for it is no request that may pass.
    Refused(Problem),
    /// The last of the routes that were looked at.
    Route,
}

/// What becomes of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Who answers.
    pub answerer: Answerer,
    /// The client, as trusted proxies tell; `None` where nobody does.
    pub client: Option<Client>,
    /// The host that was asked for, and its port if there is one.
    pub authority: Vec<u8>,
    /// The path as the gate has read it; empty if it refuses the request.
    pub path: Vec<u8>,
    /// The way through the routes; `None` if the request never comes to them.
    pub explained: Option<Explained>,
}

/// Judge a request as the edge does: the parser, the gate, trusted proxies, probes, routes, apps.
///
/// # Errors
/// With what is wrong with the configuration.
pub fn judge(config: &EdgeConfig, asked: &Asked<'_>) -> Result<Verdict, String> {
    let routes = Routes::plan(&config.routes).map_err(|error| error.to_string())?;
    let trusted = TrustedProxies::parse(&config.trusted_proxies)?;
    let lists = Lists::new(&config.lists, None).map_err(|error| error.to_string())?;
    let mut verdict = Verdict {
        answerer: Answerer::Nobody,
        client: None,
        authority: Vec::new(),
        path: Vec::new(),
        explained: None,
    };
    let (mut head, mut admitted, buf) = (Head::default(), Admitted::default(), asked.head);
    let passed = match head.parse(buf, &head_limits(config)) {
        Ok(Parse::Complete) if head.len == buf.len() => {
            gate::admit(&head, buf, &gate_policy(config), &mut admitted)
        }
        Ok(_) => Err(Problem::BadRequest("The request head is malformed.")),
        Err(problem) => Err(problem),
    };
    if let Err(problem) = passed {
        verdict.answerer = Answerer::Refused(problem);
        return Ok(verdict);
    }
    let scheme = if asked.is_secure { "https" } else { "http" };
    let client = trusted.resolve(asked.peer, 0, scheme, &head, buf);
    verdict.client = Some(client);
    let authority = client.host.unwrap_or(admitted.host).of(buf);
    verdict.authority = authority.to_vec();
    verdict.path.clone_from(&admitted.path);
    if probe_paths(&config.health).of(&admitted.path).is_some() {
        verdict.answerer = Answerer::Probe;
        return Ok(verdict);
    }
    if !lists.admits(&config.access, client.addr) {
        verdict.answerer = Answerer::Access;
        return Ok(verdict);
    }
    let has_field = |name: &str, pattern: &ValuePattern| has_field(&head, buf, name, pattern);
    let explained = explain(
        &routes,
        &Request {
            authority,
            is_secure: client.scheme == "https",
            method: head.method.of(buf),
            path: &admitted.path,
            query: admitted.query.of(buf),
            has_field: &has_field,
            is_listed: &|number| lists.holds(number, client.addr),
        },
        &|allow, deny| lists.permit(allow, deny, client.addr),
    );
    verdict.answerer = if explained.reaches_app {
        let pools: Vec<_> = config.apps.iter().map(|_| Arc::default()).collect();
        let app = Mounts::new(&config.apps, &pools).number_of(&explained.path);
        app.map_or(Answerer::Nobody, Answerer::App)
    } else {
        Answerer::Route
    };
    verdict.explained = Some(explained);
    Ok(verdict)
}

/// What a route means for one request.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// The route's name.
    pub route: String,
    /// The part of it that does not hold; `None` where it matches.
    pub mismatch: Option<Part>,
    /// Options of the request's treatment that it decides.
    pub decides: Vec<&'static str>,
    /// What it does with the request, in words; empty where that is left to others.
    pub action: String,
}

/// The way of a request through the routes.
#[derive(Debug, PartialEq, Eq)]
pub struct Explained {
    /// The routes that were looked at, in order; those of a rewritten request follow.
    pub steps: Vec<Step>,
    /// Whether an app is asked in the end.
    pub reaches_app: bool,
    /// Whether it is rewritten without end, or to what is no path: the edge answers with 500.
    pub is_circle: bool,
    /// Whether the routes do not let this client have it: the edge answers with 403.
    pub is_forbidden: bool,
    /// The path in the end, after rewriting.
    pub path: Vec<u8>,
}

/// Whether a client may have what needs one of the first lists, if any, and none of the second.
pub type Permits<'a> = &'a dyn Fn(Option<&[u32]>, &[u32]) -> bool;

/// Explain the way of `request` through `routes`, as the edge itself goes it.
///
/// `permits` is asked for the lists that clients must be in, if any, and those that they must not
/// be in.
pub fn explain(routes: &Routes, request: &Request<'_>, permits: Permits<'_>) -> Explained {
    let mut explained = Explained {
        steps: Vec::new(),
        reaches_app: false,
        is_circle: false,
        is_forbidden: false,
        path: request.path.to_vec(),
    };
    let mut treatment = Treatment::default();
    let mut place = Place::default();
    let mut rewrites = 0;
    loop {
        let path = explained.path.clone();
        let present = Request {
            path: &path,
            ..*request
        };
        let steps = &mut explained.steps;
        let found = walk(routes, place, &present, &mut treatment, steps);
        let is_rewritten = matches!(found, Some((_, Action::Rewrite { .. })));
        if !is_rewritten && !permits(routes.allow(&treatment), routes.deny(&treatment)) {
            explained.is_forbidden = true;
            return explained;
        }
        match found {
            Some((_, Action::Rewrite { path, names })) => {
                rewrites += 1;
                let path = render(path, names.as_ref(), &present);
                if rewrites > MOST_REWRITES || !path.starts_with(b"/") {
                    explained.is_circle = true;
                    return explained;
                }
                explained.path = path;
                place = Place::default();
            }
            // Whether the file is there is for the folder to say.
            Some((at, Action::PlannedFiles(files))) if files.falls_through => place = Place(at + 1),
            None | Some((_, Action::App)) => {
                explained.reaches_app = true;
                return explained;
            }
            Some(_) => return explained,
        }
    }
}

fn walk<'a>(
    routes: &'a Routes,
    place: Place,
    request: &Request<'_>,
    treatment: &mut Treatment,
    steps: &mut Vec<Step>,
) -> Option<(usize, &'a Action)> {
    for (at, route) in routes.0.iter().enumerate().skip(place.0) {
        let mismatch = route.requests.check(request).err();
        let before = treatment.clone();
        if mismatch.is_none() {
            treatment.add(at, route, request);
        }
        let action = route.action.as_deref().filter(|_| mismatch.is_none());
        steps.push(Step {
            route: route.name.to_string(),
            mismatch,
            decides: decided(&before, treatment),
            action: action.map_or_else(String::new, |action| describe(action, request)),
        });
        if let Some(action) = action {
            return Some((at, action));
        }
    }
    None
}

fn decided(before: &Treatment, after: &Treatment) -> Vec<&'static str> {
    let changes = [
        (
            "request_buffering",
            before.request_buffering != after.request_buffering,
        ),
        (
            "request_body",
            before.request_body_bytes != after.request_body_bytes,
        ),
        ("timeout", before.timeout_ms != after.timeout_ms),
        (
            "cancel_on_disconnect",
            before.cancel_on_disconnect != after.cancel_on_disconnect,
        ),
        ("compress", before.compress != after.compress),
        (
            "request_fields",
            before.request_fields != after.request_fields,
        ),
        (
            "response_fields",
            before.response_fields != after.response_fields,
        ),
        ("allow", before.allow != after.allow),
        ("deny", before.deny != after.deny),
        ("rate_limit", before.rate_limit != after.rate_limit),
        (
            "max_concurrency",
            before.max_concurrency != after.max_concurrency,
        ),
    ];
    let decided = changes.into_iter().filter(|(_, is_decided)| *is_decided);
    decided.map(|(name, _)| name).collect()
}

fn describe(action: &Action, request: &Request<'_>) -> String {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    match action {
        Action::App => "the app answers".to_owned(),
        Action::Files(folder) => describe_files(&folder.files),
        Action::PlannedFiles(files) => describe_files(files),
        Action::Redirect {
            status,
            location,
            names,
        } => {
            let location = text(render(location, names.as_ref(), request));
            format!("{status}, to {location}")
        }
        Action::Respond { status, .. } => format!("{status}, from the configuration"),
        Action::Rewrite { path, names } => {
            let path = text(render(path, names.as_ref(), request));
            format!("goes on as {path}")
        }
    }
}

fn describe_files(files: &trivet_wire::edge_config::Files) -> String {
    let condition = if files.falls_through {
        ", if it is there"
    } else {
        ""
    };
    format!("a file of {}{condition}", files.folder)
}
