//! The host calls that a host may refuse while the filter runs, as an operator is told of them.
//!
//! What follows from each refusal is in the table of `host.rs`; here is the part that goes to the log. Calls without which nothing can be said are missing: `proxy_log`,
//! `proxy_get_log_level`.

/// A host call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// The clock.
    Time,
    /// The body of an answer.
    Buffer,
    /// All headers of a message.
    HeaderPairs,
    /// One header of a message.
    HeaderValue,
    /// Takes a header off.
    RemoveHeader,
    /// Sets a header.
    ReplaceHeader,
    /// Reads a property.
    Property,
    /// Sets a property.
    SetProperty,
    /// Answers a client.
    LocalResponse,
    /// Resets a stream.
    CloseStream,
    /// Lets a held request go on.
    ContinueStream,
    /// Calls ASE.
    HttpCall,
    /// Makes a metric known.
    DefineMetric,
    /// Counts.
    IncrementMetric,
    /// Adds to a histogram.
    RecordMetric,
    /// Reads what VMs share.
    GetSharedData,
    /// Writes what VMs share.
    SetSharedData,
    /// Ends a root context.
    Done,
    /// Random bytes.
    Random,
}

impl Capability {
    /// Every call.
    pub const ALL: [Self; 19] = [
        Self::Time,
        Self::Buffer,
        Self::HeaderPairs,
        Self::HeaderValue,
        Self::RemoveHeader,
        Self::ReplaceHeader,
        Self::Property,
        Self::SetProperty,
        Self::LocalResponse,
        Self::CloseStream,
        Self::ContinueStream,
        Self::HttpCall,
        Self::DefineMetric,
        Self::IncrementMetric,
        Self::RecordMetric,
        Self::GetSharedData,
        Self::SetSharedData,
        Self::Done,
        Self::Random,
    ];

    /// Its name in the host's list of capabilities.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Time => "proxy_get_current_time_nanoseconds",
            Self::Buffer => "proxy_get_buffer_bytes",
            Self::HeaderPairs => "proxy_get_header_map_pairs",
            Self::HeaderValue => "proxy_get_header_map_value",
            Self::RemoveHeader => "proxy_remove_header_map_value",
            Self::ReplaceHeader => "proxy_replace_header_map_value",
            Self::Property => "proxy_get_property",
            Self::SetProperty => "proxy_set_property",
            Self::LocalResponse => "proxy_send_local_response",
            Self::CloseStream => "proxy_close_stream",
            Self::ContinueStream => "proxy_continue_stream",
            Self::HttpCall => "proxy_http_call",
            Self::DefineMetric => "proxy_define_metric",
            Self::IncrementMetric => "proxy_increment_metric",
            Self::RecordMetric => "proxy_record_metric",
            Self::GetSharedData => "proxy_get_shared_data",
            Self::SetSharedData => "proxy_set_shared_data",
            Self::Done => "proxy_done",
            Self::Random => "random_get",
        }
    }

    /// What follows for the operator.
    #[must_use]
    pub fn consequence(self) -> &'static str {
        match self {
            Self::Time => "records have no time of their own and a failing ASE is not left alone",
            Self::Buffer => {
                "answers to batches cannot be read, so records are sent again and again"
            }
            Self::HeaderPairs => "requests cannot be read, so ASE cannot be asked",
            Self::HeaderValue => "the status of an answer, or why there is none, is not known",
            Self::RemoveHeader => "x-ase-* headers that clients send reach upstream",
            Self::ReplaceHeader => "requests that pass without a verdict are not marked",
            Self::Property => "client addresses are not known, so ASE cannot be asked",
            Self::SetProperty => "decisions are not in the access log",
            Self::LocalResponse => "denied requests are reset",
            Self::CloseStream => "denied requests stay held",
            Self::ContinueStream => "requests that may pass get the failure reply",
            Self::HttpCall => "ASE is neither asked nor told",
            Self::DefineMetric | Self::IncrementMetric | Self::RecordMetric => {
                "metrics stand still"
            }
            Self::GetSharedData | Self::SetSharedData => {
                "each worker fetches the policy image for itself"
            }
            Self::Done => "dismissed configurations stay in memory",
            Self::Random => "record ids are made of time and addresses",
        }
    }

    /// Whether requests are decided otherwise for want of it.
    #[must_use]
    pub fn is_vital(self) -> bool {
        match self {
            Self::HeaderPairs
            | Self::Property
            | Self::LocalResponse
            | Self::CloseStream
            | Self::ContinueStream
            | Self::HttpCall => true,
            Self::Time
            | Self::Buffer
            | Self::HeaderValue
            | Self::RemoveHeader
            | Self::ReplaceHeader
            | Self::SetProperty
            | Self::DefineMetric
            | Self::IncrementMetric
            | Self::RecordMetric
            | Self::GetSharedData
            | Self::SetSharedData
            | Self::Done
            | Self::Random => false,
        }
    }
}
