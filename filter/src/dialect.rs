//! The form of a refusal that a client understands: plain HTTP, gRPC or gRPC-Web.
//!
//! Envoy puts a local reply into gRPC's form by itself, but not where `grpc_web` stands in front, never into that of gRPC-Web, and with a status that it
//! derives from the configured HTTP status. So each form is made here. What the client speaks is taken in the request phase, when the host shows its headers.

use std::borrow::Cow;

use ase_core::headers::Headers;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::config::Reply;
use crate::pairs;

/// Longest `grpc-message` before its encoding, in bytes: it travels in a header.
const MAX_MESSAGE_BYTES: usize = 512;

/// The first byte of a frame that holds trailers.
const TRAILERS_FRAME: u8 = 0x80;

/// What a client speaks, as the content type of its request tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Anything but the others.
    Http,
    /// `application/grpc`, with any message format.
    Grpc,
    /// `application/grpc-web`, with any message format.
    GrpcWeb,
    /// `application/grpc-web-text`, with any message format.
    GrpcWebText,
}

/// Why a gRPC client is refused. A client may try again what is unavailable, and should not what is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrpcStatus {
    /// ASE said so.
    PermissionDenied = 7,
    /// No verdict could be had.
    Unavailable = 14,
}

/// A refusal as the host is given it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal<'r> {
    /// The HTTP status.
    pub status: u16,
    /// A list of pairs (see [`crate::pairs`]).
    pub headers: Cow<'r, [u8]>,
    /// The body.
    pub body: Cow<'r, [u8]>,
}

impl Dialect {
    /// What the client of a request speaks.
    #[must_use]
    pub fn of(headers: &Headers<'_>) -> Self {
        let content_type = headers.first(b"content-type");
        let kind = content_type.map_or(&[][..], |value| value);
        let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default();
        let speaks = |name: &[u8]| match essence.trim_ascii().split_at_checked(name.len()) {
            Some((start, rest)) => {
                start.eq_ignore_ascii_case(name) && (rest.is_empty() || rest.starts_with(b"+"))
            }
            None => false,
        };
        if speaks(b"application/grpc") {
            Self::Grpc
        } else if speaks(b"application/grpc-web") {
            Self::GrpcWeb
        } else if speaks(b"application/grpc-web-text") {
            Self::GrpcWebText
        } else {
            Self::Http
        }
    }

    /// A reply in this form.
    #[must_use]
    pub fn put(self, reply: &Reply, status: GrpcStatus) -> Refusal<'_> {
        let content_type = match self {
            Self::Http => {
                return Refusal {
                    status: reply.status,
                    headers: Cow::Borrowed(&reply.headers),
                    body: Cow::Borrowed(reply.body.as_bytes()),
                };
            }
            Self::Grpc => "application/grpc",
            Self::GrpcWeb => "application/grpc-web+proto",
            Self::GrpcWebText => "application/grpc-web-text+proto",
        };
        let own = pairs::parse(&reply.headers).unwrap_or_default();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut headers: Vec<(String, String)> = own
            .iter()
            .filter(|header| !header.name.eq_ignore_ascii_case(b"content-type"))
            .map(|header| (text(&header.name), text(&header.value)))
            .collect();
        headers.push(("content-type".to_owned(), content_type.to_owned()));
        let (code, message) = ((status as u8).to_string(), message(reply.body.as_bytes()));
        let frame = ["grpc-status:", &code, "\r\ngrpc-message:", &message, "\r\n"].concat();
        let body = match self {
            // A reply of trailers only, which travels as headers.
            Self::Http | Self::Grpc => {
                headers.push(("grpc-status".to_owned(), code));
                headers.push(("grpc-message".to_owned(), message));
                Vec::new()
            }
            Self::GrpcWeb => framed(&frame),
            Self::GrpcWebText => STANDARD.encode(framed(&frame)).into_bytes(),
        };
        Refusal {
            status: 200,
            headers: Cow::Owned(pairs::write(&headers)),
            body: Cow::Owned(body),
        }
    }
}

fn framed(trailers: &str) -> Vec<u8> {
    let length = u32::try_from(trailers.len()).unwrap_or(u32::MAX);
    [
        &[TRAILERS_FRAME],
        &length.to_be_bytes()[..],
        trailers.as_bytes(),
    ]
    .concat()
}

/// The start of the body, without its line end, as gRPC writes messages: everything but printable ASCII is encoded, and `%` itself.
fn message(body: &[u8]) -> String {
    let start = body.get(..MAX_MESSAGE_BYTES).unwrap_or(body);
    let digit = |value: u8| {
        char::from(if value < 10 {
            b'0' + value
        } else {
            b'A' - 10 + value
        })
    };
    let mut out = String::with_capacity(start.len());
    for byte in start.trim_ascii_end() {
        match byte {
            b' '..=b'~' if *byte != b'%' => out.push(char::from(*byte)),
            _ => {
                out.push('%');
                out.push(digit(byte >> 4));
                out.push(digit(byte & 15));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialect(content_type: &str) -> Dialect {
        let mut headers = Headers::default();
        headers.push(&b"content-type"[..], content_type.as_bytes());
        Dialect::of(&headers)
    }

    #[test]
    fn a_client_is_known_by_the_content_type_of_its_request() {
        for (content_type, expected) in [
            ("application/grpc", Dialect::Grpc),
            ("application/grpc+proto", Dialect::Grpc),
            ("Application/gRPC ; charset=x", Dialect::Grpc),
            ("application/grpc-web", Dialect::GrpcWeb),
            ("application/grpc-web+proto", Dialect::GrpcWeb),
            ("application/grpc-web-text", Dialect::GrpcWebText),
            ("application/grpc-web-text+proto", Dialect::GrpcWebText),
            ("application/grpcweb", Dialect::Http),
            ("application/grpc-other", Dialect::Http),
            ("application/json", Dialect::Http),
            ("application", Dialect::Http),
            ("", Dialect::Http),
        ] {
            assert_eq!(dialect(content_type), expected, "{content_type}");
        }
        assert_eq!(Dialect::of(&Headers::default()), Dialect::Http);
    }

    fn reply(body: &str) -> Reply {
        let own = [("content-type", "text/html"), ("retry-after", "2")];
        Reply {
            status: 503,
            body: body.to_owned(),
            headers: pairs::write(&own.map(|(name, value)| (name.to_owned(), value.to_owned()))),
        }
    }

    fn told(refusal: &Refusal<'_>) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let headers = pairs::parse(&refusal.headers).unwrap();
        let told = headers.iter();
        told.map(|header| (text(&header.name), text(&header.value)))
            .collect()
    }

    #[test]
    fn a_grpc_client_gets_trailers_as_headers_and_no_body() {
        let plain = reply("50 % of caf\u{e9}s\n");
        let put = Dialect::Grpc.put(&plain, GrpcStatus::Unavailable);
        assert_eq!((put.status, &*put.body), (200, &b""[..]));
        let expected = [
            ("retry-after", "2"),
            ("content-type", "application/grpc"),
            ("grpc-status", "14"),
            ("grpc-message", "50 %25 of caf%C3%A9s"),
        ];
        assert_eq!(
            told(&put),
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn a_grpc_web_client_gets_trailers_as_a_frame_of_the_body() {
        let plain = reply("No\n");
        let frame = b"\x80\x00\x00\x00\x20grpc-status:7\r\ngrpc-message:No\r\n";
        let put = Dialect::GrpcWeb.put(&plain, GrpcStatus::PermissionDenied);
        assert_eq!((put.status, &*put.body), (200, &frame[..]));
        assert_eq!(told(&put).len(), 2);
        let put = Dialect::GrpcWebText.put(&plain, GrpcStatus::PermissionDenied);
        let encoded = b"gAAAACBncnBjLXN0YXR1czo3DQpncnBjLW1lc3NhZ2U6Tm8NCg==";
        assert_eq!(
            String::from_utf8_lossy(&put.body),
            String::from_utf8_lossy(encoded)
        );
    }

    #[test]
    fn a_long_body_is_cut_for_a_message_and_whole_for_http() {
        let plain = reply(&"x".repeat(600));
        let http = Dialect::Http.put(&plain, GrpcStatus::Unavailable);
        assert_eq!((http.status, http.body.len()), (503, 600));
        let grpc = told(&Dialect::Grpc.put(&plain, GrpcStatus::Unavailable));
        assert_eq!(grpc.last().unwrap().1.len(), MAX_MESSAGE_BYTES);
    }
}
