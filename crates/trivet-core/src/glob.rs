//! Patterns for the paths of files, such as `*.css` or `/assets/**`.
//!
//! Strategy: a pattern is a row of tokens, and a path is read once, character by
//! character, with the set of all places in the row that it may have come to: a bit each
//! in one number. There is no going back, so no pattern and no path can make a match
//! slow: at most as many steps as characters times tokens.

use std::fmt;

use thiserror::Error;

/// The most characters and wildcards of a pattern: as many bits as there are, less one
/// for its end.
pub const MOST_TOKENS: usize = 127;

/// A pattern for paths that have a slash between names, and none at their ends.
///
/// `?` stands for one character, `*` for any number of them, both for no slash; `**` as a
/// whole name for any number of names, none included (at the end, for one or more). A
/// pattern without a slash is for the last name, in whatever folder: `*.css`. One with a
/// slash is for the whole path: `assets/*.css`; a slash at the start says just that:
/// `/robots.txt`. Case matters. There are no classes, choices or escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    tokens: Box<[Token]>,
    /// The characters that the tokens end with: most paths fail `*.css` by these.
    end: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    /// This character.
    Char(char),
    /// `**/`: nothing, or whatever ends in a slash.
    Folders,
    /// `?`.
    One,
    /// `**` at the end.
    Rest,
    /// `*`.
    Star,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GlobError {
    /// It starts or ends at an empty name, or has one inside, or is empty.
    #[error("the pattern `{0}` has an empty name")]
    EmptyName(String),
    /// It holds `[`, `]`, `{`, `}` or `\`, which mean something in other languages of
    /// patterns and nothing in this one.
    #[error("the pattern `{0}` holds `{1}`; `?` stands for any one character")]
    Unsupported(String, char),
    /// It has too many characters.
    #[error("the pattern `{0}` has more than {MOST_TOKENS} characters")]
    TooLong(String),
    /// `**` beside other characters.
    #[error("`**` in the pattern `{0}` is not a whole name")]
    PartialFolders(String),
    /// `.` or `..`, which no path has.
    #[error("the pattern `{0}` has a dot segment, and no path has one")]
    DotSegment(String),
}

impl Glob {
    /// Read a pattern.
    ///
    /// # Errors
    /// With what is wrong with it.
    pub fn parse(pattern: &str) -> Result<Self, GlobError> {
        let unsupported = |c: &char| matches!(c, '[' | ']' | '{' | '}' | '\\');
        if let Some(found) = pattern.chars().find(unsupported) {
            return Err(GlobError::Unsupported(pattern.to_owned(), found));
        }
        let mut tokens = Vec::new();
        let names = pattern.strip_prefix('/').unwrap_or(pattern);
        if !pattern.contains('/') && pattern != "**" {
            tokens.push(Token::Folders);
        }
        let mut names = names.split('/').peekable();
        while let Some(name) = names.next() {
            let is_last = names.peek().is_none();
            match name {
                "" => return Err(GlobError::EmptyName(pattern.to_owned())),
                "." | ".." => return Err(GlobError::DotSegment(pattern.to_owned())),
                "**" if is_last => tokens.push(Token::Rest),
                "**" => tokens.push(Token::Folders),
                _ if name.contains("**") => {
                    return Err(GlobError::PartialFolders(pattern.to_owned()));
                }
                _ => {
                    tokens.extend(name.chars().map(|c| match c {
                        '*' => Token::Star,
                        '?' => Token::One,
                        c => Token::Char(c),
                    }));
                    if !is_last {
                        tokens.push(Token::Char('/'));
                    }
                }
            }
        }
        if tokens.len() > MOST_TOKENS {
            return Err(GlobError::TooLong(pattern.to_owned()));
        }
        let literal = |token: &Token| match token {
            Token::Char(c) => Some(*c),
            _ => None,
        };
        let end = tokens.iter().rev().map_while(literal).count();
        let end = tokens.iter().skip(tokens.len() - end).filter_map(literal);
        Ok(Self {
            end: end.collect(),
            tokens: tokens.into(),
        })
    }

    /// Whether `path` is one of those that are meant.
    pub fn matches(&self, path: &str) -> bool {
        if !path.ends_with(&*self.end) {
            return false;
        }
        let mut places = self.entered(0);
        for c in path.chars() {
            let mut left = places;
            places = 0;
            while left != 0 {
                let place = left.trailing_zeros();
                left &= left - 1;
                places |= self.after(place as usize, c);
            }
            if places == 0 {
                return false;
            }
        }
        places & (1 << self.tokens.len()) != 0
    }

    /// Where one can be on coming to `place`: there, and behind what may stand for
    /// nothing.
    fn entered(&self, mut place: usize) -> u128 {
        let mut places = 1 << place;
        while let Some(Token::Folders | Token::Star) = self.tokens.get(place) {
            place += 1;
            places |= 1 << place;
        }
        places
    }

    /// Where one can be after reading `c` at `place`.
    fn after(&self, place: usize, c: char) -> u128 {
        let here = 1 << place;
        match self.tokens.get(place) {
            Some(Token::Char(own)) if *own == c => self.entered(place + 1),
            Some(Token::One) if c != '/' => self.entered(place + 1),
            Some(Token::Folders) if c == '/' => here | self.entered(place + 1),
            Some(Token::Folders) => here,
            Some(Token::Rest) => here | self.entered(place + 1),
            Some(Token::Star) if c != '/' => here | self.entered(place + 1),
            Some(Token::Char(_) | Token::One | Token::Star) | None => 0,
        }
    }
}

impl fmt::Display for Glob {
    /// As a pattern that means the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("/")?;
        for token in &self.tokens {
            match token {
                Token::Char(c) => write!(f, "{c}")?,
                Token::Folders => f.write_str("**/")?,
                Token::One => f.write_str("?")?,
                Token::Rest => f.write_str("**")?,
                Token::Star => f.write_str("*")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pattern_means_what_it_says() {
        let cases: [(&str, &[&str], &[&str]); 15] = [
            (
                "*.css",
                &["a.css", "a/b.css", ".css", "a/b/c.min.css"],
                &["a.css/b", "acss", "a.cs"],
            ),
            (
                "robots.txt",
                &["robots.txt", "a/robots.txt"],
                &["arobots.txt", "robots.txt/a"],
            ),
            (
                "/robots.txt",
                &["robots.txt"],
                &["a/robots.txt", "robots_txt"],
            ),
            ("/*.css", &["a.css"], &["a/b.css"]),
            (
                "assets/*.css",
                &["assets/a.css"],
                &["a/assets/a.css", "assets/a/b.css"],
            ),
            (
                "assets/**",
                &["assets/a", "assets/a/b"],
                &["assets", "assets/", "a/assets/b"],
            ),
            ("**", &["a", "a/b", "a/b/c"], &[""]),
            ("/**", &["a", "a/b"], &[""]),
            ("**/a", &["a", "b/a", "b/c/a"], &["ba", "b/ba", "a/b"]),
            (
                "a/**/b",
                &["a/b", "a/c/b", "a/c/d/b"],
                &["ab", "a/cb", "a/b/c", "b"],
            ),
            ("a/**/**/b", &["a/b", "a/c/b"], &["a/cb"]),
            ("**/*", &["a", "a/b"], &[]),
            ("a?c", &["abc", "a\u{e9}c", "x/a.c"], &["ac", "a/c", "abbc"]),
            ("*a*b*", &["ab", "xaxbx", "aabb"], &["ba", "a/b"]),
            ("*", &["a", "a/b", ".x"], &[]),
        ];
        for (pattern, inside, outside) in cases {
            let glob = Glob::parse(pattern).unwrap();
            for path in inside {
                assert!(glob.matches(path), "{pattern} {path}");
            }
            for path in outside {
                assert!(!glob.matches(path), "{pattern} {path}");
            }
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let refused = |pattern: &str| Glob::parse(pattern).unwrap_err();
        for pattern in ["", "/", "//", "a/", "a//b", "//a", "/a/"] {
            assert_eq!(refused(pattern), GlobError::EmptyName(pattern.into()));
        }
        for pattern in ["**a", "a**", "a/**b/c", "***"] {
            assert_eq!(refused(pattern), GlobError::PartialFolders(pattern.into()));
        }
        for pattern in [".", "..", "../a", "a/./b", "a/.."] {
            assert_eq!(refused(pattern), GlobError::DotSegment(pattern.into()));
        }
        for (pattern, found) in [
            ("a[bc]", '['),
            ("a]", ']'),
            ("{a,b}", '{'),
            ("a}", '}'),
            ("\\*", '\\'),
        ] {
            assert_eq!(
                refused(pattern),
                GlobError::Unsupported(pattern.into(), found)
            );
        }
        let longest = format!("/{}", "\u{e9}".repeat(MOST_TOKENS));
        assert!(Glob::parse(&longest).unwrap().matches(&longest[1..]));
        let too_long = format!("{longest}a");
        assert_eq!(refused(&too_long), GlobError::TooLong(too_long.clone()));
    }

    #[test]
    fn many_stars_do_not_make_a_match_slow() {
        // Going back, this would take more steps than there are atoms.
        let glob = Glob::parse(&format!("/{}b", "*a".repeat(60))).unwrap();
        assert!(!glob.matches(&format!("{}/b", "a".repeat(10_000))));
        let glob = Glob::parse(&format!("/{}b", "**/a/".repeat(40))).unwrap();
        assert!(!glob.matches(&format!("{}c/b", "a/".repeat(5_000))));
    }

    /// The plain reading, which goes back: the second opinion.
    fn slowly(tokens: &[Token], path: &[char]) -> bool {
        let Some((token, rest)) = tokens.split_first() else {
            return path.is_empty();
        };
        let one = |is_it: &dyn Fn(char) -> bool| path.first().is_some_and(|&c| is_it(c));
        match token {
            Token::Char(own) => one(&|c| c == *own) && slowly(rest, &path[1..]),
            Token::One => one(&|c| c != '/') && slowly(rest, &path[1..]),
            Token::Star => slowly(rest, path) || one(&|c| c != '/') && slowly(tokens, &path[1..]),
            Token::Rest => !path.is_empty(),
            Token::Folders => {
                let after = |(at, &c): (usize, &char)| c == '/' && slowly(rest, &path[at + 1..]);
                slowly(rest, path) || path.iter().enumerate().any(after)
            }
        }
    }

    proptest! {
        #[test]
        fn a_match_is_the_same_without_going_back(
            pattern in "/?((\\*\\*|[ab*?]{1,3})/){0,3}([ab*?]{1,4}|\\*\\*)",
            path in "[ab]{0,3}(/[ab]{1,3}){0,3}",
        ) {
            if let Ok(glob) = Glob::parse(&pattern) {
                let chars: Vec<_> = path.chars().collect();
                prop_assert_eq!(glob.matches(&path), slowly(&glob.tokens, &chars));
                let shown = Glob::parse(&glob.to_string());
                prop_assert_eq!(shown, Ok(glob));
            }
        }

        #[test]
        fn a_path_without_wildcards_matches_itself(path in "[a-z\u{e9}]{1,9}(/[a-z.-]{3,9}){0,3}") {
            let glob = Glob::parse(&format!("/{path}")).unwrap();
            prop_assert!(glob.matches(&path));
        }

        #[test]
        fn any_text_is_survived(pattern: String, path: String) {
            if let Ok(glob) = Glob::parse(&pattern) {
                let _ = glob.matches(&path);
            }
        }
    }
}
