//! What stands in Envoy's way of a request, and what answers it.

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Variant {
    /// Envoy without any filter.
    Bare,
    /// A wasm filter with the same exports as ours, whose every hook continues.
    DoNothing,
    /// The host calls of our filter in `async` and none of its work: the least that it can cost.
    CallsAsync,
    /// The same for `sync`.
    CallsSync,
    /// A Lua script with two callouts: the question, and the log of the response.
    Lua,
    /// Envoy's own `ext_authz` over HTTP.
    ExtAuthz,
    /// The same with Envoy's gRPC access log: what our filter does, by Envoy's own parts.
    ExtAuthzLog,
    /// Envoy's `ext_proc` with the headers of request and response.
    ExtProc,
    /// Our filter, mode `sync`.
    Sync,
    /// Our filter, mode `async`.
    Async,
    /// Our filter, mode `local`.
    Local,
}

/// What answers a variant's calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Backend {
    /// The stub.
    Stub,
    /// The stub, 20 ms late.
    SlowStub,
    /// A real ASE.
    Ase,
}

/// What a variant makes the stub do for each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    /// Nothing at all.
    Nothing,
    /// A question.
    Question,
    /// Records, many in a call.
    Records,
    /// Records, and a question now and then that its own knowledge does not answer.
    RecordsAndFewQuestions,
    /// A question, and records.
    Both,
}

impl Variant {
    /// All, in the order of the tables.
    pub(crate) const ALL: [Self; 11] = [
        Self::Bare,
        Self::DoNothing,
        Self::CallsAsync,
        Self::Async,
        Self::Local,
        Self::CallsSync,
        Self::Sync,
        Self::ExtAuthz,
        Self::ExtAuthzLog,
        Self::ExtProc,
        Self::Lua,
    ];

    /// The name in arguments and tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::DoNothing => "do-nothing",
            Self::CallsAsync => "calls-async",
            Self::CallsSync => "calls-sync",
            Self::Lua => "lua",
            Self::ExtAuthz => "ext_authz",
            Self::ExtAuthzLog => "ext_authz+log",
            Self::ExtProc => "ext_proc",
            Self::Sync => "sync",
            Self::Async => "async",
            Self::Local => "local",
        }
    }

    /// What a reader of the table is told.
    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::Bare => "Envoy alone",
            Self::DoNothing => "a wasm filter that does nothing",
            Self::CallsAsync => "the host calls of async alone",
            Self::CallsSync => "the host calls of sync alone",
            Self::Lua => "Lua, two callouts",
            Self::ExtAuthz => "ext_authz over HTTP, no log",
            Self::ExtAuthzLog => "ext_authz + gRPC access log",
            Self::ExtProc => "ext_proc, headers only",
            Self::Sync => "ASE's filter, sync",
            Self::Async => "ASE's filter, async",
            Self::Local => "ASE's filter, local",
        }
    }

    /// The mode of our filter.
    pub(crate) fn mode(self) -> Option<&'static str> {
        match self {
            Self::Sync => Some("sync"),
            Self::Async => Some("async"),
            Self::Local => Some("local"),
            Self::Bare
            | Self::DoNothing
            | Self::CallsAsync
            | Self::CallsSync
            | Self::Lua
            | Self::ExtAuthz
            | Self::ExtAuthzLog
            | Self::ExtProc => None,
        }
    }

    /// What the stub must have seen after a round; a variant that asks nobody would be fast for the wrong reason.
    pub(crate) fn asks(self) -> Asks {
        match self {
            Self::Bare | Self::DoNothing => Asks::Nothing,
            Self::ExtAuthz => Asks::Question,
            Self::Async | Self::CallsAsync => Asks::Records,
            Self::Local => Asks::RecordsAndFewQuestions,
            Self::Lua | Self::ExtAuthzLog | Self::ExtProc | Self::Sync | Self::CallsSync => {
                Asks::Both
            }
        }
    }
}

impl std::str::FromStr for Variant {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Self> {
        let found = Self::ALL.into_iter().find(|variant| variant.name() == name);
        found.ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.into_iter().map(Self::name).collect();
            anyhow::anyhow!("{name:?} is no variant; there are {}", known.join(", "))
        })
    }
}
