//! The requests: what a browser's application sends to an API behind a gateway, 17 headers each, one in ten with a body.
//!
//! Clients, paths, tokens and cookies differ from request to request. The address of the client is in `x-forwarded-for`, which the gateway trusts here.

use ase_bench::load::Calls;

/// Different requests; enough that a look-up is not always of what the cache holds.
const DIFFERENT: u32 = 4096;

/// A listed client's address begins with this; no other one does.
pub(crate) const LISTED_PREFIX: &str = "203.0.113.";

/// How many addresses of listed clients there are.
pub(crate) const LISTED_CLIENTS: u32 = 200;

/// Names of the headers that clients send, as those variants need them that are told what to pass on.
pub(crate) const HEADER_NAMES: [&str; 16] = [
    "user-agent",
    "accept",
    "accept-language",
    "accept-encoding",
    "authorization",
    "cookie",
    "referer",
    "origin",
    "x-forwarded-for",
    "x-api-key",
    "sec-ch-ua",
    "sec-ch-ua-mobile",
    "sec-ch-ua-platform",
    "sec-fetch-site",
    "sec-fetch-mode",
    "sec-fetch-dest",
];

const USER_AGENTS: [&str; 3] = [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
];

/// Requests in the order in which each connection makes them.
#[derive(Debug)]
pub(crate) struct Requests {
    requests: Vec<Vec<u8>>,
    listed_percent: u32,
    listed: Listed,
}

/// What must become of requests of listed clients: a wrong answer may be a fast one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    Pass,
    AreRefused,
}

impl Requests {
    /// Requests of which so many in a hundred are of listed clients.
    pub(crate) fn new(listed_percent: u32, listed: Listed) -> Self {
        Self {
            requests: (0..DIFFERENT).map(|n| request(n, listed_percent)).collect(),
            listed_percent,
            listed,
        }
    }
}

/// Which request a connection makes; they start at different places.
fn place(connection: usize, turn: usize) -> u32 {
    let at = connection.wrapping_mul(61).wrapping_add(turn) % DIFFERENT as usize;
    u32::try_from(at).unwrap_or(0)
}

impl Calls for Requests {
    fn write(&self, connection: usize, turn: usize, out: &mut Vec<u8>) {
        out.clear();
        let request = self.requests.get(place(connection, turn) as usize);
        out.extend_from_slice(request.map_or(&[], Vec::as_slice));
    }

    fn status(&self, connection: usize, turn: usize) -> u16 {
        match self.listed {
            Listed::AreRefused if is_listed(place(connection, turn), self.listed_percent) => 403,
            Listed::AreRefused | Listed::Pass => 200,
        }
    }
}

fn request(n: u32, listed_percent: u32) -> Vec<u8> {
    let (line, body) = line_and_body(n);
    let agent = USER_AGENTS
        .get(n as usize % USER_AGENTS.len())
        .unwrap_or(&"");
    let mut text = format!(
        "{line} HTTP/1.1\r\nhost: api.example.com\r\nuser-agent: {agent}\r\naccept: application/json, text/plain, */*\r\n\
         accept-language: en-GB,en;q=0.9,de;q=0.7\r\naccept-encoding: gzip, deflate, br, zstd\r\nauthorization: Bearer {}\r\n\
         cookie: SID=s-{:032x}; theme=dark; _ga=GA1.1.{}.17637{:05}; consent=functional%2Canalytics\r\n\
         referer: https://shop.example.com/catalog/fiction?page={}\r\norigin: https://shop.example.com\r\nx-forwarded-for: {}\r\nx-api-key: {:032x}\r\n\
         sec-ch-ua: \"Chromium\";v=\"142\", \"Not=A?Brand\";v=\"24\"\r\nsec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: \"Linux\"\r\n\
         sec-fetch-site: same-site\r\nsec-fetch-mode: cors\r\nsec-fetch-dest: empty\r\n",
        token(n),
        mixed(n, 1),
        mixed(n, 2) % 1_000_000_000,
        n,
        n % 40,
        client(n, listed_percent),
        mixed(n % 64, 3),
    );
    if let Some(body) = body {
        text.push_str("content-type: application/json\r\n");
        text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    } else {
        text.push_str("\r\n");
    }
    text.into_bytes()
}

fn client(n: u32, listed_percent: u32) -> String {
    if is_listed(n, listed_percent) {
        format!("{LISTED_PREFIX}{}", n % LISTED_CLIENTS + 1)
    } else {
        format!("10.{}.{}.{}", n >> 8 & 255, n & 255, n % 250 + 1)
    }
}

/// One in a hundred clients of each hundred requests, and so on: a share of the requests, spread evenly.
fn is_listed(n: u32, percent: u32) -> bool {
    n.wrapping_mul(37) % 100 < percent
}

fn line_and_body(n: u32) -> (String, Option<String>) {
    let id = mixed(n, 4) % 100_000;
    match n % 10 {
        0..=3 => (format!("GET /shop/books/{id}"), None),
        4..=6 => (
            format!("GET /shop/books?genre=fiction&page={}&sort=price", n % 30),
            None,
        ),
        7 => (
            format!("GET /shop/search?q=history+of+{}&limit=20", n % 97),
            None,
        ),
        8 => (format!("GET /shop/orders/{id}/items"), None),
        _ => (
            "POST /shop/cart/items".to_owned(),
            Some(format!(
                "{{\"book\":{id},\"count\":1,\"gift\":false,\"note\":\"please wrap it\"}}"
            )),
        ),
    }
}

/// As long as an access token usually is: three parts, five hundred characters.
fn token(n: u32) -> String {
    let mut token = String::from("eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6IjIwMjYtMTEifQ.");
    for part in 0..26 {
        token.push_str(&format!("{:016x}", mixed(n, 16 + part) as u64));
        if part == 9 {
            token.push('.');
        }
    }
    token
}

/// A number that looks like none of its neighbours.
fn mixed(n: u32, part: u32) -> u128 {
    let mut state = u64::from(n) << 32 | u64::from(part);
    let mut step = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let once = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let twice = (once ^ once >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        twice ^ twice >> 31
    };
    u128::from(step()) << 64 | u128::from(step())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_has_the_headers_that_other_variants_are_told_to_pass_on() {
        for n in 0..DIFFERENT {
            let text = String::from_utf8(request(n, 20)).unwrap();
            let names: Vec<&str> = text
                .split("\r\n")
                .skip(2)
                .filter_map(|line| Some(line.split_once(": ")?.0))
                .take(HEADER_NAMES.len())
                .collect();
            assert_eq!(names, HEADER_NAMES, "{text}");
        }
    }

    #[test]
    fn so_many_in_a_hundred_are_of_listed_clients() {
        for percent in [0, 1, 20] {
            let requests = Requests::new(percent, Listed::Pass);
            let listed = requests.requests.iter().filter(|bytes| {
                let text = String::from_utf8_lossy(bytes);
                text.contains(&format!("x-forwarded-for: {LISTED_PREFIX}"))
            });
            let listed = listed.count() as f64 / f64::from(DIFFERENT);
            assert!(
                (listed - f64::from(percent) / 100.0).abs() < 0.002,
                "{listed}"
            );
        }
    }

    #[test]
    fn just_the_requests_of_listed_clients_are_to_be_refused_and_only_where_that_is_asked_for() {
        let (strict, lenient) = (
            Requests::new(20, Listed::AreRefused),
            Requests::new(20, Listed::Pass),
        );
        let mut request = Vec::new();
        for turn in 0..DIFFERENT as usize {
            strict.write(3, turn, &mut request);
            let text = String::from_utf8_lossy(&request);
            let listed = text.contains(&format!("x-forwarded-for: {LISTED_PREFIX}"));
            assert_eq!(strict.status(3, turn) == 403, listed, "{text}");
            assert_eq!(lenient.status(3, turn), 200);
        }
    }
}
