//! The APIs of an image: found as the registry finds them, by host and longest base path, in tables that are read in place.
//!
//! Hosts stand in order of their names, the APIs of every host first under an empty name. The APIs of one host stand in order of
//! their paths, segment by segment, and each knows the nearest one above it: the longest base path of a request's path is the last
//! one in front of it, or one above that.

use std::cmp::Ordering;
use std::ops::Range;

use crate::host::HostName;
use crate::identity::CredentialNames;
use crate::path::NormalPath;
use crate::registry::{JwtClaims, JwtLocation};

use super::read::{Cursor, first_not, u32_at};

/// Of a host: where its name is and how long, and its first API and the first one of the next host.
pub(super) const HOST_BYTES: usize = 16;
/// Of an API: where its path is and how long, the nearest API above it, and its [`Traits`].
pub(super) const API_BYTES: usize = 16;
/// Stands for no API above.
pub(super) const NO_PARENT: u32 = u32::MAX;

/// The APIs.
#[derive(Clone, Debug)]
pub(super) struct Apis {
    hosts: Range<usize>,
    apis: Range<usize>,
    texts: Range<usize>,
    names: Vec<ApiNames>,
}

/// Where requests to an API carry what identifies a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiNames {
    pub(super) credentials: CredentialNames,
    pub(super) jwt: Option<JwtClaims>,
}

/// What an image says of an API beside where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Traits {
    /// Which of the names of the image are its.
    pub(super) names: u32,
    pub(super) local: bool,
}

impl Traits {
    const ALWAYS_ASK: u32 = 1 << 31;

    pub(super) fn to_word(self) -> u32 {
        self.names | if self.local { 0 } else { Self::ALWAYS_ASK }
    }

    fn of_word(word: u32) -> Self {
        Self {
            names: word & !Self::ALWAYS_ASK,
            local: word & Self::ALWAYS_ASK == 0,
        }
    }
}

impl Apis {
    /// Reads the names and finds the tables.
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Self> {
        let mut names = Vec::new();
        for _ in 0..cursor.u32()? {
            names.push(ApiNames::read(cursor)?);
        }
        let (hosts, apis, texts) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
        Some(Self {
            hosts: cursor.records(hosts, HOST_BYTES)?,
            apis: cursor.records(apis, API_BYTES)?,
            texts: cursor.records(texts, 1)?,
            names,
        })
    }

    /// The API of a request; see [`crate::registry::Registry::find`].
    pub(super) fn find(
        &self,
        image: &[u8],
        host: Option<&HostName>,
        path: &NormalPath,
    ) -> Option<Traits> {
        let exact = host.and_then(|host| self.of_host(image, host.as_str().as_bytes()));
        exact
            .and_then(|apis| self.longest_prefix(image, apis, path))
            .or_else(|| self.longest_prefix(image, self.of_host(image, b"")?, path))
    }

    /// Where requests to an API carry what identifies a client.
    pub(super) fn names(&self, traits: Traits) -> Option<&ApiNames> {
        self.names.get(usize::try_from(traits.names).ok()?)
    }

    fn of_host(&self, image: &[u8], name: &[u8]) -> Option<Range<usize>> {
        let record = |number: usize| self.hosts.start + number * HOST_BYTES;
        let hosts = self.hosts.len() / HOST_BYTES;
        let name_of = |number| self.text(image, record(number)).unwrap_or_default();
        let at = first_not(0, hosts, |number| name_of(number) < name);
        if at >= hosts || name_of(at) != name {
            return None;
        }
        let first = usize::try_from(u32_at(image, record(at) + 8)?).ok()?;
        let end = usize::try_from(u32_at(image, record(at) + 12)?).ok()?;
        (end <= self.apis.len() / API_BYTES).then_some(first..end)
    }

    fn longest_prefix(
        &self,
        image: &[u8],
        apis: Range<usize>,
        path: &NormalPath,
    ) -> Option<Traits> {
        let record = |number: usize| self.apis.start + number * API_BYTES;
        let path_of = |number| self.text(image, record(number)).unwrap_or_default();
        let path = path.as_bytes();
        let above = first_not(apis.start, apis.end, |number| {
            by_segments(path_of(number), path) != Ordering::Greater
        });
        let mut number = above.checked_sub(1)?;
        while number >= apis.start {
            if is_prefix(path_of(number), path) {
                return u32_at(image, record(number) + 12).map(Traits::of_word);
            }
            let parent = usize::try_from(u32_at(image, record(number) + 8)?).ok()?;
            // Each step leads to the front, so there is an end.
            if parent >= number {
                return None;
            }
            number = parent;
        }
        None
    }

    /// The text that a record begins with a reference to.
    fn text<'b>(&self, image: &'b [u8], record: usize) -> Option<&'b [u8]> {
        let start = usize::try_from(u32_at(image, record)?).ok()?;
        let length = usize::try_from(u32_at(image, record + 4)?).ok()?;
        let texts = image.get(self.texts.clone())?;
        texts.get(start..)?.get(..length)
    }
}

impl ApiNames {
    fn read(cursor: &mut Cursor<'_>) -> Option<Self> {
        Some(Self {
            credentials: CredentialNames {
                token_headers: texts(cursor)?,
                token_query: texts(cursor)?,
                api_key_headers: texts(cursor)?,
                api_key_query: texts(cursor)?,
                cookies: texts(cursor)?,
                username_headers: texts(cursor)?,
            },
            jwt: match cursor.u8()? {
                0 => None,
                1 => Some(JwtLocation::Query(cursor.text()?)),
                2 => Some(JwtLocation::Header(cursor.text()?)),
                3 => Some(JwtLocation::AuthorizationBearer),
                _ => return None,
            }
            .map(|location| Some(JwtClaims::of_username(location, cursor.text()?)))
            .map_or(Some(None), |claims| claims.map(Some))?,
        })
    }
}

fn texts(cursor: &mut Cursor<'_>) -> Option<Vec<String>> {
    let count = cursor.u32()?;
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(cursor.text()?);
    }
    Some(all)
}

/// The order of two normal paths by their segments: what lies below a path follows it at once.
pub(super) fn by_segments(left: &[u8], right: &[u8]) -> Ordering {
    let rank = |byte: Option<&u8>| match byte {
        None => 0,
        Some(b'/') => 1,
        Some(other) => 2 + u16::from(*other),
    };
    let same = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    rank(left.get(same)).cmp(&rank(right.get(same)))
}

/// Whether a normal path is another one or lies above it.
pub(super) fn is_prefix(base: &[u8], path: &[u8]) -> bool {
    matches!(path.strip_prefix(base), Some([] | [b'/', ..]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use proptest::prelude::*;
    use proptest::sample::select;

    use super::super::{FingerprintBits, PolicyImage, RANGES_BYTES, Settings, build, reseal};
    use super::*;
    use crate::api_id::ApiId;
    use crate::credential::{CredentialKey, KeyId, KeyRing};
    use crate::decision::Snapshot;
    use crate::registry::{ApiDefinition, Found, Registry};

    fn bases() -> impl Strategy<Value = String> {
        let segment = select(vec!["a", "b", "a-", "a%00", "%ff", "A", "c"]);
        prop::collection::vec(segment, 0..4).prop_map(|segments| format!("/{}", segments.join("/")))
    }

    fn hosts() -> impl Strategy<Value = &'static str> {
        select(vec!["*", "a", "b.example", "a.b", "[::1]"])
    }

    /// APIs that a cookie of each tells apart.
    fn registry(places: &BTreeSet<(&str, String)>) -> Registry {
        let definitions = places.iter().enumerate().map(|(number, (host, base))| {
            let id = ApiId::parse(&format!("api{number}")).unwrap();
            let document = format!(
                r#"{{"api_metadata": {{"hostname": "{host}", "url": "{base}", "cookie": "c{number}"}}}}"#
            );
            ApiDefinition::from_json(id, document.as_bytes()).unwrap().0
        });
        Registry::compile(definitions).unwrap()
    }

    fn image(registry: Registry) -> PolicyImage {
        let snapshot = Snapshot {
            registry: Arc::new(registry),
            ..Snapshot::default()
        };
        let keys = KeyRing::new(CredentialKey::from_bytes(KeyId(1), [1; 32]), None);
        let settings = Settings {
            width: FingerprintBits::Eight,
            build: 1,
            seed: [1; 16],
            keys: &keys,
            ranges_bytes: RANGES_BYTES,
        };
        PolicyImage::parse(build(&snapshot, &settings).unwrap()).unwrap()
    }

    #[test]
    fn an_api_that_says_that_it_lies_above_itself_ends_the_search() {
        let places = ["/a", "/a/b"].map(|base| ("*", base.to_owned()));
        let image = image(registry(&BTreeSet::from(places)));
        let path = NormalPath::from_url("/a/c");
        let found = |image: &PolicyImage| image.parts.apis.find(&image.bytes, None, &path);
        assert!(found(&image).is_some());
        let parent_of_second = image.parts.apis.apis.start + API_BYTES + 8;
        let mut bytes = image.into_bytes();
        bytes[parent_of_second] = 1;
        reseal(&mut bytes);
        assert_eq!(found(&PolicyImage::parse(bytes).unwrap()), None);
    }

    proptest! {
        #[test]
        fn an_image_finds_the_api_that_the_registry_finds(
            places in prop::collection::btree_set((hosts(), bases()), 0..20),
            asked in prop::collection::vec((prop::option::of(hosts()), bases()), 1..30),
        ) {
            let (registry, image) = (registry(&places), image(registry(&places)));
            for (host, path) in asked {
                let host = host.and_then(|host| HostName::from_header(host.as_bytes()).ok());
                let path = NormalPath::from_url(&path);
                let expected = match registry.find(host.as_ref(), &path) {
                    Found::Api(api) => Some(api.credential_names().clone()),
                    Found::UnknownApi | Found::UnknownHostname => None,
                };
                let apis = &image.parts.apis;
                let found = apis.find(&image.bytes, host.as_ref(), &path).and_then(|found| apis.names(found));
                prop_assert_eq!(found.map(|names| names.credentials.clone()), expected);
            }
        }
    }
}
