//! Programs that say in their user agent that they are attack tools. General clients (curl, Python, Go) are not: APIs live of them.

/// Parts of names, in lower case.
const TOOLS: [&[u8]; 37] = [
    b"sqlmap",
    b"nikto",
    b"wfuzz",
    b"ffuf",
    b"fuzz faster",
    b"gobuster",
    b"feroxbuster",
    b"dirbuster",
    b"dirb/",
    b"dirsearch",
    b"wapiti",
    b"hydra",
    b"patator",
    b"medusa",
    b"nuclei",
    b"wpscan",
    b"joomscan",
    b"acunetix",
    b"netsparker",
    b"invicti",
    b"nessus",
    b"openvas",
    b"burpcollaborator",
    b"owasp zap",
    b"zaproxy",
    b"arachni",
    b"w3af",
    b"skipfish",
    b"nmap scripting",
    b"masscan",
    b"zgrab",
    b"commix",
    b"havij",
    b"whatweb",
    b"jaeles",
    b"l9explore",
    b"l9tcpid",
];

/// What a user agent claims to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Agent {
    /// A browser, or what says so.
    Browser,
    /// A program, or nothing.
    #[default]
    Program,
    /// An attack tool.
    Tool,
}

impl Agent {
    pub(crate) fn of(agent: &str) -> Self {
        if names_attack_tool(agent) {
            Self::Tool
        } else if agent.starts_with("Mozilla/") {
            Self::Browser
        } else {
            Self::Program
        }
    }
}

fn names_attack_tool(agent: &str) -> bool {
    let agent = agent.as_bytes();
    TOOLS.iter().any(|tool| contains(agent, tool))
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len())
        .any(|window| window.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_that_name_themselves_are_known_and_general_clients_are_not() {
        for tool in [
            "sqlmap/1.7.2#stable (https://sqlmap.org)",
            "Fuzz Faster U Fool v1.5.0",
            "gobuster/3.5",
            "Mozilla/5.0 (Hydra)",
            "Wfuzz/3.1.0",
        ] {
            assert!(names_attack_tool(tool), "{tool}");
        }
        for other in [
            "",
            "curl/8.5.0",
            "python-requests/2.31",
            "Go-http-client/2.0",
            "Mozilla/5.0 (X11; Linux)",
        ] {
            assert!(!names_attack_tool(other), "{other}");
        }
    }
}
