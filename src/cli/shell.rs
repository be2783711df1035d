//! What does a shell, or `man`, know of the command line?
//!
//! Shell: completions to stdout, manual pages into a directory. Both are made of clap's definition, so they cannot be
//! behind it.

use std::io;
use std::path::Path;

use clap::CommandFactory;

use super::args::{Args, CompletionsArgs, ManArgs};
use super::output::{Failure, print};

const NAME: &str = "switchback";

/// Prints the completions.
pub(super) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), NAME, &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// Writes a page for the program and each of its commands, or prints the program's.
pub(super) fn man(args: &ManArgs) -> Result<(), Failure> {
    match &args.directory {
        Some(directory) => write_pages(directory).map_err(|source| Failure::Write {
            path: directory.clone(),
            source,
        }),
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Args::command()).render(&mut page)?;
            print(&String::from_utf8_lossy(&page))
        }
    }
}

fn write_pages(directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    clap_mangen::generate_to(Args::command(), directory)
}
