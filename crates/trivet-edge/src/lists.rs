//! Lists of addresses: from the configuration, and from files that may change.
//!
//! Strategy: a list is read once, off the loop, into a set that never changes.
//! Its file is looked at every second; one that has changed, and then stayed as
//! it is for a second (so that nobody is writing it still), is read again, and
//! another set takes the place of the first. A file that cannot be used leaves
//! the set as it was, and the log says so once. A list lives on over a reload
//! while its part of the configuration is the same.

use std::fs::{File, Metadata};
use std::io::Read;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use trivet_core::address_set::{AddressError, AddressSet};
use trivet_wire::edge_config::{self, AddressList};

use crate::control::Outbox;
use crate::shared::Shared;

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// A longer file is none of addresses: 16 million of them fit.
const MAX_FILE_BYTES: u64 = 512 << 20;

/// Why a file of addresses cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is not addresses.
    #[error(transparent)]
    Addresses(#[from] AddressError),
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It is a folder, a device or a pipe.
    #[error("it is no regular file")]
    NoFile,
    /// It is longer than [`MAX_FILE_BYTES`].
    #[error("it is longer than {} MiB", MAX_FILE_BYTES >> 20)]
    TooLong,
}

impl FileError {
    /// The line that is wrong, counted from 1.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Addresses(AddressError::Entry { line, .. }) => Some(*line),
            _ => None,
        }
    }

    /// What is wrong, without the line.
    pub fn problem(&self) -> String {
        match self {
            Self::Addresses(AddressError::Entry { problem, .. }) => problem.clone(),
            other => other.to_string(),
        }
    }

    /// The message with its place: `/etc/deny.txt:12: …`.
    fn at(&self, path: &str) -> String {
        let problem = self.problem();
        match self.line() {
            Some(line) => format!("{path}:{line}: {problem}"),
            None => format!("{path}: {problem}"),
        }
    }
}

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("list `{name}`: {problem}")]
pub struct ListError {
    name: String,
    problem: String,
}

/// Read a file of addresses. Blocks.
///
/// # Errors
/// [`FileError`] where it is not one.
pub fn read_file(path: &Path) -> Result<AddressSet, FileError> {
    read(path).map(|(set, _)| set)
}

fn read(path: &Path) -> Result<(AddressSet, Stamp), FileError> {
    // Looked at before it is opened: opening a pipe waits for its writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(FileError::NoFile);
    }
    let mut text = Vec::new();
    let file = File::open(path)?;
    let stamp = Stamp::of(&file.metadata()?);
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(FileError::TooLong);
    }
    Ok((AddressSet::parse_text(&text)?, stamp))
}

/// What tells one content of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    bytes: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            bytes: metadata.len(),
            written: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    fn at(path: &str) -> Option<Self> {
        std::fs::metadata(path).ok().as_ref().map(Self::of)
    }
}

/// A list.
#[derive(Debug)]
struct List {
    config: AddressList,
    /// What the configuration itself names.
    named: AddressSet,
    /// What the file names.
    filed: RwLock<AddressSet>,
    seen: Mutex<Seen>,
}

/// What was last seen of a file; `None` where it was not there.
#[derive(Debug, Default)]
struct Seen {
    /// When it was read, or refused.
    read: Option<Stamp>,
    /// A second ago.
    lately: Option<Stamp>,
}

impl List {
    fn new(config: &AddressList) -> Result<Self, ListError> {
        let wrong = |problem: String| ListError {
            name: config.name.clone(),
            problem,
        };
        let named = AddressSet::parse(&config.networks).map_err(|error| match error {
            AddressError::Entry { problem, .. } => wrong(problem),
            error @ AddressError::TooMany => wrong(error.to_string()),
        })?;
        let mut seen = Seen::default();
        let filed = match &config.file {
            None => AddressSet::default(),
            Some(path) => {
                let (set, stamp) = read(Path::new(path)).map_err(|error| wrong(error.at(path)))?;
                seen.read = Some(stamp);
                seen.lately = seen.read;
                set
            }
        };
        Ok(Self {
            config: config.clone(),
            named,
            filed: RwLock::new(filed),
            seen: Mutex::new(seen),
        })
    }

    fn holds(&self, client: Option<IpAddr>) -> bool {
        self.named.contains(client)
            || (self.config.file.is_some() && self.filed.read().contains(client))
    }

    /// Look at the file, and read it if it has changed. Blocks. Returns what is to be logged.
    fn look(&self) -> Option<(&'static str, String)> {
        let path = self.config.file.as_deref()?;
        let mut seen = self.seen.lock();
        let now = Stamp::at(path);
        if now == seen.read {
            seen.lately = now;
            return None;
        }
        if now != seen.lately {
            seen.lately = now;
            return None;
        }
        seen.read = now;
        let name = &self.config.name;
        match read(Path::new(path)) {
            Ok((set, stamp)) => {
                if Some(stamp) != now {
                    // It changed just now: the next look finds that.
                    seen.read = None;
                    return None;
                }
                let count = set.len();
                *self.filed.write() = set;
                let text = format!("list `{name}`: {path} was read again, {count} ranges");
                Some(("info", text))
            }
            Err(error) => {
                let problem = error.at(path);
                let text = format!("list `{name}` stays as it was: {problem}");
                Some(("warning", text))
            }
        }
    }
}

/// The lists of a configuration, by number.
#[derive(Debug, Default)]
pub struct Lists(Vec<Arc<List>>);

impl Lists {
    /// Make the lists ready; one that `before` has, and that is still the same, is taken over.
    /// Blocks: it reads files.
    ///
    /// # Errors
    /// [`ListError`] for the first that cannot be used.
    pub fn new(configs: &[AddressList], before: Option<&Self>) -> Result<Self, ListError> {
        let kept = |config: &AddressList| {
            let mut lists = before?.0.iter();
            lists.find(|list| list.config == *config).map(Arc::clone)
        };
        configs
            .iter()
            .map(|config| kept(config).map_or_else(|| List::new(config).map(Arc::new), Ok))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether the list with this number holds a client; `None` is one on a Unix socket.
    pub fn holds(&self, number: u32, client: Option<IpAddr>) -> bool {
        let list = self.0.get(number as usize);
        list.is_some_and(|list| list.holds(client))
    }

    /// Whether a client may use the stand.
    pub(crate) fn admits(&self, access: &edge_config::Access, client: Option<IpAddr>) -> bool {
        self.permit(access.allow.as_deref(), &access.deny, client)
    }

    /// Whether a client is in one of the lists `allow`, where there are any, and in none of `deny`.
    pub(crate) fn permit(
        &self,
        allow: Option<&[u32]>,
        deny: &[u32],
        client: Option<IpAddr>,
    ) -> bool {
        let in_any = |numbers: &[u32]| numbers.iter().any(|&number| self.holds(number, client));
        !in_any(deny) && allow.is_none_or(in_any)
    }

    fn with_files(&self) -> Vec<Arc<List>> {
        let lists = self.0.iter().filter(|list| list.config.file.is_some());
        lists.map(Arc::clone).collect()
    }
}

/// Read the files of lists again when they change.
///
/// # Cancel safety
/// At each look a list is whole, before or after.
pub(crate) async fn keep(shared: Arc<Shared>, outbox: Outbox) {
    loop {
        tokio::time::sleep(LOOK).await;
        let lists = shared.settings().lists.with_files();
        if lists.is_empty() {
            continue;
        }
        let looked = tokio::task::spawn_blocking(move || {
            let said = lists.iter().filter_map(|list| list.look());
            said.collect::<Vec<_>>()
        });
        for (level, text) in looked.await.unwrap_or_default() {
            outbox.log(level, &text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(networks: &[&str], file: Option<&Path>) -> AddressList {
        AddressList {
            name: "office".to_owned(),
            networks: networks.iter().map(|&each| each.to_owned()).collect(),
            file: file.map(|path| path.to_str().unwrap().to_owned()),
        }
    }

    /// `allow`, `deny`, a client's address, and whether it is let through.
    type Case = (Option<&'static [u32]>, &'static [u32], &'static str, bool);

    fn client(text: &str) -> Option<IpAddr> {
        text.parse().ok()
    }

    /// A file that is gone when the test ends.
    struct Written(std::path::PathBuf);

    impl Written {
        fn new(name: &str, text: &str) -> Self {
            let name = format!("trivet-lists-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::write(&path, text).unwrap();
            Self(path)
        }
    }

    impl Drop for Written {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn deny_wins_and_an_empty_allow_is_for_nobody() {
        let lists = Lists::new(
            &[list(&["10.0.0.0/8"], None), list(&["10.1.0.0/16"], None)],
            None,
        )
        .unwrap();
        let cases: [Case; 8] = [
            (None, &[], "192.0.2.1", true),
            (Some(&[0]), &[], "10.2.0.1", true),
            (Some(&[0]), &[], "192.0.2.1", false),
            (Some(&[0]), &[1], "10.1.0.1", false),
            (Some(&[0]), &[1], "10.2.0.1", true),
            (Some(&[]), &[], "10.2.0.1", false),
            (None, &[0], "10.2.0.1", false),
            (Some(&[1, 0]), &[], "10.2.0.1", true),
        ];
        for (allow, deny, addr, expected) in cases {
            assert_eq!(
                lists.permit(allow, deny, client(addr)),
                expected,
                "{allow:?} {deny:?} {addr}"
            );
        }
    }

    #[test]
    fn a_list_that_stays_the_same_is_taken_over() {
        let file = Written::new("same", "192.0.2.1\n");
        let configs = [list(&["10.0.0.0/8"], Some(&file.0)), list(&["unix"], None)];
        let before = Lists::new(&configs, None).unwrap();
        let mut changed = configs.clone();
        changed[1].networks.clear();
        changed.reverse();
        let after = Lists::new(&changed, Some(&before)).unwrap();
        assert!(Arc::ptr_eq(&before.0[0], &after.0[1]));
        assert!(!Arc::ptr_eq(&before.0[1], &after.0[0]));
    }

    #[test]
    fn a_file_is_read_again_once_it_rests() {
        let file = Written::new("rests", "192.0.2.1\n");
        let lists = Lists::new(&[list(&[], Some(&file.0))], None).unwrap();
        let list = &lists.0[0];
        assert_eq!(list.look(), None);
        std::fs::write(&file.0, "192.0.2.2\n192.0.2.9\n").unwrap();
        assert_eq!(list.look(), None);
        assert!(lists.holds(0, client("192.0.2.1")));
        let (level, text) = list.look().unwrap();
        assert_eq!(level, "info");
        assert!(text.ends_with("was read again, 2 ranges"), "{text}");
        assert!(!lists.holds(0, client("192.0.2.1")));
        assert!(lists.holds(0, client("192.0.2.9")));
        assert_eq!(list.look(), None);
    }

    #[test]
    fn a_file_that_cannot_be_used_changes_nothing_and_is_told_once() {
        let file = Written::new("broken", "192.0.2.1\n");
        let lists = Lists::new(&[list(&[], Some(&file.0))], None).unwrap();
        let list = &lists.0[0];
        std::fs::write(&file.0, "192.0.2.2\nnonsense\n").unwrap();
        assert_eq!(list.look(), None);
        let (level, text) = list.look().unwrap();
        assert_eq!(level, "warning");
        assert!(
            text.contains("stays as it was") && text.contains(":2: `nonsense`"),
            "{text}"
        );
        assert_eq!(list.look(), None);
        assert!(lists.holds(0, client("192.0.2.1")));
        std::fs::remove_file(&file.0).unwrap();
        assert_eq!(list.look(), None);
        assert!(list.look().unwrap().1.contains("No such file"));
        assert_eq!(list.look(), None);
        assert!(lists.holds(0, client("192.0.2.1")));
        std::fs::write(&file.0, "192.0.2.3\n").unwrap();
        assert_eq!(list.look(), None);
        assert_eq!(list.look().unwrap().0, "info");
        assert!(lists.holds(0, client("192.0.2.3")));
    }

    #[test]
    fn what_is_wrong_is_told_with_list_file_and_line() {
        let file = Written::new("wrong", "10.0.0.0/8\n10.0.0.0/40\n");
        let refused = |list| Lists::new(&[list], None).unwrap_err().to_string();
        let told = refused(list(&[], Some(&file.0)));
        let place = format!("list `office`: {}:2: `10.0.0.0/40`", file.0.display());
        assert!(told.starts_with(&place), "{told}");
        assert!(refused(list(&["x"], None)).starts_with("list `office`: `x` is neither"));
        assert!(refused(list(&[], Some(Path::new("/")))).contains("no regular file"));
        assert!(refused(list(&[], Some(Path::new("/nowhere")))).contains("No such file"));
    }
}
