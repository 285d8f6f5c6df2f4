//! What the log says about each failure class. Never what a client sent, and no secret.

use ase_core::text::Quoted;
use ase_core::transaction::FailureClass;

use crate::capability::Capability;
use crate::config::Config;
use crate::host::Level;
use crate::local::ImageFailure;
use crate::site::Site;

/// How grave it is.
pub(super) fn level_of(class: FailureClass) -> Level {
    match class {
        FailureClass::Misconfigured => Level::Error,
        FailureClass::Timeout
        | FailureClass::Unreachable
        | FailureClass::BadReply
        | FailureClass::ResetAfterHeaders
        | FailureClass::Ase5xx
        | FailureClass::Undecidable
        | FailureClass::AseRejected
        | FailureClass::NotDispatched
        | FailureClass::CoolingDown => Level::Warn,
    }
}

/// What happened at this ASE, and what to do about it.
pub(super) fn cause(class: FailureClass, site: Site, config: &Config) -> String {
    let cluster = Quoted(&config.ase().peer(site).cluster);
    let key = match site {
        Site::Primary => "ase.cluster",
        Site::Secondary => "ase.secondary.cluster",
    };
    match class {
        FailureClass::Timeout => format!("ASE (cluster {cluster}) did not answer in time"),
        FailureClass::Unreachable => format!("no connection to ASE (cluster {cluster})"),
        FailureClass::BadReply => format!("the answer of cluster {cluster} is not one of ASE's"),
        FailureClass::ResetAfterHeaders => {
            format!("the answer of ASE (cluster {cluster}) broke off")
        }
        FailureClass::Ase5xx => "ASE answered with a server error or is overloaded".to_owned(),
        FailureClass::Undecidable => {
            "the request cannot be put as a question: it has no client address, method or URL, or ASE refused the call for its content (400 or 413)".to_owned()
        }
        FailureClass::AseRejected => {
            "ASE refused the call (401): look at ase.token".to_owned()
        }
        FailureClass::NotDispatched => {
            format!(
                "the host did not send the call to cluster {cluster}: no endpoint, a limit of the cluster, or a capability that is not allowed"
            )
        }
        FailureClass::Misconfigured => format!(
            "cluster {cluster} is not known to the host: define it under clusters or change {key}"
        ),
        FailureClass::CoolingDown => {
            "ASE failed several times in a row and is left alone for a while".to_owned()
        }
    }
}

/// Why there is no newer image, and what to do about it.
pub(super) fn image(failure: ImageFailure, site: Site, config: &Config) -> String {
    let told = match failure {
        ImageFailure::Call(class) => return cause(class, site, config),
        ImageFailure::Absent => {
            "ASE has none: it is making one (503), or it is of another make or of an older version (404)"
        }
        ImageFailure::Refused => "what ASE sent is none, or of another version",
        ImageFailure::TooLarge => "it is larger than local.max_image_bytes",
        ImageFailure::Torn => "a copy from another worker was not whole; it is shared again",
    };
    told.to_owned()
}

/// How grave the refusal of a host call is.
pub(super) fn refusal_level(call: Capability) -> Level {
    if call.is_vital() {
        Level::Error
    } else {
        Level::Warn
    }
}

/// What follows from the refusal of a host call, and what to do about it.
pub(super) fn refusal(call: Capability) -> String {
    let (name, consequence) = (call.name(), call.consequence());
    format!(
        "the host refuses {name}: {consequence}. Allow it (Envoy: capability_restriction_config.allowed_capabilities)"
    )
}
