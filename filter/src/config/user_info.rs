//! Where the names of the user and of the client application are found.

use ase_core::fault::Fields;
use ase_core::identity::Provenance;
use ase_core::registry::JwtLocation;

use super::read::text_or;
use super::text::{self, TextFault};

/// The namespace in which Envoy's `jwt_authn` leaves the claims of a token that it has verified.
const JWT_AUTHN: &str = "envoy.filters.http.jwt_authn";

/// Where the names are found, by what is more certain: a verified token, a token, a header.
#[derive(Clone, Debug)]
pub struct UserInfo {
    /// In the claims of a token that the host has verified.
    pub verified: VerifiedClaims,
    /// In the claims of a token as the client sent it.
    pub claimed: Option<ClaimedJwt>,
    /// The header with the user name, in lower case.
    pub username_header: Option<String>,
    /// The header with the client id, in lower case.
    pub client_id_header: Option<String>,
    /// Whose word the user name in that header is: the client's, or the gateway's.
    pub header_provenance: Provenance,
    /// How many bytes of a form-urlencoded body are looked at; 0 for none.
    pub token_request_bytes: usize,
}

/// The host's properties that hold verified claims; their parts are separated by zero bytes.
#[derive(Clone, Debug, Default)]
pub struct VerifiedClaims {
    /// Holds the user name.
    pub username: Option<Vec<u8>>,
    /// Holds the client id.
    pub client_id: Option<Vec<u8>>,
}

/// A token that nobody has verified.
#[derive(Clone, Debug)]
pub struct ClaimedJwt {
    /// Where it is.
    pub location: JwtLocation,
    /// The claim with the user name.
    pub username: Option<String>,
    /// The claim with the client id.
    pub client_id: Option<String>,
}

impl UserInfo {
    pub(super) fn read(mut fields: Fields<'_, '_>) -> Self {
        let user_info = Self {
            verified: VerifiedClaims::read(&mut fields).unwrap_or_default(),
            claimed: ClaimedJwt::read(&mut fields),
            username_header: fields.custom("username_header", text::header_name),
            client_id_header: fields.custom("client_id_header", text::header_name),
            header_provenance: fields.choice(
                "header_provenance",
                &[
                    ("claimed", Provenance::Claimed),
                    ("verified", Provenance::Verified),
                ],
                Provenance::Claimed,
            ),
            token_request_bytes: usize::from(fields.integer(
                "token_request_bytes",
                0..=u16::MAX,
                0,
            )),
        };
        if user_info.username_header.is_none() && fields.item("username_header").is_none() {
            fields.refuse(
                "header_provenance",
                "means something only beside \"username_header\"",
            );
        }
        fields.finish();
        user_info
    }
}

impl VerifiedClaims {
    fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let mut item = fields.item("verified_jwt")?;
        let mut fields = item.fields();
        let namespace = text_or(&mut fields, "namespace", text::visible_ascii, JWT_AUTHN);
        let metadata = fields.required_custom("metadata", text::visible_ascii);
        let [username, client_id] = claims(&mut fields);
        fields.finish();
        let metadata = metadata?;
        let property = |claim: String| {
            let parts = ["metadata", "filter_metadata", &namespace, &metadata, &claim];
            parts.join("\0").into_bytes()
        };
        Some(Self {
            username: username.map(property),
            client_id: client_id.map(property),
        })
    }
}

impl ClaimedJwt {
    fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let mut item = fields.item("claimed_jwt")?;
        let mut fields = item.fields();
        let location = fields.required_custom("location", |text| {
            JwtLocation::parse(text)
                .ok_or("must be h:authorization:bearer, h:<header> or qs:<parameter>")
        });
        let [username, client_id] = claims(&mut fields);
        fields.finish();
        Some(Self {
            location: location?,
            username,
            client_id,
        })
    }
}

/// The claims with the user name and the client id.
fn claims(fields: &mut Fields<'_, '_>) -> [Option<String>; 2] {
    let mut claim = |key| fields.custom::<_, TextFault>(key, text::visible_ascii);
    let claims = [claim("username_claim"), claim("client_id_claim")];
    if claims.iter().all(Option::is_none)
        && fields.item("username_claim").is_none()
        && fields.item("client_id_claim").is_none()
    {
        fields.fault("username_claim", "is required, or \"client_id_claim\"");
    }
    claims
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn faults(document: &str) -> String {
        Config::parse(document.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_verified_claim_is_a_property_of_the_host() {
        let document = r#"{"user_info": {"verified_jwt": {"metadata": "payload", "username_claim": "https://x.example/user"}}}"#;
        let config = Config::parse(document.as_bytes()).unwrap();
        let verified = &config.user_info().verified;
        let property: &[u8] = b"metadata\0filter_metadata\0envoy.filters.http.jwt_authn\0payload\0https://x.example/user";
        assert_eq!(verified.username.as_deref(), Some(property));
        assert_eq!(verified.client_id, None);
    }

    #[test]
    fn whose_word_a_header_is_means_nothing_without_one() {
        assert_eq!(
            faults(
                r#"{"user_info": {"client_id_header": "x-client", "header_provenance": "verified"}}"#
            ),
            "user_info.header_provenance: means something only beside \"username_header\""
        );
    }

    #[test]
    fn faults_of_tokens_name_what_is_missing() {
        assert_eq!(
            faults(
                r#"{"user_info": {"verified_jwt": {}, "claimed_jwt": {"location": "bearer", "username_claim": "a b"}}}"#
            ),
            "user_info.verified_jwt.metadata: is required\n\
             user_info.verified_jwt.username_claim: is required, or \"client_id_claim\"\n\
             user_info.claimed_jwt.location: must be h:authorization:bearer, h:<header> or qs:<parameter>\n\
             user_info.claimed_jwt.username_claim: must have no blanks, control characters or characters beyond ASCII"
        );
    }
}
