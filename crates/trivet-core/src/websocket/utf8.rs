//! UTF-8 that comes in pieces, which may end within a character.

/// The unfinished character at the end of what has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Utf8 {
    bytes: [u8; 4],
    len: usize,
}

impl Utf8 {
    /// Take in the next piece; false as soon as no continuation could be UTF-8.
    pub(super) fn push(&mut self, mut piece: &[u8]) -> bool {
        while self.len > 0 {
            let Some((&next, rest)) = piece.split_first() else {
                return true;
            };
            let Some(place) = self.bytes.get_mut(self.len) else {
                return false;
            };
            *place = next;
            self.len += 1;
            piece = rest;
            match std::str::from_utf8(self.bytes.get(..self.len).unwrap_or_default()) {
                Ok(_) => self.len = 0,
                Err(error) if error.error_len().is_some() => return false,
                Err(_) => {}
            }
        }
        match std::str::from_utf8(piece) {
            Ok(_) => true,
            Err(error) if error.error_len().is_some() => false,
            Err(error) => {
                let rest = piece.get(error.valid_up_to()..).unwrap_or_default();
                if let Some(place) = self.bytes.get_mut(..rest.len()) {
                    place.copy_from_slice(rest);
                    self.len = rest.len();
                }
                true
            }
        }
    }

    /// Whether the text may end here.
    pub(super) fn is_complete(self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_valid(pieces: &[&[u8]]) -> bool {
        let mut utf8 = Utf8::default();
        pieces.iter().all(|piece| utf8.push(piece)) && utf8.is_complete()
    }

    #[test]
    fn a_character_may_be_cut_anywhere() {
        let text = "aκ☃𝄞z".as_bytes();
        for at in 0..=text.len() {
            let (left, right) = text.split_at(at);
            assert!(is_valid(&[left, right]), "{at}");
        }
        let single: Vec<&[u8]> = text.chunks(1).collect();
        assert!(is_valid(&single));
    }

    // Autobahn 6.4: what can become no character is refused before the rest of it comes.
    #[test]
    fn a_wrong_byte_is_refused_at_once() {
        let mut utf8 = Utf8::default();
        assert!(utf8.push(b"\xf4"));
        assert!(!utf8.push(b"\x90"), "beyond U+10FFFF");
        assert!(!Utf8::default().push(b"\xed\xa0"), "half a surrogate pair");
        assert!(!Utf8::default().push(b"\xc0"), "an overlong form");
    }

    proptest! {
        #[test]
        fn pieces_are_judged_as_the_whole(data: Vec<u8>, step in 1..9usize) {
            let pieces: Vec<&[u8]> = data.chunks(step).collect();
            prop_assert_eq!(is_valid(&pieces), std::str::from_utf8(&data).is_ok());
        }

        #[test]
        fn text_in_pieces_is_text(text: String, step in 1..5usize) {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(step).collect();
            prop_assert!(is_valid(&pieces));
        }
    }
}
