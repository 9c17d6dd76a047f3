//! Questions about routes for Python, answered by the code that the edge runs.

use std::net::IpAddr;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde::{Deserialize, Serialize};
use trivet_core::glob::Glob;
use trivet_core::media_type::MediaTypes;
use trivet_core::route::{
    HostPattern, Message, PathPattern, Template, Use, ValuePattern, check_changeable,
};
use trivet_edge::routing::{Answerer, Asked, Routes, Verdict, judge};
use trivet_wire::edge_config::EdgeConfig;

/// Check a pattern and return the names in it.
#[pyfunction]
pub(crate) fn check_pattern(kind: &str, text: &str) -> PyResult<Vec<String>> {
    let names = |pattern: PathPattern| pattern.names().into_iter().map(str::to_owned).collect();
    match kind {
        "glob" => Glob::parse(text).map(|_| Vec::new()).map_err(told),
        "host" => HostPattern::parse(text).map(|_| Vec::new()).map_err(told),
        "path" => PathPattern::parse(text).map(names).map_err(told),
        "regex" => PathPattern::parse_regex(text).map(names).map_err(told),
        "value" => ValuePattern::parse(text).map(|_| Vec::new()).map_err(told),
        _ => Err(PyValueError::new_err("no kind of pattern")),
    }
}

/// Check media types by extension: pairs of an extension and its type.
#[pyfunction]
#[expect(
    clippy::needless_pass_by_value,
    reason = "PyO3 extracts a list of texts only as owned"
)]
pub(crate) fn check_media_types(types: Vec<(String, String)>) -> PyResult<()> {
    let types = types.iter().map(|(extension, own)| (&**extension, &**own));
    MediaTypes::new(types, "utf-8", "application/octet-stream")
        .map(|_| ())
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
struct AskedRequest {
    method: String,
    target: String,
    fields: Vec<(String, String)>,
    secure: bool,
    peer: Option<IpAddr>,
}

impl AskedRequest {
    /// The head that a client would send; what it is given is not repaired.
    fn head(&self) -> Vec<u8> {
        let field = |(name, value): &(String, String)| format!("{name}: {value}\r\n");
        let fields: String = self.fields.iter().map(field).collect();
        let head = format!("{} {} HTTP/1.1\r\n{fields}\r\n", self.method, self.target);
        head.into_bytes()
    }
}

/// What a route means for it.
#[derive(Serialize)]
struct Told<'a> {
    route: &'a str,
    mismatch: Option<&'static str>,
    decides: &'a [&'static str],
    action: &'a str,
}

/// What becomes of a request, and its way through the routes.
#[pyfunction]
pub(crate) fn explain_request<'py>(
    py: Python<'py>,
    document: &[u8],
    request: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let config = EdgeConfig::from_json(document).map_err(told)?;
    let asked: AskedRequest = serde_json::from_slice(request).map_err(told)?;
    let head = asked.head();
    let asked = Asked {
        head: &head,
        is_secure: asked.secure,
        peer: asked.peer,
    };
    let verdict = judge(&config, &asked).map_err(told)?;
    let json = serde_json::to_vec(&answer(&verdict)).map_err(told)?;
    Ok(PyBytes::new(py, &json))
}

fn answer(verdict: &Verdict) -> serde_json::Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (by, app, refused) = match &verdict.answerer {
        Answerer::Access => ("access", None, None),
        Answerer::App(number) => ("app", Some(*number), None),
        Answerer::Nobody => ("nobody", None, None),
        Answerer::Probe => ("probe", None, None),
        Answerer::Refused(problem) => ("gate", None, Some(problem)),
        Answerer::Route => ("route", None, None),
    };
    let explained = verdict.explained.as_ref();
    let steps = explained.map_or(&[][..], |explained| &explained.steps);
    let steps: Vec<_> = steps
        .iter()
        .map(|step| Told {
            route: &step.route,
            mismatch: step.mismatch.map(trivet_core::route::Part::as_str),
            decides: &step.decides,
            action: &step.action,
        })
        .collect();
    serde_json::json!({
        "answerer": by,
        "app": app,
        "refused": refused.map(|problem| serde_json::json!({
            "status": problem.status(),
            "reason": problem.reason(),
            "code": problem.code(),
            "detail": problem.detail(),
        })),
        "client": verdict.client.and_then(|client| client.addr),
        "scheme": verdict.client.map_or("", |client| client.scheme),
        "authority": text(&verdict.authority),
        "path": text(&verdict.path),
        "final_path": explained.map_or_else(String::new, |explained| text(&explained.path)),
        "is_forbidden": explained.is_some_and(|explained| explained.is_forbidden),
        "is_circle": explained.is_some_and(|explained| explained.is_circle),
        "steps": steps,
    })
}

fn routes(document: &[u8]) -> PyResult<Routes> {
    let config = EdgeConfig::from_json(document).map_err(told)?;
    Routes::plan(&config.routes).map_err(told)
}

fn told(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}
