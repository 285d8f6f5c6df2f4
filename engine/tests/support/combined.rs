//! Reads the combined log format of Apache and nginx.

use ase_core::address::ClientAddress;
use ase_core::path::NormalPath;

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    pub client: ClientAddress,
    pub at_ms: u64,
    pub method: String,
    pub target: String,
    pub path: NormalPath,
    pub status: u16,
    pub bytes: u64,
    pub agent: String,
}

/// Every line that is one, in the order of the log.
pub fn read(text: &str) -> Vec<Line> {
    text.lines().filter_map(line).collect()
}

fn line(text: &str) -> Option<Line> {
    let (client, rest) = text.split_once(' ')?;
    let (_, rest) = rest.split_once('[')?;
    let (time, rest) = rest.split_once("] \"")?;
    let (request, rest) = quoted(rest)?;
    let mut numbers = rest.trim_start().splitn(3, ' ');
    let status = numbers.next()?.parse().ok()?;
    let bytes = numbers.next()?.parse().unwrap_or(0);
    let texts = numbers.next().unwrap_or_default();
    let agent = texts
        .trim_end()
        .strip_suffix('"')
        .and_then(|texts| texts.rsplit_once(" \""));
    let mut words = request.split(' ');
    let (method, target) = (words.next()?, words.next().unwrap_or("/"));
    Some(Line {
        client: ClientAddress::parse(client).ok()?,
        at_ms: time_ms(time)?,
        method: method.to_owned(),
        path: NormalPath::from_url(target),
        target: target.to_owned(),
        status,
        bytes,
        agent: agent.map_or_else(String::new, |(_, agent)| agent.to_owned()),
    })
}

/// A text up to its closing quote, and what follows.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (place, letter) in text.char_indices() {
        match letter {
            '\\' => escaped = !escaped,
            '"' if !escaped => return Some((&text[..place], &text[place + 1..])),
            _ => escaped = false,
        }
    }
    None
}

/// `10/Dec/2024:00:00:02 +0700`.
fn time_ms(text: &str) -> Option<u64> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let mut parts = text.split(['/', ':', ' ']);
    let mut number = || parts.next()?.parse::<i64>().ok();
    let day = number()?;
    let month = MONTHS.find(parts.next()?)? as i64 / 3 + 1;
    let mut number = || parts.next()?.parse::<i64>().ok();
    let (year, hour, minute, second, zone) =
        (number()?, number()?, number()?, number()?, number()?);
    // Days since 1970 by the civil calendar, years counted from March.
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    let zone_minutes = zone / 100 * 60 + zone % 100;
    let seconds = ((days * 24 + hour) * 60 + minute - zone_minutes) * 60 + second;
    u64::try_from(seconds * 1000).ok()
}

#[test]
fn a_line_is_read_with_its_time_zone() {
    let line = line(r#"192.0.2.7 - - [10/Dec/2024:00:00:02 +0700] "GET /a?b=1 HTTP/1.1" 404 187 "-" "Mozilla/5.0 (x)""#).unwrap();
    assert_eq!(line.at_ms, 1_733_763_602_000);
    assert_eq!(
        (line.method.as_str(), line.target.as_str()),
        ("GET", "/a?b=1")
    );
    assert_eq!(
        (line.status, line.bytes, line.agent.as_str()),
        (404, 187, "Mozilla/5.0 (x)")
    );
}
