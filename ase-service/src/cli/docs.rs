//! `ase docs`: man pages and shell completions, written out of the command line's own definition, for packages.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, DONE, REFUSED, complain};

#[derive(Args)]
pub(super) struct Arguments {
    /// The folder to write into; made when it is not there
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(super) fn write(arguments: &Arguments) -> u8 {
    let folder = &arguments.folder;
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
        .and_then(|()| {
            [Shell::Bash, Shell::Zsh, Shell::Fish]
                .into_iter()
                .try_for_each(|shell| {
                    clap_complete::generate_to(shell, &mut Cli::command(), "ase", folder).map(drop)
                })
        });
    match written {
        Ok(()) => DONE,
        Err(error) => {
            complain(&format!("{}: {error}", folder.display()));
            REFUSED
        }
    }
}
