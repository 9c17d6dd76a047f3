//! Files of a folder: found, remembered, and described. Sending them is the connection's part.

mod listing;
mod open;
pub(crate) mod page_cache;
mod store;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use trivet_core::content_coding::Coding;
use trivet_core::file_path::{DotFiles, FilePath, is_fingerprinted, resolve};
use trivet_core::glob::Glob;
use trivet_core::media_type::MediaTypes;
use trivet_wire::edge_config;

use crate::clock::{now_us, unix_us};
pub(crate) use listing::Listing;
pub(crate) use open::Refused;
use open::{Facts, Found, Root};
use store::Store;
pub(crate) use store::{Content, Representation, Stored};

/// Content up to here is kept in memory and copied to the socket; above, `sendfile` without a
/// copy is as quick.
const MEMORY_BYTES: u64 = 64 << 10;
/// A file that changed so lately may change again without a new time of change.
const UNSURE_US: u64 = 2_000_000;
/// How long a look at a folder holds.
const FOLDER_US: u64 = 1_000_000;
/// Folders of which it is remembered when their names changed.
const MOST_FOLDERS: usize = 4096;
/// What every name with a fingerprint is told: a year, which HTTP has as "for ever".
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// A folder that is served.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) files: edge_config::Files,
    codings: Vec<Coding>,
    cache_control: Vec<(Glob, String)>,
    types: MediaTypes,
    root: Root,
    store: Store,
    /// When names in folders changed, and when that was seen (µs).
    folders: Mutex<HashMap<String, Names>>,
}

/// A look at a folder.
#[derive(Clone, Copy, Debug)]
struct Names {
    seen_us: u64,
    /// When names were added or taken last; `None` where it was no folder.
    changed: Option<(i64, u32)>,
}

/// What a request for a path below the folder gets.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// This file.
    File(Arc<Stored>),
    /// There is none; this file is the page that says so.
    NotFound(Arc<Stored>),
    /// A folder that was asked for without a slash at its end.
    AddSlash,
    /// The names in a folder.
    Listing(Listing),
    /// There is nothing.
    Missing,
    /// The system failed, or has no descriptors left.
    Failed(Refused),
}

enum Named {
    File(Arc<Stored>),
    Folder,
}

impl Folder {
    /// Open the folder.
    ///
    /// # Errors
    /// A sentence about what cannot be used.
    pub(crate) fn open(files: &edge_config::Files) -> Result<Self, String> {
        let told = |error: io::Error| format!("cannot open the folder {}: {error}", files.folder);
        let pairs = |named: &edge_config::NamedValue| {
            let glob = Glob::parse(&named.name).map_err(|error| error.to_string())?;
            Ok((glob, named.value.clone()))
        };
        let types = files.types.iter().map(|each| (&*each.name, &*each.value));
        Ok(Self {
            codings: files.precompressed.iter().copied().map(coding).collect(),
            cache_control: files
                .cache_control
                .iter()
                .map(pairs)
                .collect::<Result<_, String>>()?,
            types: MediaTypes::new(types, "utf-8", "application/octet-stream")
                .map_err(|error| error.to_string())?,
            root: Root::open(Path::new(&files.folder)).map_err(told)?,
            store: Store::new(files.memory_bytes),
            folders: Mutex::default(),
            files: files.clone(),
        })
    }

    /// Find what a request for `path` gets; `raw_path` is the same as it was sent.
    pub(crate) async fn find(&self, path: &[u8], raw_path: &[u8]) -> Lookup {
        if self.root.look(now_us()).await {
            self.store.clear();
            self.folders.lock().clear();
        }
        let dot_files = if self.files.well_known {
            DotFiles::RefuseButWellKnown
        } else {
            DotFiles::Refuse
        };
        match resolve(path, raw_path, self.files.prefix.as_bytes(), dot_files) {
            Err(_) => self.not_found().await,
            Ok(asked) => self.look_for(asked).await.unwrap_or_else(Lookup::Failed),
        }
    }

    async fn look_for(&self, asked: FilePath<'_>) -> Result<Lookup, Refused> {
        if asked.is_folder {
            for index in &self.files.index {
                let name = join(asked.relative, index);
                if let Some(Named::File(stored)) = self.named(&name).await? {
                    return Ok(Lookup::File(stored));
                }
            }
            if self.files.listing {
                if let Some(listing) = self.list(asked.relative).await? {
                    return Ok(Lookup::Listing(listing));
                }
            }
        } else {
            match self.named(asked.relative).await? {
                Some(Named::File(stored)) => return Ok(Lookup::File(stored)),
                Some(Named::Folder) => return Ok(Lookup::AddSlash),
                None => {}
            }
        }
        for fallback in &self.files.fallback {
            let name = fallback.replace("{path}", asked.relative);
            let name = name.trim_start_matches('/');
            if let Some(Named::File(stored)) = self.named(name).await? {
                return Ok(Lookup::File(stored));
            }
        }
        Ok(self.not_found().await)
    }

    async fn not_found(&self) -> Lookup {
        let Some(page) = self
            .files
            .not_found
            .as_deref()
            .filter(|_| !self.files.falls_through)
        else {
            return Lookup::Missing;
        };
        match self.named(page.trim_start_matches('/')).await {
            Ok(Some(Named::File(stored))) => Lookup::NotFound(stored),
            _ => Lookup::Missing,
        }
    }

    async fn list(&self, name: &str) -> Result<Option<Listing>, Refused> {
        match self.root.find(name.as_bytes()).await {
            Ok(Found::Folder(folder)) => Listing::read(folder).await.map(Some),
            Ok(Found::File(..)) | Err(Refused::Missing) => Ok(None),
            Err(refused) => Err(refused),
        }
    }

    /// What a name below the folder stands for, from memory if that was compared with the disk
    /// within the last second.
    async fn named(&self, name: &str) -> Result<Option<Named>, Refused> {
        let now_us = now_us();
        if let Some(stored) = self.store.get(name) {
            if stored.is_fresh(now_us) {
                return Ok(Some(Named::File(stored)));
            }
            if self.is_unchanged(&stored, now_us).await {
                stored.refresh(now_us);
                return Ok(Some(Named::File(stored)));
            }
            self.store.forget(name);
        }
        match self.root.find(name.as_bytes()).await {
            Ok(Found::Folder(_)) => Ok(Some(Named::Folder)),
            Ok(Found::File(file, facts)) => {
                let stored = Arc::new(self.read(name, file, facts).await?);
                if is_settled(&stored) {
                    self.store.put(&stored);
                }
                Ok(Some(Named::File(stored)))
            }
            Err(Refused::Missing) => Ok(None),
            Err(refused) => Err(refused),
        }
    }

    async fn is_unchanged(&self, stored: &Stored, now_us: u64) -> bool {
        if stored.is_warm(now_us) && self.looks_unchanged(stored, now_us) {
            return true;
        }
        for coding in [Coding::Identity]
            .into_iter()
            .chain(self.codings.iter().copied())
        {
            let name = format!("{}{}", stored.name, coding.extension());
            let mut now = self.root.facts(name.as_bytes()).await;
            if coding != Coding::Identity {
                let original = stored.facts(Coding::Identity);
                now = now.filter(|now| original.is_some_and(|original| !is_older(now, &original)));
            }
            if now != stored.facts(coding) {
                return false;
            }
        }
        true
    }

    /// Whether it is certainly unchanged, by one look at each of its files. Where no name of
    /// its folder has changed, it has no new sibling either.
    fn looks_unchanged(&self, stored: &Stored, now_us: u64) -> bool {
        let is_same = |each: &Representation| {
            if each.coding == Coding::Identity {
                return self.root.is_same(stored.name.as_bytes(), &each.facts);
            }
            let name = format!("{}{}", stored.name, each.coding.extension());
            self.root.is_same(name.as_bytes(), &each.facts)
        };
        stored.representations.iter().all(is_same)
            && (stored.representations.len() > self.codings.len()
                || stored.has_the_same_siblings(self.names_changed(&stored.name, now_us)))
    }

    /// When names in the folder of `name` changed last, as it was seen within the last second.
    fn names_changed(&self, name: &str, now_us: u64) -> Option<(i64, u32)> {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut folders = self.folders.lock();
        if let Some(names) = folders.get(folder)
            && now_us.saturating_sub(names.seen_us) < FOLDER_US
        {
            return names.changed;
        }
        if folders.len() >= MOST_FOLDERS {
            folders.clear();
        }
        let changed = self.root.names_changed(folder.as_bytes());
        let names = Names {
            seen_us: now_us,
            changed,
        };
        folders.insert(folder.to_owned(), names);
        changed
    }

    async fn read(&self, name: &str, file: std::fs::File, facts: Facts) -> Result<Stored, Refused> {
        // Asked before the siblings: one that comes meanwhile is then noticed at the next look.
        let names_changed = self.names_changed(name, now_us());
        let mut representations = vec![representation(Coding::Identity, file, facts).await?];
        let siblings = self.codings.iter();
        let siblings = siblings.map(|coding| format!("{name}{}", coding.extension()).into_bytes());
        let found = self.root.find_all(siblings.collect()).await;
        for (&coding, found) in self.codings.iter().zip(found) {
            // One that is older than the file was made from another content.
            if let Some(Found::File(file, other)) = found
                && !is_older(&other, &facts)
            {
                representations.push(representation(coding, file, other).await?);
            }
        }
        let mut content_type = Vec::new();
        self.types.of(name).write(&mut content_type);
        let rule = self
            .cache_control
            .iter()
            .find(|(glob, _)| glob.matches(name));
        let cache_control = match rule {
            Some((_, value)) => Some(value.clone()),
            None if self.files.immutable && is_fingerprinted(name) => Some(IMMUTABLE.to_owned()),
            None => None,
        };
        let content_type = String::from_utf8(content_type).unwrap_or_default();
        let described = (content_type, cache_control);
        Ok(Stored::new(
            name.to_owned(),
            described,
            representations,
            names_changed,
            now_us(),
        ))
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

fn coding(coding: edge_config::Coding) -> Coding {
    match coding {
        edge_config::Coding::Br => Coding::Br,
        edge_config::Coding::Gzip => Coding::Gzip,
        edge_config::Coding::Zstd => Coding::Zstd,
    }
}

/// Whether a file is older than another, by whole seconds: archives keep no more.
fn is_older(one: &Facts, other: &Facts) -> bool {
    one.modified.0 < other.modified.0
}

/// Whether its time of change tells each further change.
fn is_settled(stored: &Stored) -> bool {
    let now_us = i128::from(unix_us());
    stored.representations.iter().all(|each| {
        let (seconds, nanoseconds) = each.facts.modified;
        let modified_us = i128::from(seconds) * 1_000_000 + i128::from(nanoseconds / 1000);
        now_us - modified_us > i128::from(UNSURE_US) || now_us < modified_us
    })
}

/// Read a small file, whole; keep a large one open.
async fn representation(
    coding: Coding,
    file: std::fs::File,
    facts: Facts,
) -> Result<Representation, Refused> {
    let file = Arc::new(file);
    let mut content = Content::File(Arc::clone(&file));
    if facts.length <= MEMORY_BYTES {
        let length = usize::try_from(facts.length).unwrap_or(0);
        // A byte more would show that it has grown.
        let read = page_cache::read(&file, 0, length + 1).await;
        let read = read.map_err(|_| Refused::Failed)?;
        // One that is being written is sent by its descriptor, and ends as it ends.
        if read.len() == length {
            content = Content::Memory(Bytes::from(read));
        }
    }
    Ok(Representation {
        coding,
        facts,
        etag: etag(&facts),
        content,
    })
}

/// `"time-length"`, as nginx has it, with the nanoseconds: files that were written within one
/// second are told apart.
fn etag(facts: &Facts) -> String {
    let (seconds, nanoseconds) = facts.modified;
    format!("\"{seconds:x}.{nanoseconds:x}-{:x}\"", facts.length)
}
