//! Programs that say in their user agent that they are attack tools. General clients (curl, Python, Go) are not: APIs live of them.

use super::words::Words;

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Agent {
    /// A browser, or what says so.
    Browser,
    /// A program, or nothing.
    #[default]
    Program,
    /// An attack tool.
    Tool,
}

/// The tools' names, ready for look-up.
#[derive(Debug)]
pub(crate) struct AgentWords(Words<Agent>);

impl AgentWords {
    pub(crate) fn new() -> Self {
        Self(Words::new(TOOLS.map(|tool| (tool, Agent::Tool))))
    }

    /// What a user agent claims to be.
    pub(crate) fn look(&self, agent: &str) -> Agent {
        let unless_tool = if agent.starts_with("Mozilla/") {
            Agent::Browser
        } else {
            Agent::Program
        };
        self.0.greatest(agent.as_bytes()).unwrap_or(unless_tool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_that_name_themselves_are_known_and_general_clients_are_not() {
        let words = AgentWords::new();
        for tool in [
            "sqlmap/1.7.2#stable (https://sqlmap.org)",
            "Fuzz Faster U Fool v1.5.0",
            "gobuster/3.5",
            "Mozilla/5.0 (Hydra)",
            "Wfuzz/3.1.0",
        ] {
            assert_eq!(words.look(tool), Agent::Tool, "{tool}");
        }
        for (other, sort) in [
            ("", Agent::Program),
            ("curl/8.5.0", Agent::Program),
            ("python-requests/2.31", Agent::Program),
            ("Go-http-client/2.0", Agent::Program),
            ("Mozilla/5.0 (X11; Linux)", Agent::Browser),
        ] {
            assert_eq!(words.look(other), sort, "{other}");
        }
    }
}
