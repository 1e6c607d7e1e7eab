//! `epsiloscope completions` and `epsiloscope man`: what a shell and `man` know of the commands.

use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;

use super::Arguments;
use super::console::{answer, require_new, say};
use crate::error::{Error, Result};
use crate::files::write_atomically;

/// Print the completions of a shell, to be saved where it looks for them.
#[derive(Debug, Args)]
pub struct CompletionsArguments {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

impl CompletionsArguments {
    /// Prints the script.
    pub fn run(&self) -> Result<()> {
        let mut script = Vec::new();
        let mut command = Arguments::command();
        clap_complete::generate(self.shell, &mut command, "epsiloscope", &mut script);
        let script = String::from_utf8_lossy(&script);
        say!("{}", script.trim_end());
        answer(&script)
    }
}

/// Write a manual page for the program and for each of its commands.
#[derive(Debug, Args)]
pub struct ManArguments {
    /// Folder for the pages.
    #[arg(long, default_value = ".")]
    out: PathBuf,
}

impl ManArguments {
    /// Writes the pages.
    pub fn run(&self) -> Result<()> {
        let mut command = Arguments::command();
        command.build();
        let pages = pages(&command);
        let path = |name: &str| self.out.join(format!("{name}.1"));
        require_new(pages.iter().map(|(name, _)| path(name)))?;
        for (name, command) in &pages {
            write(&path(name), (*command).clone())?;
        }
        say!("{} pages are in {}", pages.len(), self.out.display());
        answer(&pages.iter().map(|(name, _)| path(name)).collect::<Vec<_>>())
    }
}

/// A command with all below it, each with the name of its page.
///
/// clap gives every built command such a name, `epsiloscope report inversion` with dashes for spaces.
fn pages(command: &Command) -> Vec<(String, &Command)> {
    let name = command.get_display_name();
    let name = name.unwrap_or_else(|| command.get_name()).to_owned();
    let commands = command.get_subcommands();
    let below = commands.filter(|below| below.get_name() != "help");
    std::iter::once((name, command))
        .chain(below.flat_map(pages))
        .collect()
}

fn write(path: &Path, command: Command) -> Result<()> {
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(command).render(&mut page);
    rendered.map_err(|error| Error::io(path, "write", error))?;
    write_atomically(path, &page)
}
