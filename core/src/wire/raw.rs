//! JSON as gateway policies really write it. Every oddity that is tolerated is named at the place that tolerates it.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::source_ip;
use crate::credential::{CredentialId, CredentialKind};
use crate::headers::Headers;
use crate::identity::{Credential, HashedCredential, Place, Provenance};
use crate::metadata::{RequestMetadata, ResponseMetadata, SourceIp};

/// Most `user_info` pairs and most `client_identifiers` that are read of one request; no gateway sends more than a few.
const MAX_NAMED_CLIENTS: usize = 128;

/// `POST /ase/request`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct RawRequest<'a> {
    #[serde(borrow)]
    source_ip: Option<Text<'a>>,
    #[serde(borrow)]
    source_port: Option<Text<'a>>,
    #[serde(borrow)]
    method: Option<Text<'a>>,
    #[serde(borrow)]
    url: Option<Text<'a>>,
    #[serde(borrow)]
    http_version: Option<Text<'a>>,
    #[serde(borrow)]
    headers: Option<Pairs<'a>>,
    #[serde(borrow)]
    user_info: Option<Pairs<'a>>,
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
    response_code: Option<Text<'a>>,
    #[serde(borrow)]
    response_status: Option<Text<'a>>,
    #[serde(borrow)]
    http_version: Option<Text<'a>>,
    #[serde(borrow)]
    headers: Option<Pairs<'a>>,
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

/// A string, or a number or boolean where some policy writes one; `null` and nested values are empty.
pub(crate) struct Text<'a>(Cow<'a, str>);

/// One value, or an array of them where some policy writes a duplicated header so.
struct Texts<'a>(Vec<Text<'a>>);

/// Name and value pairs: an array of objects with one or several keys each, or one object.
#[derive(Default)]
struct Pairs<'a>(Vec<(Text<'a>, Text<'a>)>);

impl<'a> RawRequest<'a> {
    pub(crate) fn into_metadata(self) -> RequestMetadata<'a> {
        if let Some(wrapped) = self.wrapped {
            return wrapped.0.into_metadata();
        }
        let mut metadata = RequestMetadata {
            source_ip: match self.source_ip.and_then(Text::into_non_empty) {
                None => SourceIp::Absent,
                Some(text) => source_ip(&text),
            },
            // Policies send dummies and even host names here, so anything odd counts as unknown.
            source_port: self
                .source_port
                .and_then(|port| port.0.parse().ok())
                .filter(|&port| port != 0),
            method: self.method.and_then(Text::into_non_empty),
            url: self.url.and_then(Text::into_non_empty),
            http_version: self.http_version.and_then(Text::into_non_empty),
            headers: self.headers.unwrap_or_default().into_headers(),
            ..RequestMetadata::default()
        };
        let user_info = self.user_info.unwrap_or_default().0;
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
        let code = self.response_code?.0.trim().parse().ok()?;
        if !(100..=999).contains(&code) {
            return None;
        }
        Some(ResponseMetadata {
            code,
            status: self.response_status.and_then(Text::into_non_empty),
            http_version: self.http_version.and_then(Text::into_non_empty),
            headers: self.headers.unwrap_or_default().into_headers(),
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
    fn into_headers(self) -> Headers<'a> {
        let mut headers = Headers::default();
        for (name, value) in self.0 {
            headers.push(name.into_bytes(), value.into_bytes());
        }
        headers
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

impl<'de: 'a, 'a> Deserialize<'de> for Texts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextsVisitor;
        impl<'de> Visitor<'de> for TextsVisitor {
            type Value = Texts<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a number or an array of them")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Texts(vec![Text(Cow::Borrowed(text))]))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Texts(vec![Text(Cow::Owned(text.to_owned()))]))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Texts(vec![Text(Cow::Owned(number.to_string()))]))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Texts(vec![Text(Cow::Owned(number.to_string()))]))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
                Ok(Texts(vec![Text(Cow::Owned(number.to_string()))]))
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
                Ok(Texts(vec![Text(Cow::Owned(flag.to_string()))]))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Texts(vec![Text(Cow::Borrowed(""))]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = seq.next_element()? {
                    texts.push(text);
                }
                Ok(Texts(texts))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Texts(vec![Text(Cow::Borrowed(""))]))
            }
        }
        deserializer.deserialize_any(TextsVisitor)
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
        struct PairsVisitor;
        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of objects")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Pairs::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(Pairs(pairs)) = seq.next_element()? {
                    all.extend(pairs);
                }
                Ok(Pairs(all))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some((name, Texts(values))) = map.next_entry::<Text<'de>, _>()? {
                    pairs.extend(
                        values
                            .into_iter()
                            .map(|value| (Text(name.0.clone()), value)),
                    );
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_any(PairsVisitor)
    }
}
