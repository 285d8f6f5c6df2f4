//! JSON as gateway policies really write it. Every oddity that is tolerated is named at the place that tolerates it.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::source_ip;
use crate::credential::{CredentialId, CredentialKind};
use crate::headers::{Header, Headers, USUAL_HEADERS};
use crate::identity::{Credential, HashedCredential, Place, Provenance};
use crate::metadata::{RequestMetadata, ResponseMetadata, SourceIp, TlsFacts};

/// Most `user_info` pairs and most `client_identifiers` that are read of one request; no gateway sends more than a few.
const MAX_NAMED_CLIENTS: usize = 128;

/// `POST /ase/request`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct RawRequest<'a> {
    #[serde(borrow)]
    source_ip: Text<'a>,
    #[serde(borrow)]
    source_port: Text<'a>,
    #[serde(borrow)]
    method: Text<'a>,
    #[serde(borrow)]
    url: Text<'a>,
    #[serde(borrow)]
    http_version: Text<'a>,
    #[serde(borrow)]
    headers: Pairs<'a>,
    #[serde(borrow)]
    user_info: Pairs<'a>,
    #[serde(borrow)]
    tls: Pairs<'a>,
    #[serde(borrow)]
    client_identifiers: Option<Vec<RawCredential<'a>>>,
    // One policy wraps its payload.
    #[serde(borrow, rename = "ASEPayload")]
    wrapped: Option<Box<Object<Self>>>,
}

/// `POST /ase/response`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct RawResponse<'a> {
    #[serde(borrow)]
    response_code: Text<'a>,
    #[serde(borrow)]
    response_status: Text<'a>,
    #[serde(borrow)]
    http_version: Text<'a>,
    #[serde(borrow)]
    headers: Pairs<'a>,
    #[serde(borrow, rename = "ASEPayload")]
    wrapped: Option<Box<Object<Self>>>,
}

/// A `T` that was written as an object: serde would read an array as the fields in order, which no policy sends.
pub(crate) struct Object<T>(pub(crate) T);

#[derive(Deserialize)]
struct RawCredential<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, rename = "in", default)]
    place: Option<Text<'a>>,
    #[serde(borrow, default)]
    value: Option<Text<'a>>,
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    provenance: Option<Text<'a>>,
}

/// A credential as the gateway gave it.
enum Found<'a> {
    Raw(Credential<'a>),
    Hashed(HashedCredential<'a>),
}

/// A string, or a number or boolean where some policy writes one; `null`, nested values and what is missing are empty.
#[derive(Default)]
pub(crate) struct Text<'a>(Cow<'a, str>);

/// Name and value pairs: an array of objects with one or several keys each, or one object.
#[derive(Default)]
struct Pairs<'a>(Vec<(Text<'a>, Text<'a>)>);

/// Reads [`Pairs`] into one vector, whatever their nesting.
struct PairsInto<'v, 'a>(&'v mut Vec<(Text<'a>, Text<'a>)>);

/// Reads the value of a name, or an array of them where some policy writes a duplicated header so.
struct ValuesInto<'v, 'a> {
    name: Text<'a>,
    pairs: &'v mut Vec<(Text<'a>, Text<'a>)>,
}

impl<'a> RawRequest<'a> {
    pub(crate) fn into_metadata(self) -> RequestMetadata<'a> {
        if let Some(wrapped) = self.wrapped {
            return wrapped.0.into_metadata();
        }
        let mut metadata = RequestMetadata {
            source_ip: match self.source_ip.into_non_empty() {
                None => SourceIp::Absent,
                Some(text) => source_ip(&text),
            },
            // Policies send dummies and even host names here, so anything odd counts as unknown.
            source_port: self.source_port.0.parse().ok().filter(|&port| port != 0),
            method: self.method.into_non_empty(),
            url: self.url.into_non_empty(),
            http_version: self.http_version.into_non_empty(),
            headers: self.headers.into_headers(),
            tls: self.tls.into_tls(),
            ..RequestMetadata::default()
        };
        let user_info = self.user_info.0;
        for (key, value) in user_info.into_iter().take(MAX_NAMED_CLIENTS) {
            match (&*key.0, value.into_non_empty()) {
                ("username", Some(username)) => metadata.usernames.push(username),
                ("client_id", Some(client_id)) => metadata.client_ids.push(client_id),
                _ => {}
            }
        }
        let credentials = self.client_identifiers.unwrap_or_default();
        for credential in credentials.into_iter().take(MAX_NAMED_CLIENTS) {
            match credential.into_credential() {
                Some(Found::Raw(credential)) => metadata.credentials.push(credential),
                Some(Found::Hashed(credential)) => metadata.hashed.push(credential),
                None => {}
            }
        }
        metadata
    }
}

impl<'a> RawResponse<'a> {
    pub(crate) fn into_metadata(self) -> Option<ResponseMetadata<'a>> {
        if let Some(wrapped) = self.wrapped {
            return wrapped.0.into_metadata();
        }
        let code = self.response_code.0.trim().parse().ok()?;
        if !(100..=999).contains(&code) {
            return None;
        }
        Some(ResponseMetadata {
            code,
            status: self.response_status.into_non_empty(),
            http_version: self.http_version.into_non_empty(),
            headers: self.headers.into_headers(),
        })
    }
}

impl<'a> RawCredential<'a> {
    /// An identifier of a type or place that this version does not know is left out: it cannot be listed either.
    fn into_credential(self) -> Option<Found<'a>> {
        let provenance = match &self.provenance {
            None => Provenance::Claimed,
            Some(name) => Provenance::parse(&name.0)?,
        };
        let kind = CredentialKind::parse(&self.kind?.0).ok()?;
        let name = self.name.map(|name| name.0).unwrap_or_default();
        let place = match &self.place {
            None => Place::Header,
            Some(place) => Place::parse(&place.0)?,
        };
        let value = self.value.and_then(Text::into_non_empty);
        match (value, self.id) {
            (Some(value), _) => Some(Found::Raw(Credential {
                kind,
                name,
                place,
                value,
                provenance,
            })),
            (None, Some(id)) => Some(Found::Hashed(HashedCredential {
                kind,
                name,
                place,
                id: CredentialId::parse(&id.0).ok()?,
                provenance,
            })),
            (None, None) => None,
        }
    }
}

impl<'a> Text<'a> {
    fn into_bytes(self) -> Cow<'a, [u8]> {
        match self.0 {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        }
    }

    fn into_non_empty(self) -> Option<Cow<'a, str>> {
        (!self.0.is_empty()).then_some(self.0)
    }
}

impl<'a> Pairs<'a> {
    fn into_tls(self) -> TlsFacts<'a> {
        let mut tls = TlsFacts::default();
        for (name, value) in self.0 {
            let place = match &*name.0 {
                "version" => &mut tls.version,
                "sni" => &mut tls.server_name,
                "client_subject" => &mut tls.client_subject,
                "client_san" => &mut tls.client_san,
                "client_sha256" => &mut tls.client_sha256,
                _ => continue,
            };
            *place = value.into_non_empty();
        }
        tls
    }

    fn into_headers(self) -> Headers<'a> {
        let lines = self.0.into_iter();
        lines
            .map(|(name, value)| Header {
                name: name.into_bytes(),
                value: value.into_bytes(),
            })
            .collect()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a number")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(number.to_string())))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(number.to_string())))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(number.to_string())))
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(flag.to_string())))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed("")))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Text(Cow::Borrowed("")))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Text(Cow::Borrowed("")))
            }
        }
        deserializer.deserialize_any(TextVisitor)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut pairs = Vec::new();
        deserializer.deserialize_any(PairsInto(&mut pairs))?;
        Ok(Self(pairs))
    }
}

impl<'de> DeserializeSeed<'de> for PairsInto<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for PairsInto<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if self.0.capacity() == 0 {
            self.0.reserve(USUAL_HEADERS);
        }
        while seq.next_element_seed(PairsInto(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Text<'de>>()? {
            let pairs = &mut *self.0;
            map.next_value_seed(ValuesInto { name, pairs })?;
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for ValuesInto<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> ValuesInto<'_, 'de> {
    fn push(self, value: Cow<'de, str>) {
        self.pairs.push((self.name, Text(value)));
    }
}

impl<'de> Visitor<'de> for ValuesInto<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a number or an array of them")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<(), E> {
        self.push(Cow::Borrowed(text));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.push(Cow::Owned(text.to_owned()));
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.push(Cow::Owned(number.to_string()));
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.push(Cow::Owned(number.to_string()));
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.push(Cow::Owned(number.to_string()));
        Ok(())
    }

    fn visit_bool<E>(self, flag: bool) -> Result<(), E> {
        self.push(Cow::Owned(flag.to_string()));
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.push(Cow::Borrowed(""));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(value) = seq.next_element::<Text<'de>>()? {
            self.pairs.push((Text(self.name.0.clone()), value));
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.push(Cow::Borrowed(""));
        Ok(())
    }
}
