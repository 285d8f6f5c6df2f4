//! Client addresses, with the networks that hold them; a gateway learns them from the connection's peer or, as [`forwarded_for`] reads it, from `X-Forwarded-For`.
//!
//! Every address is canonical: IPv4-mapped IPv6 (`::ffff:203.0.113.7`) is IPv4, so one client has one spelling.
//! Nothing here ever invents an address: a text that is not one is an error, and so is a forwarding chain that is too short.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;

use thiserror::Error;

mod forwarded;

pub use forwarded::{ForwardedError, forwarded_for};

/// Longest piece of a refused text that an error repeats, in characters.
const EXCERPT_CHARS: usize = 60;

/// An IP address, canonical: never an IPv4-mapped IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientAddress(IpAddr);

/// A TCP port, 1 to 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(NonZeroU16);

/// The other end of a connection, as Envoy's `source.address` property spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerAddress {
    /// The address.
    pub address: ClientAddress,
    /// The port; `None` when it is not given or 0.
    pub port: Option<Port>,
}

/// A block of addresses: the leading bits that its members share. The bits below the prefix are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network {
    first: ClientAddress,
    prefix: u8,
}

/// How many leading bits of an IPv6 address stand for one client: 1 to 128, 64 by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ipv6Width(u8);

/// A text that is not an IP address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not an IP address")]
pub struct AddressError(String);

/// A number that is not the width of an IPv6 client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{0} is not a width of IPv6 clients: use 1 to 128 bits")]
pub struct WidthError(u8);

/// A text that is not a network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NetworkError {
    /// The part before the slash is not an IP address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The part after the slash is not a number of bits.
    #[error("{text:?} is not a prefix length of {address}: use 0 to {max}")]
    Prefix {
        /// The address before the slash.
        address: IpAddr,
        /// What followed the slash, shortened.
        text: String,
        /// The bits of the address.
        max: u8,
    },
    /// The address has bits set below the prefix.
    #[error("{address}/{prefix} has bits set beyond its prefix: the network is {meant}")]
    HostBits {
        /// The address before the slash.
        address: IpAddr,
        /// The prefix length after the slash.
        prefix: u8,
        /// The network that holds the address.
        meant: Network,
    },
}

impl ClientAddress {
    /// Reads an address. Blanks around it and brackets around an IPv6 address are taken off.
    ///
    /// # Errors
    /// When the rest is not an address; a port, a zone id and a prefix length are refused.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let trimmed = text.trim_ascii();
        let ip = match trimmed
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            Some(inside) => inside.parse().map(IpAddr::V6),
            None => trimmed.parse(),
        };
        ip.map(Self::from).map_err(|_| AddressError(excerpt(text)))
    }

    /// The address.
    #[must_use]
    pub fn ip(self) -> IpAddr {
        self.0
    }

    /// The network that stands for this client: the address itself for IPv4, its first `width` bits for IPv6.
    #[must_use]
    pub fn network(self, width: Ipv6Width) -> Network {
        self.prefixed(match self.0 {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => width.0,
        })
    }

    /// The network of this address's first `prefix` bits; at most all of them.
    #[must_use]
    pub fn prefixed(self, prefix: u8) -> Network {
        let prefix = prefix.min(self.bits());
        Network {
            first: Self(masked(self.0, prefix)),
            prefix,
        }
    }

    /// The number of bits: 32 or 128.
    fn bits(self) -> u8 {
        match self.0 {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        }
    }
}

impl From<IpAddr> for ClientAddress {
    fn from(ip: IpAddr) -> Self {
        Self(ip.to_canonical())
    }
}

impl ClientAddress {
    /// Appends the text form; every line of the access log has one, and most are IPv4.
    pub fn write(&self, out: &mut Vec<u8>) {
        let IpAddr::V4(address) = self.0 else {
            return out.extend_from_slice(self.0.to_string().as_bytes());
        };
        for (place, octet) in address.octets().into_iter().enumerate() {
            if place > 0 {
                out.push(b'.');
            }
            if octet >= 100 {
                out.push(b'0' + octet / 100);
            }
            if octet >= 10 {
                out.push(b'0' + octet / 10 % 10);
            }
            out.push(b'0' + octet % 10);
        }
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Port {
    /// The port of that number; `None` for 0, which means unknown.
    #[must_use]
    pub fn new(number: u16) -> Option<Self> {
        NonZeroU16::new(number).map(Self)
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PeerAddress {
    /// Reads `ip:port`, `[ipv6]:port`, `[ipv6%zone]:port` with a numeric zone (left out: it names an interface of the gateway, not a client), or a bare address.
    ///
    /// # Errors
    /// When the text is neither: a pipe, an internal listener, garbage.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        match text.trim_ascii().parse::<SocketAddr>() {
            Ok(socket) => Ok(Self {
                address: socket.ip().into(),
                port: Port::new(socket.port()),
            }),
            Err(_) => ClientAddress::parse(text).map(|address| Self {
                address,
                port: None,
            }),
        }
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => SocketAddr::new(self.address.0, port.get()).fmt(f),
            None => self.address.fmt(f),
        }
    }
}

impl Network {
    /// Reads `address/prefix`, or a bare address, which is a network of one. An IPv4-mapped network is IPv4.
    ///
    /// # Errors
    /// When the address or the prefix is none, or when the address has bits set beyond the prefix.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        let Some((address_text, prefix_text)) = text.split_once('/') else {
            return Ok(Self::of(ClientAddress::parse(text)?));
        };
        let address_text = address_text.trim_ascii_start();
        let prefix_text = prefix_text.trim_ascii_end();
        let given: IpAddr = address_text
            .parse()
            .map_err(|_| AddressError(excerpt(address_text)))?;
        let max = if given.is_ipv4() { 32 } else { 128 };
        let prefix = number_of_bits(prefix_text, max).ok_or_else(|| NetworkError::Prefix {
            address: given,
            text: excerpt(prefix_text),
            max,
        })?;
        let network = match (given.to_canonical(), prefix.checked_sub(96)) {
            (IpAddr::V4(v4), Some(v4_prefix)) if given.is_ipv6() => Self {
                first: ClientAddress(IpAddr::V4(v4)),
                prefix: v4_prefix,
            },
            (IpAddr::V4(_) | IpAddr::V6(_), _) => Self {
                first: ClientAddress(given),
                prefix,
            },
        };
        let first = masked(network.first.0, network.prefix);
        if first == network.first.0 {
            Ok(network)
        } else {
            let meant = Self {
                first: ClientAddress(first),
                prefix: network.prefix,
            };
            Err(NetworkError::HostBits {
                address: given,
                prefix,
                meant,
            })
        }
    }

    /// The network that holds only `address`.
    #[must_use]
    pub fn of(address: ClientAddress) -> Self {
        Self {
            first: address,
            prefix: address.bits(),
        }
    }

    /// The IPv6 network of that first address. The bits beyond the prefix must be zero; unlike [`ClientAddress::prefixed`] it can
    /// be one that holds the IPv4-mapped range and more.
    pub(crate) fn v6(first: u128, prefix: u8) -> Self {
        Self {
            first: ClientAddress(IpAddr::V6(Ipv6Addr::from_bits(first))),
            prefix,
        }
    }

    /// The first address.
    #[must_use]
    pub fn first(&self) -> ClientAddress {
        self.first
    }

    /// The number of shared leading bits: 0 to 32 (IPv4) or 128 (IPv6).
    #[must_use]
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether `address` belongs to the network. An IPv6 network never holds an IPv4 client, not even `::/0`.
    #[must_use]
    pub fn contains(&self, address: ClientAddress) -> bool {
        masked(address.0, self.prefix) == self.first.0
    }
}

impl Hash for Network {
    /// One word for IPv4: the list hashes a network per look-up and prefix length, and a keyed hash pays for each write.
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.first.0 {
            IpAddr::V4(v4) => {
                state.write_u64((u64::from(v4.to_bits()) << 8) | u64::from(self.prefix))
            }
            IpAddr::V6(v6) => {
                state.write_u128(v6.to_bits());
                state.write_u8(self.prefix);
            }
        }
    }
}

impl fmt::Display for Network {
    /// `address/prefix`; the bare address for a network of one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == self.first.bits() {
            self.first.fmt(f)
        } else {
            write!(f, "{}/{}", self.first, self.prefix)
        }
    }
}

impl Ipv6Width {
    /// A width of that many bits.
    ///
    /// # Errors
    /// When it is not 1 to 128.
    pub fn new(bits: u8) -> Result<Self, WidthError> {
        if (1..=128).contains(&bits) {
            Ok(Self(bits))
        } else {
            Err(WidthError(bits))
        }
    }
}

impl Default for Ipv6Width {
    /// 64: what one subscriber usually gets.
    fn default() -> Self {
        Self(64)
    }
}

impl fmt::Display for Ipv6Width {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `ip` with every bit after the first `prefix` bits cleared.
fn masked(ip: IpAddr, prefix: u8) -> IpAddr {
    match ip {
        IpAddr::V4(v4) => {
            let mask = u32::MAX
                .checked_shl(32_u32.saturating_sub(prefix.into()))
                .unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX
                .checked_shl(128_u32.saturating_sub(prefix.into()))
                .unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
    }
}

fn number_of_bits(text: &str, max: u8) -> Option<u8> {
    // The standard parser takes a sign, which no prefix length has.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|bits| digits && *bits <= max)
}

fn excerpt(text: &str) -> String {
    text.chars().take(EXCERPT_CHARS).collect()
}

#[cfg(test)]
mod tests;
