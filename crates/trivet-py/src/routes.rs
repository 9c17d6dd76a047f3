//! Questions about routes for Python, answered by the code that the edge runs.

use std::net::IpAddr;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde::{Deserialize, Serialize};
use trivet_core::route::{
    HostPattern, Message, PathPattern, Request, Template, Use, ValuePattern, check_changeable,
};
use trivet_edge::lists::Lists;
use trivet_edge::routing::{Explained, Routes, explain};
use trivet_wire::edge_config::EdgeConfig;

/// Check a pattern and return the names in it.
#[pyfunction]
pub(crate) fn check_pattern(kind: &str, text: &str) -> PyResult<Vec<String>> {
    let names = |pattern: PathPattern| pattern.names().into_iter().map(str::to_owned).collect();
    match kind {
        "host" => HostPattern::parse(text).map(|_| Vec::new()),
        "path" => PathPattern::parse(text).map(names),
        "regex" => PathPattern::parse_regex(text).map(names),
        "value" => ValuePattern::parse(text).map(|_| Vec::new()),
        _ => return Err(PyValueError::new_err("no kind of pattern")),
    }
    .map_err(told)
}

/// Check the name of a field that a route changes.
#[pyfunction]
pub(crate) fn check_field_name(message: &str, name: &str) -> PyResult<()> {
    let message = match message {
        "request" => Message::Request,
        "response" => Message::Response,
        _ => return Err(PyValueError::new_err("no kind of message")),
    };
    check_changeable(name, message).map_err(told)
}

/// Check a template that may use `names`.
#[pyfunction]
#[expect(
    clippy::needless_pass_by_value,
    reason = "PyO3 extracts a list of texts only as owned"
)]
pub(crate) fn check_template(kind: &str, text: &str, names: Vec<String>) -> PyResult<()> {
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let made_for = match kind {
        "field" => Use::Field,
        "location" => Use::Location,
        "path" => Use::Path,
        _ => return Err(PyValueError::new_err("no kind of template")),
    };
    Template::parse(text, made_for, &names)
        .map(|_| ())
        .map_err(told)
}

/// The name of a route that no request reaches, and of the one that is why.
#[pyfunction]
pub(crate) fn unreachable_route(document: &[u8]) -> PyResult<Option<(String, String)>> {
    let routes = routes(document)?;
    let found = routes.unreachable();
    Ok(found.map(|(route, cover)| (route.to_owned(), cover.to_owned())))
}

/// A request that is asked about.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    method: String,
    secure: bool,
    authority: String,
    path: String,
    query: String,
    fields: Vec<(String, String)>,
    client: Option<IpAddr>,
}

/// What a route means for it.
#[derive(Serialize)]
struct Told<'a> {
    route: &'a str,
    mismatch: Option<&'static str>,
    decides: &'a [&'static str],
    action: &'a str,
}

/// The way of a request through the routes.
#[pyfunction]
pub(crate) fn explain_request<'py>(
    py: Python<'py>,
    document: &[u8],
    request: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let config = EdgeConfig::from_json(document).map_err(told)?;
    let routes = Routes::plan(&config.routes).map_err(told)?;
    let lists = Lists::new(&config.lists, None).map_err(told)?;
    let asked: Asked = serde_json::from_slice(request).map_err(told)?;
    let explained = explain(
        &routes,
        &Request {
            authority: asked.authority.as_bytes(),
            is_secure: asked.secure,
            method: asked.method.as_bytes(),
            path: asked.path.as_bytes(),
            query: asked.query.as_bytes(),
            has_field: &|name, pattern| {
                asked
                    .fields
                    .iter()
                    .any(|(key, value)| key == name && pattern.matches(value.as_bytes()))
            },
            is_listed: &|number| lists.holds(number, asked.client),
        },
    );
    let json = serde_json::to_vec(&answer(&explained)).map_err(told)?;
    Ok(PyBytes::new(py, &json))
}

fn answer(explained: &Explained) -> serde_json::Value {
    let steps: Vec<_> = explained
        .steps
        .iter()
        .map(|step| Told {
            route: &step.route,
            mismatch: step.mismatch.map(trivet_core::route::Part::as_str),
            decides: &step.decides,
            action: &step.action,
        })
        .collect();
    serde_json::json!({
        "steps": steps,
        "reaches_app": explained.reaches_app,
        "path": String::from_utf8_lossy(&explained.path),
    })
}

fn routes(document: &[u8]) -> PyResult<Routes> {
    let config = EdgeConfig::from_json(document).map_err(told)?;
    Routes::plan(&config.routes).map_err(told)
}

fn told(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}
