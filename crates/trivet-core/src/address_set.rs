//! Which addresses are in a list of addresses and networks.
//!
//! Strategy: each network is a range of numbers. The ranges of each family are
//! sorted and merged once, and looked up by binary search over their first
//! addresses alone, which lie close together: a million IPv4 networks take
//! 8 MB, and a lookup some twenty steps in 4 MB. A set never changes; another
//! one takes its place.

mod ranges;

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

use crate::forwarded::{LOOPBACK, PRIVATE};
use ranges::Ranges;

/// Networks that a set may be made of: 16 million, which a set of IPv6 networks
/// holds in half a gigabyte and nobody has yet published.
pub const MAX_ENTRIES: usize = 1 << 24;

/// Why a list cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The entry in this line, counted from 1, is no address and no network.
    #[error("line {line}: {problem}")]
    Entry {
        /// Its line.
        line: usize,
        /// What is wrong with it: a sentence without a full stop.
        problem: String,
    },
    /// More than [`MAX_ENTRIES`].
    #[error("more than {MAX_ENTRIES} entries")]
    TooMany,
}

/// Addresses, as networks of both families.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressSet {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
    has_unix: bool,
}

impl AddressSet {
    /// From addresses, networks, and the words `*`, `loopback`, `private`, `unix`.
    ///
    /// `*` holds every client, those on Unix sockets too.
    ///
    /// # Errors
    ///
    /// [`AddressError::Entry`] with the place in `entries`, counted from 1.
    pub fn parse<T: AsRef<str>>(entries: &[T]) -> Result<Self, AddressError> {
        let mut making = Making::default();
        for (at, entry) in entries.iter().enumerate() {
            making
                .add_word(entry.as_ref())
                .map_err(|problem| AddressError::Entry {
                    line: at + 1,
                    problem,
                })?;
        }
        making.done()
    }

    /// From the text of a file: one address or network on each line, with `#` before comments.
    ///
    /// # Errors
    ///
    /// [`AddressError`] for the first line that is neither, with its number.
    pub fn parse_text(text: &[u8]) -> Result<Self, AddressError> {
        let mut making = Making::default();
        for (at, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let entry = match memchr::memchr(b'#', line) {
                Some(end) => line.get(..end).unwrap_or_default(),
                None => line,
            };
            let entry = entry.trim_ascii();
            if entry.is_empty() {
                continue;
            }
            let read = std::str::from_utf8(entry)
                .map_err(|_| complaint(&String::from_utf8_lossy(entry)))
                .and_then(network);
            match read {
                Ok(network) => making.add(network),
                Err(problem) => {
                    return Err(AddressError::Entry {
                        line: at + 1,
                        problem,
                    });
                }
            }
            if making.len() > MAX_ENTRIES {
                return Err(AddressError::TooMany);
            }
        }
        making.done()
    }

    /// Whether the set holds a client's address; `None` is that of a Unix socket.
    ///
    /// An IPv4 address that is mapped into IPv6 is that IPv4 address (RFC 4291 section 2.5.5.2).
    pub fn contains(&self, addr: Option<IpAddr>) -> bool {
        match addr.map(|addr| addr.to_canonical()) {
            None => self.has_unix,
            Some(IpAddr::V4(addr)) => self.v4.contains(addr.to_bits()),
            Some(IpAddr::V6(addr)) => self.v6.contains(addr.to_bits()),
        }
    }

    /// Ranges of addresses, after merging.
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Whether it holds no address at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0 && !self.has_unix
    }
}

/// A set in the making.
#[derive(Default)]
struct Making {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
    has_unix: bool,
}

impl Making {
    fn add_word(&mut self, entry: &str) -> Result<(), String> {
        match entry {
            "*" => {
                self.v4.push((0, u32::MAX));
                self.v6.push((0, u128::MAX));
                self.has_unix = true;
            }
            "unix" => self.has_unix = true,
            "private" => self.add_all(&PRIVATE)?,
            "loopback" => self.add_all(&LOOPBACK)?,
            entry => self.add(network(entry)?),
        }
        Ok(())
    }

    fn add_all(&mut self, networks: &[&str]) -> Result<(), String> {
        for each in networks {
            self.add(network(each)?);
        }
        Ok(())
    }

    fn add(&mut self, network: IpNet) {
        match network {
            IpNet::V4(network) => self
                .v4
                .push((network.network().to_bits(), network.broadcast().to_bits())),
            IpNet::V6(network) => self
                .v6
                .push((network.network().to_bits(), network.broadcast().to_bits())),
        }
    }

    fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    fn done(self) -> Result<AddressSet, AddressError> {
        if self.len() > MAX_ENTRIES {
            return Err(AddressError::TooMany);
        }
        Ok(AddressSet {
            v4: Ranges::new(self.v4),
            v6: Ranges::new(self.v6),
            has_unix: self.has_unix,
        })
    }
}

/// Read an address or a network; one mapped into IPv6 is the IPv4 network that it means.
fn network(entry: &str) -> Result<IpNet, String> {
    let network = match IpNet::from_str(entry) {
        Ok(network) => network,
        Err(_) => IpAddr::from_str(entry)
            .map(IpNet::from)
            .map_err(|_| complaint(entry))?,
    };
    if network.trunc() != network {
        let right = network.trunc();
        return Err(format!(
            "`{}` has a host part that is not zero: `{right}` is the network",
            shortened(entry)
        ));
    }
    Ok(canonical(network))
}

fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else {
        return network;
    };
    let prefix_len = mapped.prefix_len().checked_sub(96);
    match (mapped.addr().to_ipv4_mapped(), prefix_len) {
        (Some(addr), Some(prefix_len)) => Ipv4Net::new(addr, prefix_len).map_or(network, IpNet::V4),
        _ => network,
    }
}

fn complaint(entry: &str) -> String {
    format!(
        "`{}` is neither an address nor a network such as `10.0.0.0/8`",
        shortened(entry)
    )
}

/// What a message shows of an entry: a line may be a whole file.
fn shortened(entry: &str) -> String {
    let mut shown: String = entry.chars().take(64).collect();
    if shown.len() < entry.len() {
        shown.push('…');
    }
    shown.escape_debug().to_string()
}

#[cfg(test)]
mod tests;
