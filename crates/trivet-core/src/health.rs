//! What health probes are answered: by the edge, never by an app.
//!
//! A probe that waits behind busy workers makes an orchestrator kill what only
//! works hard, so nothing here asks a worker anything.

use crate::http1::reason_phrase;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Does it live? If not, it is to be started anew.
    Live,
    /// Should it get requests now?
    Ready,
}

/// Where probes are answered; both `None` for nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbePaths {
    /// Path of [`Probe::Live`].
    pub live: Option<Vec<u8>>,
    /// Path of [`Probe::Ready`].
    pub ready: Option<Vec<u8>>,
}

impl ProbePaths {
    /// Whether there is any.
    pub const fn is_empty(&self) -> bool {
        self.live.is_none() && self.ready.is_none()
    }

    /// What a request for `path` asks, if it is a probe.
    pub fn of(&self, path: &[u8]) -> Option<Probe> {
        if self.live.as_deref() == Some(path) {
            Some(Probe::Live)
        } else if self.ready.as_deref() == Some(path) {
            Some(Probe::Ready)
        } else {
            None
        }
    }
}

/// What the edge knows of the stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition<'a> {
    /// Every app has a worker that takes requests.
    Serving,
    /// The app below this path prefix has none.
    NoWorker(&'a str),
    /// It is going away.
    Draining,
}

/// An answer, without its connection's matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthAnswer {
    /// Status code.
    pub status: u16,
    /// JSON: `status`, and if it is not `ok` the `reason`.
    pub content: String,
    /// Value of the `Allow` field (RFC 9110 section 10.2.1), where it is due.
    pub allow: Option<&'static str>,
}

impl HealthAnswer {
    fn new(status: u16, word: &str, reason: Option<&str>) -> Self {
        let mut content = format!("{{\"status\":\"{word}\"");
        if let Some(reason) = reason {
            content.push_str(",\"reason\":\"");
            content.extend(reason.chars().flat_map(escaped));
            content.push('"');
        }
        content.push_str("}\n");
        Self {
            status,
            content,
            allow: None,
        }
    }

    /// The reason phrase of its status.
    pub const fn reason_phrase(&self) -> &'static str {
        reason_phrase(self.status)
    }
}

/// Answer a probe. A draining edge still lives: who ends it now loses requests.
pub fn answer(probe: Probe, method: &[u8], condition: Condition<'_>) -> HealthAnswer {
    if !matches!(method, b"GET" | b"HEAD") {
        let reason = "a probe is a GET or HEAD request";
        return HealthAnswer {
            allow: Some("GET, HEAD"),
            ..HealthAnswer::new(405, "unknown", Some(reason))
        };
    }
    match (probe, condition) {
        (Probe::Live, _) | (Probe::Ready, Condition::Serving) => HealthAnswer::new(200, "ok", None),
        (Probe::Ready, Condition::Draining) => HealthAnswer::new(503, "unready", Some("draining")),
        (Probe::Ready, Condition::NoWorker(mount)) => {
            let at = if mount.is_empty() { "/" } else { mount };
            let reason = format!("no worker of the app at {at} takes requests");
            HealthAnswer::new(503, "unready", Some(&reason))
        }
    }
}

/// A character as it may stand in a JSON string (RFC 8259 section 7).
fn escaped(char: char) -> impl Iterator<Item = char> {
    let text = match char {
        '"' | '\\' => format!("\\{char}"),
        '\0'..' ' => format!("\\u{:04x}", u32::from(char)),
        _ => char.to_string(),
    };
    text.chars().collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths() -> ProbePaths {
        ProbePaths {
            live: Some(b"/livez".to_vec()),
            ready: Some(b"/readyz".to_vec()),
        }
    }

    #[test]
    fn only_the_exact_path_is_a_probe() {
        assert_eq!(paths().of(b"/livez"), Some(Probe::Live));
        assert_eq!(paths().of(b"/readyz"), Some(Probe::Ready));
        for path in [&b"/livez/"[..], b"/livezz", b"/live", b"/", b"*", b""] {
            assert_eq!(paths().of(path), None);
        }
        assert_eq!(ProbePaths::default().of(b""), None);
        assert!(ProbePaths::default().is_empty() && !paths().is_empty());
    }

    #[test]
    fn whoever_drains_lives_and_is_not_ready() {
        let live = answer(Probe::Live, b"GET", Condition::Draining);
        assert_eq!(
            (live.status, live.content.as_str()),
            (200, "{\"status\":\"ok\"}\n")
        );
        let ready = answer(Probe::Ready, b"HEAD", Condition::Draining);
        assert_eq!(ready.status, 503);
        assert_eq!(
            ready.content,
            "{\"status\":\"unready\",\"reason\":\"draining\"}\n"
        );
    }

    #[test]
    fn an_app_without_a_worker_is_named_by_its_path() {
        let ready = |mount| answer(Probe::Ready, b"GET", Condition::NoWorker(mount)).content;
        assert!(ready("").contains("\"no worker of the app at / takes requests\""));
        assert!(ready("/shop").contains("\"no worker of the app at /shop takes requests\""));
        assert!(ready("/a\"b\\c\n").contains("/a\\\"b\\\\c\\u000a takes"));
    }

    #[test]
    fn other_methods_are_told_which_ones_there_are() {
        let refused = answer(Probe::Live, b"POST", Condition::Serving);
        assert_eq!((refused.status, refused.allow), (405, Some("GET, HEAD")));
        assert_eq!(refused.reason_phrase(), "Method Not Allowed");
    }
}
