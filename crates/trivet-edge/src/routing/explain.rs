//! Why a request takes the route that it takes.

use trivet_core::route::{Part, Request};

use super::{Action, MOST_REWRITES, Place, Routes, Treatment, render};

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
    /// The path in the end, after rewriting.
    pub path: Vec<u8>,
}

/// Explain the way of `request` through `routes`, as the edge itself goes it.
pub fn explain(routes: &Routes, request: &Request<'_>) -> Explained {
    let mut explained = Explained {
        steps: Vec::new(),
        reaches_app: false,
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
        match walk(routes, place, &present, &mut treatment, steps) {
            Some((_, Action::Rewrite { path, names })) if rewrites < MOST_REWRITES => {
                rewrites += 1;
                explained.path = render(path, names.as_ref(), &present);
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
