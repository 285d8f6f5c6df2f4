//! What the host knows of the client's TLS connection.

use std::borrow::Cow;

use ase_core::metadata::TlsFacts;
use ase_core::text;

use crate::config::TlsFact;

/// Asks the host, by `property`, for the facts that are `wanted`; a connection without TLS costs one question, one without a client certificate none for its parts.
pub fn facts<B: std::ops::Deref<Target = [u8]>>(
    wanted: &[TlsFact],
    property: impl Fn(&'static [u8]) -> Option<B>,
) -> TlsFacts<'static> {
    let read = |path| {
        let value = property(path).filter(|value| !value.is_empty())?;
        Some(Cow::Owned(text::of(&value).into_owned()))
    };
    let version = (!wanted.is_empty())
        .then(|| read(b"connection\0tls_version"))
        .flatten();
    if version.is_none() {
        return TlsFacts::default();
    }
    let wants = |fact| wanted.contains(&fact);
    let server_name = || read(b"connection\0requested_server_name");
    let client_sha256 = wants(TlsFact::ClientCertificate)
        .then(|| read(b"connection\0sha256_peer_certificate_digest"))
        .flatten();
    let of_certificate = |path| client_sha256.is_some().then(|| read(path)).flatten();
    TlsFacts {
        server_name: wants(TlsFact::ServerName).then(server_name).flatten(),
        client_subject: of_certificate(b"connection\0subject_peer_certificate"),
        client_san: of_certificate(b"connection\0uri_san_peer_certificate"),
        client_sha256,
        version: version.filter(|_| wants(TlsFact::Version)),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    const ALL: [TlsFact; 3] = [
        TlsFact::ClientCertificate,
        TlsFact::Version,
        TlsFact::ServerName,
    ];

    fn asked(wanted: &[TlsFact], known: &[(&[u8], &str)]) -> (usize, Vec<(&'static str, String)>) {
        let asked = RefCell::new(0);
        let facts = facts(wanted, |path| {
            *asked.borrow_mut() += 1;
            let (_, value) = known.iter().find(|(name, _)| *name == path)?;
            Some(value.as_bytes())
        });
        let known = facts.known().map(|(name, fact)| (name, fact.to_owned()));
        (asked.take(), known.collect())
    }

    #[test]
    fn only_what_is_wanted_and_can_be_there_is_asked_for() {
        let plain: [(&[u8], &str); 1] = [(b"connection\0requested_server_name", "h")];
        assert_eq!(asked(&[], &plain), (0, vec![]));
        assert_eq!(asked(&ALL, &plain), (1, vec![]));
        let tls: [(&[u8], &str); 3] = [
            (b"connection\0tls_version", "TLSv1.3"),
            (b"connection\0requested_server_name", "h"),
            (b"connection\0sha256_peer_certificate_digest", ""),
        ];
        let version = ("version", "TLSv1.3".to_owned());
        assert_eq!(asked(&[TlsFact::Version], &tls), (1, vec![version.clone()]));
        assert_eq!(
            asked(&ALL, &tls),
            (3, vec![version, ("sni", "h".to_owned())])
        );
        let certificate: [(&[u8], &str); 3] = [
            (b"connection\0tls_version", "TLSv1.3"),
            (b"connection\0subject_peer_certificate", "CN=c"),
            (b"connection\0sha256_peer_certificate_digest", "ab"),
        ];
        assert_eq!(
            asked(&[TlsFact::ClientCertificate], &certificate),
            (
                4,
                vec![
                    ("client_subject", "CN=c".to_owned()),
                    ("client_sha256", "ab".to_owned())
                ]
            )
        );
    }
}
