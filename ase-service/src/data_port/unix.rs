//! The data port as a Unix socket.
//!
//! The name of a daemon that is gone is taken over; one that somebody listens on, or that is no socket, never is.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use crate::config::transport::UnixListen;

/// A name that is given back at the end.
#[derive(Debug)]
pub(super) struct Name {
    path: PathBuf,
    inode: (u64, u64),
}

/// Listens under the configured name. Nobody can connect before the mode is set.
pub(super) fn bind(listen: &UnixListen) -> io::Result<(UnixListener, Name)> {
    must_be_free(&listen.path)?;
    let mut new = listen.path.clone().into_os_string();
    new.push(format!(".{}", std::process::id()));
    let new = PathBuf::from(new);
    let bound = UnixListener::bind(&new).and_then(|listener| {
        std::fs::set_permissions(&new, Permissions::from_mode(listen.mode))?;
        std::fs::rename(&new, &listen.path)?;
        let file = std::fs::symlink_metadata(&listen.path)?;
        let name = Name {
            path: listen.path.clone(),
            inode: (file.dev(), file.ino()),
        };
        Ok((listener, name))
    });
    if bound.is_err() {
        // Not there when the bind itself failed.
        drop(std::fs::remove_file(&new));
    }
    bound
}

fn must_be_free(path: &Path) -> io::Result<()> {
    let file = match std::fs::symlink_metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !file.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "is there and is not a socket",
        ));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "somebody listens on it",
        )),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(error),
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let file = std::fs::symlink_metadata(&self.path);
        if file.is_ok_and(|file| (file.dev(), file.ino()) == self.inode)
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::debug!(%error, "the name of a Unix socket stays");
        }
    }
}
