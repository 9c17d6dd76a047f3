//! Requests that a new worker answers before it takes traffic.
//!
//! They go the way of all requests, by the codec, the gate and the worker's own frames, but to
//! this worker only, one after the other, and nobody but the edge sees the answers.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use trivet_core::gate::{Admitted, GatePolicy, UnderscorePolicy, admit};
use trivet_core::http1::{Head, HeadLimits, KnownField, Parse};
use trivet_wire::control::WarmUp;
use trivet_wire::frames::{Content, FieldView, Flags, RequestHead, ResponseView, encode_request};

use crate::clock::now_us;
use crate::exchange::{Exchange, Failure};
use crate::mount::MountedApp;
use crate::pool::Pool;
use crate::request_id;

/// Who asks, as the app sees it.
const CLIENT: &[u8] = b"127.0.0.1";
/// Status of an answer that shows that the app does not work.
const FIRST_BAD_STATUS: u16 = 500;

/// Have a worker, which is held, answer every path.
///
/// # Errors
/// Which path was not answered well, and how.
pub(crate) async fn warm_up(app: &MountedApp, worker: u32, wanted: &WarmUp) -> Result<(), String> {
    let patience = Duration::from_millis(wanted.timeout_ms.into());
    let due_us = now_us() + u64::from(wanted.timeout_ms) * 1000;
    let all = async {
        for path in &wanted.paths {
            ask(app, worker, &wanted.host, path, due_us)
                .await
                .map_err(|how| format!("`{path}` {how}"))?;
        }
        Ok(())
    };
    match tokio::time::timeout(patience, all).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!(
            "not all of its paths were answered within {} s",
            f64::from(wanted.timeout_ms) / 1000.0
        )),
    }
}

async fn ask(
    app: &MountedApp,
    worker: u32,
    host: &str,
    path: &str,
    due_us: u64,
) -> Result<(), String> {
    let frame = frame(app, host, path, due_us)?;
    let waker = poll_fn(|context| Poll::Ready(context.waker().clone())).await;
    let exchange = Arc::new(Exchange::new(frame, None, now_us(), false, waker));
    if !app.pool.hand_to(worker, &exchange) {
        return Err("was not asked: the worker is gone".to_owned());
    }
    let _guard = Abandoned(&app.pool, &exchange);
    let (status, failure) = answer(&app.pool, &exchange).await;
    match (status, failure) {
        (_, Some(Failure::Raised { error, place })) => {
            let place = if place.is_empty() {
                place
            } else {
                format!(" at {place}")
            };
            Err(format!("was answered with 500: {error}{place}"))
        }
        (_, Some(Failure::Problem(problem))) => {
            Err(format!("was not answered: {}", problem.code()))
        }
        (Some(status), None) if status < FIRST_BAD_STATUS => Ok(()),
        (Some(status), None) => Err(format!("was answered with {status}")),
        (None, None) => Err("was answered with nothing".to_owned()),
    }
}

/// Cancels the request when nobody waits for it any more.
struct Abandoned<'a>(&'a Pool, &'a Arc<Exchange>);

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        if !self.1.reply().ended {
            self.0.cancel(self.1);
        }
    }
}

/// Take the whole answer, and keep only its status.
async fn answer(pool: &Pool, exchange: &Exchange) -> (Option<u16>, Option<Failure>) {
    let mut status = None;
    let failure = poll_fn(|_| {
        let (is_over, failure) = {
            let mut reply = exchange.reply();
            if let Some(head) = reply.head.take() {
                let view = ResponseView::parse(&head).ok();
                status = view.map(|view| view.head.status);
            }
            reply.interim.clear();
            reply.segments.clear();
            reply.buffered = 0;
            (reply.ended, reply.failure.clone())
        };
        if is_over {
            return Poll::Ready(failure);
        }
        pool.give_credit(exchange);
        Poll::Pending
    })
    .await;
    (status, failure)
}

/// The request for `path` below the app's mount, as a client of this machine would send it.
fn frame(app: &MountedApp, host: &str, path: &str, due_us: u64) -> Result<Vec<u8>, String> {
    let mount = app.mount();
    let text = [
        b"GET ",
        mount,
        path.as_bytes(),
        b" HTTP/1.1\r\nHost: ",
        host.as_bytes(),
        b"\r\nUser-Agent: Trivet (warm-up)\r\nAccept: */*\r\n\r\n",
    ]
    .concat();
    let limits = HeadLimits {
        head_bytes: text.len(),
        fields: 8,
        target_bytes: text.len(),
    };
    let policy = GatePolicy {
        underscores: UnderscorePolicy::Refuse,
    };
    let (mut head, mut admitted) = (Head::default(), Admitted::default());
    let parsed = head
        .parse(&text, &limits)
        .and_then(|parsed| admit(&head, &text, &policy, &mut admitted).map(|()| parsed));
    if !matches!(parsed, Ok(Parse::Complete)) {
        let why = parsed.err().map_or("incomplete", |problem| problem.code());
        return Err(format!("is no path that a client could ask for: {why}"));
    }
    let id = request_id::fresh();
    let request = RequestHead {
        attempt: 0,
        secure: false,
        version: 11,
        content: Content::None,
        received_us: now_us(),
        deadline_us: due_us,
        content_length: 0,
        client_port: 0,
        server_port: 80,
        method: b"GET",
        path: app.below(&admitted.path).unwrap_or(&admitted.path),
        target: head.target.of(&text),
        query: admitted.query.of(&text),
        mount,
        client: CLIENT,
        server_name: host.as_bytes(),
        request_id: id.as_bytes(),
    };
    let forwarded = admitted
        .forward
        .iter()
        .filter_map(|&at| head.fields.get(usize::from(at)));
    let fields = forwarded.map(|field| FieldView {
        known: field.known as u8,
        name: if field.known == KnownField::Other {
            field.name.of(&text)
        } else {
            &[]
        },
        value: field.value.of(&text),
    });
    let mut frame = Vec::with_capacity(text.len() + 192);
    encode_request(&mut frame, (0, 0, Flags::default()), &request, fields, &[]);
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use trivet_wire::frames::{HEADER_BYTES, RequestView};

    fn app(mount: &str) -> MountedApp {
        MountedApp::for_tests(mount)
    }

    #[test]
    fn the_app_sees_a_client_of_this_machine() {
        let frame = frame(&app("/shop"), "shop.example", "/a%20b/../c?d=e", 7).unwrap();
        let view = RequestView::parse(&frame[HEADER_BYTES..]).unwrap();
        let head = view.head;
        assert_eq!(
            (head.path, head.query, head.mount),
            (&b"/c"[..], &b"d=e"[..], &b"/shop"[..])
        );
        assert_eq!(
            (head.client, head.server_name),
            (&b"127.0.0.1"[..], &b"shop.example"[..])
        );
        assert_eq!(
            (head.deadline_us, head.server_port, head.secure),
            (7, 80, false)
        );
    }

    #[test]
    fn what_is_no_path_is_told() {
        for path in ["/a b", "/\r\nX: y", "/%00", "/../../etc"] {
            let told = frame(&app(""), "localhost", path, 0);
            assert!(
                told.as_ref()
                    .is_err_and(|why| why.starts_with("is no path")),
                "{path:?}: {told:?}"
            );
        }
    }
}
