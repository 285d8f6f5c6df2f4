//! Lines as syslog messages (RFC 5424), over UDP (RFC 5426), TCP with octet counting (RFC 6587) or the machine's own socket.

use std::io::{self, Write as _};
use std::net::{Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use ase_core::time::UnixMillis;

use crate::clock;

/// Longest wait for a connection, and for a server to take a message.
const PATIENCE: Duration = Duration::from_secs(2);
/// Severity "informational".
const INFORMATIONAL: u8 = 6;

/// Where messages go and how they name themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where.
    pub address: Address,
    /// 0 to 23.
    pub facility: u8,
    /// The name of the program in every message: 1 to 48 visible ASCII characters.
    pub app_name: String,
}

/// Where a syslog server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `udp://host:port`: a message is a datagram; what is lost on the way is lost.
    Udp(String),
    /// `tcp://host:port`.
    Tcp(String),
    /// `unix:///dev/log`.
    Unix(PathBuf),
}

/// Sends messages; connects when there is something to send.
pub(super) struct Sender {
    server: Server,
    host: String,
    connection: Option<Connection>,
}

enum Connection {
    Udp(UdpSocket),
    Tcp(TcpStream),
    Unix(UnixDatagram),
}

impl Address {
    /// Reads `udp://host:port`, `tcp://host:port` or `unix:///path`.
    ///
    /// # Errors
    /// With the rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rule = || format!("{text:?} is not udp://host:port, tcp://host:port or unix:///path");
        let (scheme, rest) = text.split_once("://").ok_or_else(rule)?;
        let has_port = |rest: &str| {
            rest.rsplit_once(':')
                .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        };
        match scheme {
            "udp" if has_port(rest) => Ok(Self::Udp(rest.to_owned())),
            "tcp" if has_port(rest) => Ok(Self::Tcp(rest.to_owned())),
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            _ => Err(rule()),
        }
    }
}

impl Sender {
    pub(super) fn new(server: Server) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self {
            server,
            host: host_name(&host),
            connection: None,
        }
    }

    /// Sends one line. After an error the next line connects anew.
    pub(super) fn send(&mut self, line: &[u8]) -> io::Result<()> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.server.address)?,
        };
        let message = message(&self.server, &self.host, clock::now(), line);
        match &mut connection {
            Connection::Udp(socket) => socket.send(&message).map(drop)?,
            Connection::Unix(socket) => socket.send(&message).map(drop)?,
            Connection::Tcp(stream) => {
                // One write: a message is never left without its length.
                let mut framed = format!("{} ", message.len()).into_bytes();
                framed.extend_from_slice(&message);
                stream.write_all(&framed)?;
            }
        }
        self.connection = Some(connection);
        Ok(())
    }
}

fn connect(address: &Address) -> io::Result<Connection> {
    match address {
        Address::Udp(server) => {
            let server = resolve(server)?;
            let own: SocketAddr = match server {
                SocketAddr::V4(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
                SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
            };
            let socket = UdpSocket::bind(own)?;
            socket.connect(server)?;
            Ok(Connection::Udp(socket))
        }
        Address::Tcp(server) => {
            let stream = TcpStream::connect_timeout(&resolve(server)?, PATIENCE)?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(Connection::Tcp(stream))
        }
        Address::Unix(path) => {
            let socket = UnixDatagram::unbound()?;
            socket.connect(path)?;
            socket.set_write_timeout(Some(PATIENCE))?;
            Ok(Connection::Unix(socket))
        }
    }
}

fn resolve(server: &str) -> io::Result<SocketAddr> {
    let missing = || io::Error::new(io::ErrorKind::NotFound, format!("{server} has no address"));
    server.to_socket_addrs()?.next().ok_or_else(missing)
}

/// `<PRI>1 TIME HOST APP PROCID MSGID - MSG`; the line without its newline is the message.
fn message(server: &Server, host: &str, now: UnixMillis, line: &[u8]) -> Vec<u8> {
    let priority = u16::from(server.facility) * 8 + u16::from(INFORMATIONAL);
    let (time, app, process) = (clock::rfc3339(now), &server.app_name, std::process::id());
    let mut message = format!("<{priority}>1 {time} {host} {app} {process} access - ").into_bytes();
    message.extend_from_slice(line.trim_ascii_end());
    message
}

/// At most 255 visible ASCII characters; `-` stands for none.
fn host_name(text: &str) -> String {
    let name: String = text
        .trim()
        .chars()
        .filter(char::is_ascii_graphic)
        .take(255)
        .collect();
    if name.is_empty() {
        "-".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_becomes_a_message_of_rfc_5424() {
        let server = Server {
            address: Address::Udp("127.0.0.1:514".to_owned()),
            facility: 16,
            app_name: "ase".to_owned(),
        };
        let message = message(&server, "edge-1", UnixMillis(7), b"{\"a\":1}\n");
        let expected = format!(
            "<134>1 1970-01-01T00:00:00.007Z edge-1 ase {} access - {{\"a\":1}}",
            std::process::id()
        );
        assert_eq!(String::from_utf8(message).unwrap(), expected);
        assert_eq!(host_name(" \n"), "-");
        assert_eq!(host_name("edge 1\n"), "edge1");
    }

    #[test]
    fn an_address_names_its_transport() {
        for (text, address) in [
            ("udp://[::1]:514", Address::Udp("[::1]:514".to_owned())),
            ("tcp://logs:601", Address::Tcp("logs:601".to_owned())),
            ("unix:///dev/log", Address::Unix("/dev/log".into())),
        ] {
            assert_eq!(Address::parse(text), Ok(address));
        }
        for text in [
            "",
            "logs:514",
            "udp://logs",
            "udp://:514",
            "tcp://a:99999",
            "unix://x",
            "http://a:1",
        ] {
            let fault = Address::parse(text).unwrap_err();
            assert!(fault.starts_with(&format!("{text:?} is not")), "{fault}");
        }
    }
}
