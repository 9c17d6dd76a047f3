//! An answer to the opening handshake that an app has written by itself.
//!
//! Strategy: the app's bytes are read as strictly as a client's, and its answer is
//! written anew. Whatever is in doubt is refused: a proxy that takes half an answer,
//! or another one, for the `101` lets client and app say the rest to each other as
//! if it were HTTP (the class of CVE-2026-2833).

use super::handshake::accept_value;
use crate::field::list_elements;

/// Bytes of a head at the most: as many as a client's may have by default.
pub const MAX_ANSWER_BYTES: usize = 32 << 10;
/// Field lines of a head at the most.
const MAX_FIELDS: usize = 100;

/// A complete and valid `101 Switching Protocols`.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The app's fields, names as written, but for those that the edge writes.
    pub fields: Vec<(&'a [u8], &'a [u8])>,
    /// Bytes of the head; what follows is the protocol's.
    pub len: usize,
}

/// Why an app's answer is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAnswer {
    /// It is not the head of an HTTP/1.1 response.
    #[error("the app wrote something into its socket that is no response head")]
    Malformed,
    /// It does not end in time.
    #[error("the app wrote a response head of more than {MAX_ANSWER_BYTES} bytes into its socket")]
    TooLarge,
    /// It is another response.
    #[error("the app wrote a response of status {0} into its socket, where only 101 may be")]
    Status(u16),
    /// It does not answer this handshake.
    #[error("the app's 101 has no valid `{0}`")]
    Field(&'static str),
}

/// Read what an app has written so far; `None` while its head is not complete.
///
/// `key` is that of the handshake.
///
/// # Errors
/// [`BadAnswer`] as soon as it is certain.
pub fn read_answer<'a>(buf: &'a [u8], key: &[u8; 24]) -> Result<Option<Answer<'a>>, BadAnswer> {
    const START: &[u8] = b"HTTP/1.1 ";
    let shared = START.len().min(buf.len());
    if buf.get(..shared) != START.get(..shared) {
        return Err(BadAnswer::Malformed);
    }
    let end = memchr::memmem::find(buf, b"\r\n\r\n").map(|at| at + 4);
    let head = buf.get(..end.unwrap_or(buf.len())).unwrap_or_default();
    if head.len() > MAX_ANSWER_BYTES {
        return Err(BadAnswer::TooLarge);
    }
    // httparse lets a bare line feed end a line, and others do not (RFC 9112 section 2.2).
    let is_bare = |at| at == 0 || head.get(at - 1) != Some(&b'\r');
    if memchr::memchr_iter(b'\n', head).any(is_bare) {
        return Err(BadAnswer::Malformed);
    }
    let mut space = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut space);
    let parsed = response.parse(head).map_err(|_| BadAnswer::Malformed)?;
    match response.code {
        Some(101) | None => {}
        Some(status) => return Err(BadAnswer::Status(status)),
    }
    if end.is_none() {
        return Ok(None);
    }
    if !matches!(parsed, httparse::Status::Complete(len) if len == head.len()) {
        return Err(BadAnswer::Malformed);
    }
    judge(response.headers, key)?;
    let fields = response
        .headers
        .iter()
        .filter(|field| !is_ours(field.name))
        .map(|field| (field.name.as_bytes(), field.value))
        .collect();
    Ok(Some(Answer {
        fields,
        len: head.len(),
    }))
}

/// RFC 6455 section 4.1, of what a client has to find in the answer.
fn judge(fields: &[httparse::Header<'_>], key: &[u8; 24]) -> Result<(), BadAnswer> {
    let values = |name: &'static str| {
        let is_it = move |field: &&httparse::Header<'_>| field.name.eq_ignore_ascii_case(name);
        fields.iter().filter(is_it).map(|field| field.value)
    };
    let only = |name| {
        let mut all = values(name);
        let first = all.next().filter(|_| all.next().is_none());
        first.ok_or(BadAnswer::Field(name))
    };
    if !only("Upgrade")?.eq_ignore_ascii_case(b"websocket") {
        return Err(BadAnswer::Field("Upgrade"));
    }
    let mut options = values("Connection").flat_map(list_elements);
    if !options.any(|option| option.eq_ignore_ascii_case(b"upgrade")) {
        return Err(BadAnswer::Field("Connection"));
    }
    if only("Sec-WebSocket-Accept")? != accept_value(key).as_bytes() {
        return Err(BadAnswer::Field("Sec-WebSocket-Accept"));
    }
    Ok(())
}

/// Fields that the edge writes: those of the connection.
fn is_ours(name: &str) -> bool {
    ["connection", "upgrade"]
        .iter()
        .any(|ours| name.eq_ignore_ascii_case(ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8; 24] = b"dGhlIHNhbXBsZSBub25jZQ==";
    const GOOD: &str = "HTTP/1.1 101 Switching Protocols\r\n\
        Upgrade: WebSocket\r\n\
        Connection: keep-alive, Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
        X-App: a\r\n\r\n";

    fn read(text: &str) -> Result<Option<Answer<'_>>, BadAnswer> {
        read_answer(text.as_bytes(), KEY)
    }

    #[test]
    fn a_whole_answer_is_taken_and_what_follows_is_left() {
        let text = format!("{GOOD}\u{81}HTTP/1.1 200 OK\r\n\r\n");
        let answer = read(&text).unwrap().unwrap();
        assert_eq!(answer.len, GOOD.len());
        assert_eq!(
            answer.fields,
            [
                (
                    &b"Sec-WebSocket-Accept"[..],
                    &b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="[..]
                ),
                (b"X-App", b"a"),
            ]
        );
    }

    #[test]
    fn no_part_of_an_answer_is_an_answer_or_refused() {
        for end in 0..GOOD.len() {
            assert_eq!(read(&GOOD[..end]), Ok(None), "{end}");
        }
    }

    #[test]
    fn another_status_is_refused_before_its_head_ends() {
        for (text, status) in [
            ("HTTP/1.1 200 OK\r\nContent-Le", 200),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 S\r\n", 100),
            ("HTTP/1.1 403 Forbidden\r\n\r\n", 403),
        ] {
            assert_eq!(read(text), Err(BadAnswer::Status(status)), "{text}");
        }
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for text in [
            "\r\n",
            "hello",
            "HTTP/1.0 101 S\r\n\r\n",
            "HTTP/2 101\r\n",
            "HTTP/1.1 101 S\nUpgrade: websocket\r\n",
            "HTTP/1.1 101 S\r\nUpgrade: websocket\n\r\n",
            "HTTP/1.1 101 S\r\n Upgrade: websocket\r\n\r\n",
            "HTTP/1.1 101 S\r\nUpgrade : websocket\r\n\r\n",
            "HTTP/1.1 101 S\r\nX: a\rb\r\n\r\n",
            "HTTP/1.1 101 S\r\nX: a\0b\r\n\r\n",
            "HTTP/1.1 +101 S\r\n\r\n",
        ] {
            assert_eq!(read(text), Err(BadAnswer::Malformed), "{text:?}");
        }
        let many = format!("HTTP/1.1 101 S\r\n{}\r\n", "X: y\r\n".repeat(101));
        assert_eq!(read(&many), Err(BadAnswer::Malformed));
    }

    #[test]
    fn an_endless_head_is_refused() {
        let field = format!("X: {}\r\n", "y".repeat(1000));
        let text = format!("HTTP/1.1 101 S\r\n{}", field.repeat(33));
        assert_eq!(read(&text), Err(BadAnswer::TooLarge));
        assert_eq!(read(&(text + "\r\n")), Err(BadAnswer::TooLarge));
    }

    #[test]
    fn an_answer_to_something_else_is_refused() {
        for (field, changed) in [
            ("Upgrade", "Upgrade: h2c\r\n"),
            ("Upgrade", "Upgrade: websocket, h2c\r\n"),
            ("Upgrade", ""),
            ("Upgrade", "Upgrade: websocket\r\nUpgrade: websocket\r\n"),
        ] {
            let text = GOOD.replace("Upgrade: WebSocket\r\n", changed);
            assert_eq!(read(&text), Err(BadAnswer::Field(field)), "{changed}");
        }
        let text = GOOD.replace("keep-alive, Upgrade", "keep-alive");
        assert_eq!(read(&text), Err(BadAnswer::Field("Connection")));
        let text = GOOD.replace("s3pP", "S3pP");
        assert_eq!(read(&text), Err(BadAnswer::Field("Sec-WebSocket-Accept")));
    }
}
