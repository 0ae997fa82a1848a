//! The `ferrolb` binary: parses the command line and runs one of its parts.

use std::process::ExitCode;

use ferrolb::cli;

fn main() -> ExitCode {
    cli::main()
}
