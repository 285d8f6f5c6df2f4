//! The section `access_log_outputs`: where lines go beside the file.

use ase_core::fault::Fields;

use crate::access_log::outputs::{Outputs, Stdout};
use crate::access_log::syslog::{Address, Server};

const FACILITIES: [(&str, u8); 24] = [
    ("kern", 0),
    ("user", 1),
    ("mail", 2),
    ("daemon", 3),
    ("auth", 4),
    ("syslog", 5),
    ("lpr", 6),
    ("news", 7),
    ("uucp", 8),
    ("cron", 9),
    ("authpriv", 10),
    ("ftp", 11),
    ("ntp", 12),
    ("audit", 13),
    ("alert", 14),
    ("clock", 15),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

/// Reads the section; without it there is the file alone.
pub(super) fn read(fields: &mut Fields<'_, '_>) -> Outputs {
    let mut section = fields.object("access_log_outputs");
    let stdout = match section.flag("stdout", false) {
        true => Stdout::On,
        false => Stdout::Off,
    };
    let address = section.custom("syslog", Address::parse);
    let facility = section.choice("syslog_facility", &FACILITIES, 16);
    let app_name = section.custom("syslog_app_name", app_name);
    let queue = section.integer("queue", 1..=1_000_000_u64, 8192);
    section.finish();
    Outputs {
        stdout,
        syslog: address.map(|address| Server {
            address,
            facility,
            app_name: app_name.unwrap_or_else(|| "ase".to_owned()),
        }),
        queue: usize::try_from(queue).unwrap_or(1),
    }
}

fn app_name(text: &str) -> Result<String, String> {
    if (1..=48).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} is not a syslog app name: use 1 to 48 visible ASCII characters"
        ))
    }
}
