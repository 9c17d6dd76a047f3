//! What routes change about the fields of a message.
//!
//! Strategy: of the routes that match, the first that says something about a name counts for
//! that name. Values are made when the route matches, because a rewrite may change the path
//! later. What frames a message or belongs to one connection is never changed here: whoever
//! could do that could cut one message into two (RFC 9112 section 11).

use super::{PatternError, Template};
use crate::field::{is_token, trim_ows};
use crate::http1::KnownField;

/// Whose fields they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// The request, on its way to the app.
    Request,
    /// The response, on its way to the client.
    Response,
}

/// A change of the fields with one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// The name, as it is to be written.
    pub name: String,
    /// What happens.
    pub kind: Change,
}

/// What happens to the fields with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Another line comes to those that are there.
    Add(Template),
    /// They go.
    Remove,
    /// They go, and this takes their place.
    Set(Template),
}

/// The changes of all routes that matched one request, ready to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldEdits(Vec<Edit>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Edit {
    name: Vec<u8>,
    known: KnownField,
    is_kept: bool,
    value: Option<Vec<u8>>,
}

/// Names that the edge alone decides about, in both directions.
const OWN: [&str; 10] = [
    "connection",
    "content-length",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
];

/// Bytes of all values that routes make for one message. A frame to a worker has room for
/// them beside the largest head of a client; what is longer is cut.
const MOST_BYTES: usize = 64 << 10;

/// Say whether a route may change the fields called `name`.
///
/// # Errors
/// Where it is no name, or one that a route must leave alone.
pub fn check_changeable(name: &str, message: Message) -> Result<(), PatternError> {
    let wrong = |problem: &str| Err(PatternError(format!("has `{name}`, {problem}")));
    if !is_token(name.as_bytes()) || name.len() > usize::from(u8::MAX) {
        return wrong("which is no name of a field");
    }
    let lower = name.to_ascii_lowercase();
    if OWN.contains(&lower.as_str()) {
        return wrong("which belongs to one connection and is for the edge alone to write");
    }
    if lower.starts_with("sec-websocket-") {
        return wrong("which is a part of WebSocket's handshake");
    }
    match (message, lower.as_str()) {
        (Message::Request, "host") => {
            wrong("which says whom the request is for: route it with `rewrite`, or mount an app")
        }
        (Message::Request, "proxy") => wrong("which programs take for the variable `HTTP_PROXY`"),
        (Message::Request, _) if name.contains('_') => {
            wrong("which an app cannot tell from the same name with `-`")
        }
        (Message::Response, "date") => wrong("which every response has"),
        (Message::Response, "content-encoding" | "content-range") => {
            wrong("which says how the content is to be read")
        }
        _ => Ok(()),
    }
}

impl FieldEdits {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Add what one more route says, with `make` for the values: only about names of which no
    /// route before it has said anything.
    pub fn add(&mut self, changes: &[FieldChange], make: impl Fn(&Template) -> Vec<u8>) {
        let settled = self.0.len();
        for change in changes {
            let name = change.name.as_bytes();
            let mut before = self.0.iter().take(settled);
            if before.any(|edit| is_same(&edit.name, name)) {
                continue;
            }
            let (is_kept, template) = match &change.kind {
                Change::Add(template) => (true, Some(template)),
                Change::Remove => (false, None),
                Change::Set(template) => (false, Some(template)),
            };
            let used = self.0.iter().filter_map(|edit| edit.value.as_ref());
            let room = MOST_BYTES - used.map(Vec::len).sum::<usize>();
            let value = template.map(|template| {
                let made = make(template);
                let value = trim_ows(&made);
                value.get(..room).unwrap_or(value).to_vec()
            });
            self.0.push(Edit {
                name: name.to_vec(),
                known: KnownField::of(name),
                is_kept,
                value,
            });
        }
    }

    /// Whether a field that is there goes. In a request, `X_User` goes with `X-User`: a CGI
    /// name is the same for both, and a client must not get past the one with the other.
    pub fn drops(&self, name: &[u8]) -> bool {
        self.0
            .iter()
            .any(|edit| !edit.is_kept && is_same(&edit.name, name))
    }

    /// Leave the fields with these names alone.
    pub fn spare<'a>(&mut self, names: impl Iterator<Item = &'a [u8]>) {
        for name in names {
            self.0.retain(|edit| !is_same(&edit.name, name));
        }
    }

    /// The fields that come.
    pub fn new_fields(&self) -> impl Iterator<Item = (KnownField, &[u8], &[u8])> + Clone {
        self.0.iter().filter_map(|edit| {
            let value = edit.value.as_deref()?;
            Some((edit.known, edit.name.as_slice(), value))
        })
    }

    /// The fields of a response as they leave.
    pub fn over<'a>(
        &'a self,
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    ) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone {
        let kept = fields.filter(|(name, _)| self.0.is_empty() || !self.drops(name));
        kept.chain(self.new_fields().map(|(_, name, value)| (name, value)))
    }
}

/// Whether two names are one, in any case and with `_` for `-`.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let plain = |byte: &u8| match byte {
        b'_' => b'-',
        byte => byte.to_ascii_lowercase(),
    };
    one.len() == other.len() && one.iter().map(plain).eq(other.iter().map(plain))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::*;
    use crate::field::is_value;
    use crate::route::Use;

    fn change(name: &str, kind: &str, value: &str) -> FieldChange {
        let template = Template::parse(value, Use::Field, &["id"]).unwrap();
        FieldChange {
            name: name.to_owned(),
            kind: match kind {
                "add" => Change::Add(template),
                "set" => Change::Set(template),
                _ => Change::Remove,
            },
        }
    }

    fn edits(routes: &[&[FieldChange]], id: &'static str) -> FieldEdits {
        let mut edits = FieldEdits::default();
        for route in routes {
            edits.add(route, |template| {
                template.render(|_| Cow::Borrowed(id.as_bytes()))
            });
        }
        edits
    }

    fn over(edits: &FieldEdits, fields: &[(&str, &str)]) -> Vec<String> {
        let fields = fields
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        edits
            .over(fields)
            .map(|(name, value)| format!("{}: {}", text(name), text(value)))
            .collect()
    }

    #[test]
    fn fields_are_set_added_and_removed() {
        let edits = edits(
            &[&[
                change("X-A", "set", "new {id}"),
                change("x-b", "add", "more"),
                change("X-C", "remove", ""),
            ]],
            "7",
        );
        let before = [
            ("x-a", "1"),
            ("X-A", "2"),
            ("X-B", "1"),
            ("x-c", "1"),
            ("x-d", "1"),
        ];
        assert_eq!(
            over(&edits, &before),
            ["X-B: 1", "x-d: 1", "X-A: new 7", "x-b: more"]
        );
    }

    #[test]
    fn the_first_route_that_says_something_about_a_name_counts_for_it() {
        let found = edits(
            &[
                &[change("X-A", "remove", ""), change("X-B", "add", "1")],
                &[change("x-a", "set", "2"), change("x_b", "set", "2")],
                &[change("X-C", "set", "3")],
            ],
            "",
        );
        assert_eq!(
            over(&found, &[("X-A", "0"), ("X-B", "0")]),
            ["X-B: 0", "X-B: 1", "X-C: 3"]
        );
    }

    #[test]
    fn another_spelling_of_a_name_does_not_get_past() {
        let edits = edits(
            &[&[
                change("Authorization", "set", "x"),
                change("X-User", "remove", ""),
            ]],
            "",
        );
        assert!(edits.drops(b"x_user") && edits.drops(b"X-USER") && !edits.drops(b"x-users"));
        let known: Vec<_> = edits.new_fields().map(|(known, ..)| known).collect();
        assert_eq!(known, [KnownField::Authorization]);
    }

    #[test]
    fn values_are_cut_where_a_frame_has_no_room_for_them() {
        let long: &'static str = "a".repeat(MOST_BYTES).leak();
        let twice = [
            change("X-A", "set", "{id}{id}"),
            change("X-B", "set", "{id}"),
        ];
        let found = edits(&[&twice], long);
        let lengths: Vec<_> = found.new_fields().map(|(.., value)| value.len()).collect();
        assert_eq!(lengths, [MOST_BYTES, 0]);
    }

    #[test]
    fn names_can_be_spared() {
        let mut found = edits(
            &[&[change("X-A", "set", "1"), change("X-B", "set", "1")]],
            "",
        );
        found.spare([&b"x-a"[..]].into_iter());
        assert_eq!(over(&found, &[("X-A", "0")]), ["X-A: 0", "X-B: 1"]);
    }

    #[test]
    fn what_frames_a_message_is_left_alone() {
        for name in OWN
            .iter()
            .chain(&["Sec-WebSocket-Key", "Transfer-Encoding"])
        {
            for message in [Message::Request, Message::Response] {
                assert!(check_changeable(name, message).is_err(), "{name}");
                let upper = name.to_ascii_uppercase();
                assert!(check_changeable(&upper, message).is_err(), "{name}");
            }
        }
        for bad in ["", "a b", "a:", "a\r\nb", "a\0", &"a".repeat(256)] {
            assert!(check_changeable(bad, Message::Response).is_err(), "{bad:?}");
        }
        for name in ["Host", "Proxy", "X_User"] {
            assert!(check_changeable(name, Message::Request).is_err(), "{name}");
            assert!(check_changeable(name, Message::Response).is_ok(), "{name}");
        }
        for name in ["Date", "Content-Range", "Content-Encoding"] {
            assert!(check_changeable(name, Message::Response).is_err(), "{name}");
        }
        assert!(check_changeable("Set-Cookie", Message::Response).is_ok());
        assert!(check_changeable("Cookie", Message::Request).is_ok());
    }

    #[test]
    fn every_field_that_the_gate_hides_or_reads_is_refused() {
        for known in KnownField::ALL.into_iter().skip(1) {
            if crate::gate::is_hop_by_hop(known) {
                let name = known.name();
                assert!(check_changeable(name, Message::Request).is_err(), "{name}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_value_never_breaks_its_line(value: Vec<u8>) {
            let mut edits = FieldEdits::default();
            let changes = [change("X-Id", "set", "a {id} b")];
            edits.add(&changes, |template| template.render(|_| Cow::Borrowed(&value[..])));
            for (_, _, made) in edits.new_fields() {
                prop_assert!(is_value(made));
            }
        }
    }
}
