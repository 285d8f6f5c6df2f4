//! Who makes a token request, as its body and its Basic credentials say: for the record alone, since the question went out with the headers.
//!
//! The body is looked at as it streams past and never held; of what is in it only the two names are kept. Whether the host shows pieces one by one or a buffer that
//! grows is told by [`Body`].

use ase_core::headers::Headers;
use ase_core::identity::basic_client_id;

use crate::config::Config;
use crate::form::FormNames;

/// Most bytes that are taken from the host at once.
const PIECE_BYTES: usize = 4096;

/// A request that may name who makes it.
#[derive(Debug)]
pub struct TokenRequest {
    form: FormNames,
    /// The client of the Basic credentials.
    basic: Option<String>,
    /// How many bytes of the body are still looked at.
    left: usize,
    /// How many of those that the host shows have been.
    seen: usize,
    /// Not all of the body was looked at.
    is_cut: bool,
}

/// What becomes of the bytes that the host shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// They go on; the next ones are others.
    Passes,
    /// They stay, and the next ones come behind them.
    Gathers,
}

impl TokenRequest {
    /// A request with these headers; `None` when nothing of it is to be looked at.
    #[must_use]
    pub fn of(headers: &Headers<'_>, config: &Config) -> Option<Self> {
        let most = config.user_info().token_request_bytes;
        if most == 0 {
            return None;
        }
        let is_form = is_form(headers);
        let basic = basic_client_id(headers);
        (is_form || basic.is_some()).then(|| Self {
            form: FormNames::default(),
            basic,
            left: if is_form { most } else { 0 },
            seen: 0,
            is_cut: !is_form,
        })
    }

    /// Start and length of what is to be read next of the `size` bytes that the host shows.
    #[must_use]
    pub fn wanted(&self, size: usize) -> Option<(usize, usize)> {
        let length = size
            .saturating_sub(self.seen)
            .min(self.left)
            .min(PIECE_BYTES);
        (length > 0).then_some((self.seen, length))
    }

    /// Takes what was wanted.
    pub fn read(&mut self, piece: &[u8]) {
        self.form.read(piece);
        self.seen = self.seen.saturating_add(piece.len());
        self.left = self.left.saturating_sub(piece.len());
    }

    /// The host does not show the body.
    pub fn give_up(&mut self) {
        self.left = 0;
        self.is_cut = true;
    }

    /// All that was wanted of the `size` bytes has been read.
    pub fn shown(&mut self, size: usize, body: Body) {
        self.is_cut |= self.seen < size;
        if body == Body::Passes {
            self.seen = 0;
        }
    }

    /// The body is complete. Where not all of it was looked at its last field may be cut short, and names nobody.
    pub fn end(&mut self) {
        if !std::mem::replace(&mut self.is_cut, true) {
            self.form.end();
        }
    }

    /// The user name in the body.
    #[must_use]
    pub fn username(&self) -> Option<&[u8]> {
        self.form.username()
    }

    /// The client id in the body or, without one there, in the Basic credentials.
    #[must_use]
    pub fn client_id(&self) -> Option<&[u8]> {
        self.form
            .client_id()
            .or_else(|| Some(self.basic.as_ref()?.as_bytes()))
    }
}

/// A body in another coding is not decoded.
fn is_form(headers: &Headers<'_>) -> bool {
    let is_type = |value: &[u8]| {
        let kind = value.split(|byte| *byte == b';').next().unwrap_or_default();
        kind.trim_ascii()
            .eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
    };
    headers
        .first(b"content-type")
        .is_some_and(|value| is_type(value))
        && headers.first(b"content-encoding").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: (&[u8], &[u8]) = (
        b"content-type",
        b"Application/X-WWW-Form-URLEncoded; charset=UTF-8",
    );
    const BASIC: (&[u8], &[u8]) = (b"authorization", b"Basic d2ViOnNlY3JldA==");

    fn request(most: usize, lines: &[(&[u8], &[u8])]) -> Option<TokenRequest> {
        let document = format!(r#"{{"user_info": {{"token_request_bytes": {most}}}}}"#);
        let config = Config::parse(document.as_bytes()).unwrap();
        let mut headers = Headers::default();
        for (name, value) in lines {
            headers.push(*name, *value);
        }
        TokenRequest::of(&headers, &config)
    }

    /// What the host does with a body that comes in these pieces.
    fn play(request: &mut TokenRequest, pieces: &[&str], body: Body) {
        let mut buffer = String::new();
        for piece in pieces {
            if body == Body::Passes {
                buffer.clear();
            }
            buffer.push_str(piece);
            while let Some((start, length)) = request.wanted(buffer.len()) {
                request.read(&buffer.as_bytes()[start..start + length]);
            }
            request.shown(buffer.len(), body);
        }
        request.end();
    }

    fn names(request: &TokenRequest) -> (Option<&str>, Option<&str>) {
        let text = |name| std::str::from_utf8(name).unwrap();
        (request.username().map(text), request.client_id().map(text))
    }

    #[test]
    fn nothing_is_looked_at_unless_asked_for_and_only_forms_and_basic_credentials() {
        assert!(request(0, &[FORM, BASIC]).is_none());
        let json: (&[u8], &[u8]) = (b"content-type", b"application/json");
        assert!(request(100, &[json]).is_none());
        assert!(request(100, &[FORM, (b"content-encoding", b"gzip")]).is_none());
        let basic = request(100, &[json, BASIC]).unwrap();
        assert_eq!(
            (basic.wanted(50), names(&basic)),
            (None, (None, Some("web")))
        );
    }

    #[test]
    fn a_body_is_read_alike_whether_it_passes_or_gathers() {
        for body in [Body::Passes, Body::Gathers] {
            let mut request = request(100, &[FORM]).unwrap();
            play(
                &mut request,
                &[
                    "grant_type=pass",
                    "",
                    "word&userna",
                    "me=anna&client_id=app",
                ],
                body,
            );
            assert_eq!(names(&request), (Some("anna"), Some("app")), "{body:?}");
        }
    }

    #[test]
    fn a_field_that_the_limit_cuts_names_nobody() {
        let body = "client_id=app&username=anna";
        for (most, expected) in [(27, Some("anna")), (26, None), (24, None), (1, None)] {
            for pieces in [vec![body], body.split_inclusive('n').collect()] {
                let mut request = request(most, &[FORM]).unwrap();
                play(&mut request, &pieces, Body::Passes);
                assert_eq!(names(&request).0, expected, "{most}");
            }
        }
    }

    #[test]
    fn the_body_goes_before_basic_credentials() {
        let mut request = request(100, &[FORM, BASIC]).unwrap();
        assert_eq!(names(&request).1, Some("web"));
        play(&mut request, &["client_id=app"], Body::Passes);
        assert_eq!(names(&request).1, Some("app"));
    }

    #[test]
    fn a_body_that_the_host_does_not_show_leaves_what_was_read_before() {
        let mut request = request(100, &[FORM]).unwrap();
        request.read(b"client_id=app&username=an");
        request.give_up();
        request.end();
        assert_eq!(
            (request.wanted(100), names(&request)),
            (None, (None, Some("app")))
        );
    }
}
