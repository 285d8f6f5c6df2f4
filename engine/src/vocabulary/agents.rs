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

/// What the user agents seen lately claim to be: they are few, and to read one costs more than everything else about a request.
#[derive(Debug)]
pub(crate) struct KnownAgents(Vec<Option<(u64, Agent)>>);

/// A power of two.
const REMEMBERED: usize = 1024;

impl Default for KnownAgents {
    fn default() -> Self {
        Self(vec![None; REMEMBERED])
    }
}

impl KnownAgents {
    /// As [`Agent::of`]; `hash` is a keyed one of the whole text.
    pub(crate) fn of(&mut self, hash: u64, agent: &str) -> Agent {
        let Some(place) = self.0.get_mut((hash >> 32) as usize % REMEMBERED) else {
            return Agent::of(agent);
        };
        match place {
            Some((known, program)) if *known == hash => *program,
            Some(_) | None => {
                let program = Agent::of(agent);
                *place = Some((hash, program));
                program
            }
        }
    }
}

impl Agent {
    fn of(agent: &str) -> Self {
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
    fn a_known_agent_is_what_it_is_also_where_another_takes_its_place() {
        let mut known = KnownAgents::default();
        for _ in 0..3 {
            assert_eq!(known.of(1, "sqlmap/1.7"), Agent::Tool);
            assert_eq!(known.of(1, "sqlmap/1.7"), Agent::Tool);
            assert_eq!(known.of(2, "Mozilla/5.0"), Agent::Browser);
        }
    }

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
