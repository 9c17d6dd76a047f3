//! From the path of a request to the path of a file below a folder.
//!
//! Strategy: nothing is repaired. The gate has decoded the path once and removed its dot
//! segments; here each segment must be a plain name as it stands, or there is no such
//! file. So a name has one spelling, and what is not a plain name in any system that
//! may read it later is never asked for. Opening with `openat2(RESOLVE_BENEATH)` is the
//! second lock on the same door, and the only one against symbolic links.

mod fingerprint;

pub use fingerprint::is_fingerprinted;

use memchr::memchr_iter;

/// The longest name of a file on Linux, in bytes (`NAME_MAX`).
const MOST_NAME_BYTES: usize = 255;

/// What happens to names that start with a dot: `.git`, `.env`, `.htpasswd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DotFiles {
    /// They are served as any other.
    Allow,
    /// They are not there.
    Refuse,
    /// They are not there, but what lies below `/.well-known/` at the root of the site
    /// is (RFC 8615), except for dot files in it.
    RefuseButWellKnown,
}

/// A path below the folder of a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilePath<'a> {
    /// One or more plain names with a slash between them, or nothing: the folder of the
    /// mount itself.
    pub relative: &'a str,
    /// Whether the request's path ends in a slash, and so asks for a folder. One for a
    /// folder that does not is redirected; one for a file that does is not found, or
    /// relative references in it would lead elsewhere.
    pub is_folder: bool,
}

/// Why no file can be meant. The answer is 404 in each case: the client learns nothing
/// of what is there; the reason is for the log and `trivet explain`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoFile {
    /// A backslash: a separator for other systems.
    Backslash,
    /// A NUL, a line break, or another control character.
    ControlCharacter,
    /// A name that starts with a dot and is not allowed to.
    DotFile,
    /// Two slashes in a row: another spelling of a path that has one.
    EmptyName,
    /// `%2F` in the path as sent: another spelling too, by which rules about paths are
    /// evaded.
    EncodedSlash,
    /// Not below the mount.
    OutsideMount,
    /// A name of more than 255 bytes.
    TooLong,
    /// Not UTF-8, such as the overlong forms of dots and slashes.
    Utf8,
}

/// The file that a request asks for below a mount.
///
/// `path` is the gate's decoded one ([`Admitted::path`]), `raw_path` the same as sent.
/// `mount` is a prefix that ends at a slash, whether or not it holds that slash: `/` or
/// `/static` or `/static/`. Nothing is allocated; the answer is a part of `path`.
///
/// # Errors
/// With the reason, if no file can be meant.
///
/// [`Admitted::path`]: crate::gate::Admitted::path
pub fn resolve<'a>(
    path: &'a [u8],
    raw_path: &[u8],
    mount: &[u8],
    dot_files: DotFiles,
) -> Result<FilePath<'a>, NoFile> {
    let mount = mount.strip_suffix(b"/").unwrap_or(mount);
    let below = path.strip_prefix(mount).ok_or(NoFile::OutsideMount)?;
    let below = match below {
        [] => {
            return Ok(FilePath {
                relative: "",
                is_folder: false,
            });
        }
        [b'/', below @ ..] => below,
        _ => return Err(NoFile::OutsideMount),
    };
    if holds_encoded_slash(raw_path) {
        return Err(NoFile::EncodedSlash);
    }
    let below = std::str::from_utf8(below).map_err(|_| NoFile::Utf8)?;
    let (relative, is_folder) = match below.strip_suffix('/') {
        Some(folder) => (folder, true),
        None => (below, below.is_empty()),
    };
    if below == "/" {
        // `//`: stripping the slash must not hide the empty name before it.
        return Err(NoFile::EmptyName);
    }
    if relative.is_empty() {
        return Ok(FilePath {
            relative,
            is_folder,
        });
    }
    for (index, name) in relative.split('/').enumerate() {
        let is_well_known = index == 0 && mount.is_empty() && name == ".well-known";
        check_name(name, is_well_known, dot_files)?;
    }
    Ok(FilePath {
        relative,
        is_folder,
    })
}

fn check_name(name: &str, is_well_known: bool, dot_files: DotFiles) -> Result<(), NoFile> {
    if name.is_empty() {
        return Err(NoFile::EmptyName);
    }
    if name.len() > MOST_NAME_BYTES {
        return Err(NoFile::TooLong);
    }
    for byte in name.bytes() {
        match byte {
            b'\\' => return Err(NoFile::Backslash),
            0..=0x1f | 0x7f => return Err(NoFile::ControlCharacter),
            _ => {}
        }
    }
    let may_start_with_a_dot = match dot_files {
        // The gate has removed these; a caller that has not must not get out.
        _ if matches!(name, "." | "..") => false,
        DotFiles::Allow => true,
        DotFiles::Refuse => false,
        DotFiles::RefuseButWellKnown => is_well_known,
    };
    if name.starts_with('.') && !may_start_with_a_dot {
        return Err(NoFile::DotFile);
    }
    Ok(())
}

fn holds_encoded_slash(raw_path: &[u8]) -> bool {
    memchr_iter(b'%', raw_path)
        .any(|at| matches!(raw_path.get(at + 1..at + 3), Some([b'2', b'f' | b'F'])))
}

#[cfg(test)]
mod tests;
