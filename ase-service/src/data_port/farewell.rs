//! The last words on a connection that gets no further answer: whole HTTP/1.1 messages, ready to send.
//!
//! They are for what never becomes a call: too many connections, headers that are too slow, too long or no HTTP.

/// Why a connection is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Farewell {
    /// Too many connections are open.
    Overloaded,
    /// The rest of a header section did not come.
    TimedOut,
    /// The header section is over a limit.
    HeadersTooLarge,
    /// What came is not HTTP.
    NotHttp,
}

impl Farewell {
    pub(super) const fn bytes(self) -> &'static [u8] {
        match self {
            Self::Overloaded => {
                b"HTTP/1.1 503 Service Unavailable\r\nserver: ASE\r\nx-ase-verdict: overloaded\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 17\r\n\r\nError: Overloaded"
            }
            Self::TimedOut => {
                b"HTTP/1.1 408 Request Timeout\r\nserver: ASE\r\nx-ase-verdict: rejected\r\nconnection: close\r\ncontent-length: 22\r\n\r\nError: Request Timeout"
            }
            Self::HeadersTooLarge => {
                b"HTTP/1.1 431 Request Header Fields Too Large\r\nserver: ASE\r\nx-ase-verdict: rejected\r\nconnection: close\r\ncontent-length: 24\r\n\r\nError: Headers Too Large"
            }
            Self::NotHttp => {
                b"HTTP/1.1 400 Bad Request\r\nserver: ASE\r\nx-ase-verdict: rejected\r\nconnection: close\r\ncontent-length: 24\r\n\r\nError: Malformed Request"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::ase::answer::Answer;

    /// The last words say what the answer of the same name says, and where the connection ends.
    #[tokio::test]
    async fn last_words_are_answers_of_the_same_name() {
        for (farewell, answer) in [
            (Farewell::Overloaded, Answer::Overloaded),
            (Farewell::TimedOut, Answer::TimedOut),
            (Farewell::HeadersTooLarge, Answer::HeadersTooLarge),
            (Farewell::NotHttp, Answer::Malformed(String::new())),
        ] {
            let response = answer.into_response();
            let mut expected = format!("HTTP/1.1 {}\r\n", response.status());
            for (name, value) in response.headers() {
                expected.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
            }
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let body = String::from_utf8(body.to_vec()).unwrap();
            expected.push_str(&format!(
                "connection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            ));
            assert_eq!(String::from_utf8_lossy(farewell.bytes()), expected);
        }
    }
}
