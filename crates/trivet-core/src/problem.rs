//! Why the edge answers a request by itself.
//!
//! One enum, one table: status, RFC 9209 error type, stable code, side, and
//! whether the connection survives. Logs, metrics and pages read it from here.

mod page;

pub use page::{PageFormat, page, status_page};
pub(crate) use page::{escape_html, escape_json};

/// A reason for the edge to answer instead of the app.
///
/// The sentences inside are for the visitor: whole sentences, no internals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.detail())]
pub enum Problem {
    /// The app raised before it sent a response head.
    AppFailed,
    /// The app sent no response head in time.
    AppTimeout,
    /// No worker has the app loaded.
    AppUnavailable,
    /// The app's response cannot be put into HTTP.
    BadAppResponse,
    /// The request breaks HTTP's grammar or its framing rules.
    BadRequest(&'static str),
    /// As many requests of the app wait and run as may.
    ConcurrencyLimit,
    /// The content is larger than the route allows.
    ContentTooLarge,
    /// The edge is going away and takes no new requests.
    Draining,
    /// An expectation other than `100-continue`.
    ExpectationFailed,
    /// The head is larger than allowed, or has too many fields.
    FieldsTooLarge(&'static str),
    /// The client's address may not have this.
    Forbidden,
    /// No room to spool the content.
    InsufficientStorage,
    /// A fault of the edge itself.
    Internal,
    /// A method that the thing asked for does not have.
    MethodNotAllowed,
    /// The authority is none of this connection's.
    MisdirectedRequest,
    /// No route matches.
    NotFound,
    /// A method or transfer coding the edge does not implement.
    NotImplemented(&'static str),
    /// A condition of the request does not hold.
    PreconditionFailed,
    /// The request's time was over before a worker had room for it.
    QueueDeadline,
    /// The app's queue is full.
    QueueFull,
    /// The request waited in the app's queue for too long.
    QueueTimeout,
    /// The request killed several workers and is not tried again.
    Quarantined,
    /// No part of the file is in the range asked for.
    RangeNotSatisfiable,
    /// The request did not arrive in time.
    RequestTimeout,
    /// The client, or all clients together, hold too many connections.
    TooManyConnections,
    /// The client asked more often than the route allows; the next request is granted after so
    /// many seconds.
    TooManyRequests(u32),
    /// As many requests of the route run at once as may.
    TooManyAtOnce,
    /// A WebSocket handshake of a version that the edge does not speak.
    UpgradeRequired,
    /// The request target is longer than allowed.
    UriTooLong,
    /// An HTTP version the edge does not speak here.
    VersionNotSupported,
    /// The worker died with the request.
    WorkerLost,
}

/// Where the fault lies, seen from the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client's side.
    Downstream,
    /// The edge itself.
    Internal,
    /// The workers' side.
    Upstream,
}

impl Side {
    /// The word used in logs and metric labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Downstream => "downstream",
            Self::Internal => "internal",
            Self::Upstream => "upstream",
        }
    }
}

impl Problem {
    /// The status code to answer with.
    pub const fn status(&self) -> u16 {
        self.facts().status
    }

    /// The reason phrase of [`Problem::status`].
    pub const fn reason(&self) -> &'static str {
        crate::http1::reason_phrase(self.status())
    }

    /// The proxy error type (RFC 9209 section 2.3 and its IANA registry).
    pub const fn error_type(&self) -> &'static str {
        self.facts().error_type
    }

    /// The stable dotted code, as in logs and the reference pages.
    pub const fn code(&self) -> &'static str {
        self.facts().code
    }

    /// Where the fault lies.
    pub const fn side(&self) -> Side {
        self.facts().side
    }

    /// Whether the connection must end after the answer.
    ///
    /// True whenever the end of the request is in doubt (RFC 9112 section 11.2)
    /// or the edge wants the connection gone.
    pub const fn closes_connection(&self) -> bool {
        self.facts().closes
    }

    /// Seconds for `Retry-After` (RFC 9110 section 10.2.3), if a retry may help.
    pub const fn retry_after_s(&self) -> Option<u32> {
        match self {
            Self::ConcurrencyLimit
            | Self::Draining
            | Self::QueueDeadline
            | Self::QueueFull
            | Self::QueueTimeout
            | Self::TooManyAtOnce
            | Self::TooManyConnections => Some(1),
            Self::TooManyRequests(seconds) => Some(*seconds),
            Self::AppUnavailable => Some(2),
            Self::InsufficientStorage => Some(30),
            _ => None,
        }
    }

    /// Whether the app certainly has not acted on the request, so that a client
    /// may repeat it whatever its method (RFC 9110 section 9.2.2).
    pub const fn is_safe_to_retry(&self) -> bool {
        !matches!(
            self,
            Self::AppFailed
                | Self::AppTimeout
                | Self::BadAppResponse
                | Self::Internal
                | Self::Quarantined
                | Self::WorkerLost
        )
    }

    /// A few words for a heading.
    pub const fn title(&self) -> &'static str {
        self.reason()
    }

    /// One sentence for the visitor, without internals.
    pub const fn detail(&self) -> &'static str {
        match self {
            Self::BadRequest(detail)
            | Self::FieldsTooLarge(detail)
            | Self::NotImplemented(detail) => detail,
            _ => self.facts().detail,
        }
    }

    /// One of each variant, for tables that must be complete.
    pub const ALL: [Self; 31] = [
        Self::AppFailed,
        Self::AppTimeout,
        Self::AppUnavailable,
        Self::BadAppResponse,
        Self::BadRequest("The request is malformed."),
        Self::ConcurrencyLimit,
        Self::ContentTooLarge,
        Self::Draining,
        Self::ExpectationFailed,
        Self::FieldsTooLarge("The request head is too large."),
        Self::Forbidden,
        Self::InsufficientStorage,
        Self::Internal,
        Self::MethodNotAllowed,
        Self::MisdirectedRequest,
        Self::NotFound,
        Self::NotImplemented("The request asks for something this server does not implement."),
        Self::PreconditionFailed,
        Self::QueueDeadline,
        Self::QueueFull,
        Self::QueueTimeout,
        Self::Quarantined,
        Self::RangeNotSatisfiable,
        Self::RequestTimeout,
        Self::TooManyAtOnce,
        Self::TooManyConnections,
        Self::TooManyRequests(1),
        Self::UpgradeRequired,
        Self::UriTooLong,
        Self::VersionNotSupported,
        Self::WorkerLost,
    ];

    /// The table: a row per variant.
    #[rustfmt::skip] // one row, one line or two; wrapped rows cannot be compared by eye
    const fn facts(&self) -> Facts {
        use Side::{Downstream, Internal, Upstream};
        match self {
            Self::AppFailed => Facts::new(500, "http_response_incomplete", "app.failed", Upstream, false,
                "The application could not answer because of an error."),
            Self::AppTimeout => Facts::new(504, "http_response_timeout", "app.timeout", Upstream, false,
                "The application took too long to answer."),
            Self::AppUnavailable => Facts::new(503, "destination_unavailable", "app.unavailable", Upstream, false,
                "The application is not ready to answer. Please try again in a moment."),
            Self::BadAppResponse => Facts::new(502, "http_protocol_error", "app.bad_response", Upstream, false,
                "The application answered in a way that cannot be passed on."),
            Self::BadRequest(_) => Facts::new(400, "http_request_error", "edge.bad_request", Downstream, true, ""),
            Self::ConcurrencyLimit => Facts::new(503, "connection_limit_reached", "app.concurrency_limit", Upstream, false,
                "The application is too busy at the moment. Please try again shortly."),
            Self::ContentTooLarge => Facts::new(413, "http_request_error", "edge.content_too_large", Downstream, true,
                "The request content is larger than allowed."),
            Self::Draining => Facts::new(503, "proxy_internal_response", "edge.draining", Internal, true,
                "The server is restarting. Please try again in a moment."),
            Self::ExpectationFailed => Facts::new(417, "http_request_error", "edge.expectation_failed", Downstream, true,
                "The request expects something this server cannot do."),
            Self::FieldsTooLarge(_) => Facts::new(431, "http_request_error", "edge.fields_too_large", Downstream, true, ""),
            Self::Forbidden => Facts::new(403, "http_request_denied", "edge.forbidden", Downstream, false,
                "This address is not for everybody."),
            Self::InsufficientStorage => Facts::new(507, "proxy_internal_error", "edge.insufficient_storage", Internal, true,
                "The server has no room for the request content at the moment."),
            Self::Internal => Facts::new(500, "proxy_internal_error", "edge.internal", Internal, true,
                "The server met an unexpected error."),
            Self::MethodNotAllowed => Facts::new(405, "http_request_error", "edge.method_not_allowed", Downstream, false,
                "What is at this address can only be read."),
            Self::MisdirectedRequest => Facts::new(421, "http_request_error", "edge.misdirected_request", Downstream, false,
                "This connection does not serve the requested host."),
            Self::NotFound => Facts::new(404, "http_request_error", "edge.not_found", Downstream, false,
                "There is nothing at this address."),
            Self::NotImplemented(_) => Facts::new(501, "http_request_error", "edge.not_implemented", Downstream, true, ""),
            Self::PreconditionFailed => Facts::new(412, "http_request_error", "edge.precondition_failed", Downstream, false,
                "What is at this address is not in the state that the request expects."),
            Self::QueueDeadline => Facts::new(504, "connection_timeout", "app.queue_deadline", Upstream, false,
                "The application was too busy to start on the request in time."),
            Self::QueueFull => Facts::new(503, "connection_limit_reached", "app.queue_full", Upstream, false,
                "The application is too busy at the moment. Please try again shortly."),
            Self::QueueTimeout => Facts::new(503, "connection_timeout", "app.queue_timeout", Upstream, false,
                "The application was too busy to start on the request. Please try again shortly."),
            Self::Quarantined => Facts::new(500, "http_request_denied", "app.quarantined", Upstream, false,
                "The application failed on this request more than once."),
            Self::RangeNotSatisfiable => Facts::new(416, "http_request_error", "edge.range_not_satisfiable", Downstream, false,
                "No part of the file is in the range asked for."),
            Self::RequestTimeout => Facts::new(408, "http_request_error", "edge.request_timeout", Downstream, true,
                "The request took too long to arrive."),
            Self::TooManyConnections => Facts::new(503, "http_request_denied", "edge.too_many_connections", Downstream, true,
                "There are too many connections at the moment. Please try again shortly."),
            Self::TooManyRequests(_) => Facts::new(429, "http_request_denied", "edge.too_many_requests", Downstream, false,
                "There were too many requests in a short time. Please try again later."),
            Self::TooManyAtOnce => Facts::new(503, "connection_limit_reached", "edge.too_many_at_once", Downstream, false,
                "Too many requests for this address run at the moment. Please try again shortly."),
            Self::UpgradeRequired => Facts::new(426, "http_request_error", "edge.upgrade_required", Downstream, true,
                "This server speaks version 13 of the WebSocket protocol."),
            Self::UriTooLong => Facts::new(414, "http_request_error", "edge.uri_too_long", Downstream, true,
                "The address is longer than allowed."),
            Self::VersionNotSupported => Facts::new(505, "http_request_error", "edge.version_not_supported", Downstream, true,
                "This HTTP version is not supported here."),
            Self::WorkerLost => Facts::new(502, "connection_terminated", "app.worker_lost", Upstream, false,
                "The application stopped while it worked on the request."),
        }
    }
}

struct Facts {
    status: u16,
    error_type: &'static str,
    code: &'static str,
    side: Side,
    closes: bool,
    detail: &'static str,
}

impl Facts {
    const fn new(
        status: u16,
        error_type: &'static str,
        code: &'static str,
        side: Side,
        closes: bool,
        detail: &'static str,
    ) -> Self {
        Self {
            status,
            error_type,
            code,
            side,
            closes,
            detail,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_dotted() {
        let mut codes: Vec<_> = Problem::ALL.iter().map(Problem::code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Problem::ALL.len());
        assert!(codes.iter().all(|code| code.split('.').count() == 2));
    }

    #[test]
    fn every_problem_has_a_reason_and_a_sentence() {
        for problem in Problem::ALL {
            assert!(!problem.reason().is_empty(), "{problem:?}");
            assert!(problem.detail().ends_with('.'), "{problem:?}");
            assert!((400..=599).contains(&problem.status()), "{problem:?}");
        }
    }

    #[test]
    fn error_types_are_those_of_rfc_9209() {
        const REGISTRY: [&str; 11] = [
            "connection_limit_reached",
            "connection_terminated",
            "connection_timeout",
            "destination_unavailable",
            "http_protocol_error",
            "http_request_denied",
            "http_request_error",
            "http_response_incomplete",
            "http_response_timeout",
            "proxy_internal_error",
            "proxy_internal_response",
        ];
        for problem in Problem::ALL {
            assert!(REGISTRY.contains(&problem.error_type()), "{problem:?}");
        }
    }

    #[test]
    fn a_request_whose_end_is_in_doubt_closes_the_connection() {
        assert!(Problem::BadRequest("x.").closes_connection());
        assert!(Problem::NotImplemented("x.").closes_connection());
        assert!(!Problem::AppFailed.closes_connection());
        assert!(!Problem::NotFound.closes_connection());
    }

    #[test]
    fn a_started_request_is_never_called_safe_to_retry() {
        assert!(!Problem::WorkerLost.is_safe_to_retry());
        assert!(Problem::QueueFull.is_safe_to_retry());
    }
}
