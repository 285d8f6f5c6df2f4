//! Whether the folders and ports that the settings name can be used by whoever asks. Makes nothing and changes nothing.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::Report;
use crate::config::Settings;

/// Looks at all of them.
pub(super) fn look(settings: &Settings, report: &mut Report) {
    let state = &settings.state_dir;
    report.faults.extend(made(state).err().map(of("state_dir")));
    let log = &settings.access_log;
    report
        .faults
        .extend(log_file(log, state).err().map(of("access_log")));
    if let Some(unix) = &settings.transport.unix {
        let there = existing(&folder_of(&unix.path)).err();
        report.faults.extend(there.map(of("data_unix")));
    }
    ports(settings, report);
}

fn of(key: &'static str) -> impl Fn(String) -> String {
    move |rule| format!("{key}: {rule}")
}

/// A folder that a start makes if it is not there.
fn made(folder: &Path) -> Result<(), String> {
    let mut nearest = folder;
    while !nearest.exists() {
        match nearest.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => nearest = parent,
            Some(_) | None => return existing(Path::new(".")),
        }
    }
    existing(nearest)
}

/// A log that can be appended to, renamed and followed by a new one. Its folder is there before the start, or is the state's.
fn log_file(path: &Path, state: &Path) -> Result<(), String> {
    let folder = folder_of(path);
    if folder.exists() || folder != state {
        existing(&folder)?;
    }
    if path.is_dir() {
        return Err(format!("{}: is a folder", path.display()));
    }
    if path.exists() {
        may(path, Access::WRITE_OK)?;
    }
    Ok(())
}

fn existing(folder: &Path) -> Result<(), String> {
    if folder.exists() && !folder.is_dir() {
        return Err(format!("{}: is no folder", folder.display()));
    }
    may(folder, Access::WRITE_OK | Access::EXEC_OK)
}

fn may(path: &Path, access: Access) -> Result<(), String> {
    rustix::fs::access(path, access).map_err(|error| {
        let error = io::Error::from(error);
        format!("{}: cannot be written: {error}", path.display())
    })
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        Some(_) | None => PathBuf::from("."),
    }
}

/// One that somebody uses is no fault: a check of a daemon that serves is the usual one.
fn ports(settings: &Settings, report: &mut Report) {
    let tls = settings.transport.tls.as_ref().map(|tls| tls.listen);
    let wanted = [
        ("data_listen", Some(settings.data_listen)),
        ("data_tls.listen", tls),
        ("admin_listen", Some(settings.admin_listen)),
    ];
    let mut held: Vec<(&str, SocketAddr, TcpListener)> = Vec::new();
    for (key, address) in wanted {
        let Some(address) = address else { continue };
        match TcpListener::bind(address) {
            Ok(listener) => held.push((key, address, listener)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                let own = held.iter().find(|(_, own, _)| own.port() == address.port());
                match own {
                    Some((own, ..)) => report
                        .faults
                        .push(format!("{key}: {address} is that of {own}")),
                    None => report
                        .warnings
                        .push(format!("{key}: {address} is in use; a start needs it free")),
                }
            }
            Err(error) => report.faults.push(format!("{key}: {address}: {error}")),
        }
    }
}
