//! The command line: parsing, and how a failure is told.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{ControllerConfig, SpeakerConfig};
use crate::migrate::{self, MigrateConfig};
use crate::what_if::{self, PlanConfig};
use crate::{controller, speaker};

/// Makes a bare-metal Kubernetes cluster reachable from outside.
#[derive(Debug, Parser)]
#[command(name = "ferrolb", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Gives every LoadBalancer Service an address (one leader among the replicas)
    Controller(ControllerConfig),
    /// Announces the addresses that this node owns (one on every node)
    Speaker(SpeakerConfig),
    /// Says which Services a change would give, take or move an address, and writes nothing
    Plan(PlanConfig),
    /// Turns what MetalLB was configured with into what FerroLB reads, and says what changes
    Migrate(MigrateConfig),
    /// Prints the CustomResourceDefinitions as YAML
    Crds {
        /// Only the one that the webhook changes, as the webhook needs it
        #[arg(long)]
        webhook: bool,
    },
}

/// Runs the command line; the exit code is 0, 1 after a failure, 64 (`EX_USAGE`) when the
/// command line itself is wrong, or 2 when a planned change takes something away.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => report(run(cli.command)),
        Err(error) => {
            let code = if error.use_stderr() { EX_USAGE } else { 0 };
            error.print().map_or(ExitCode::FAILURE, |()| ExitCode::from(code))
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Controller(config) => block_on(controller::run(config))?,
        Command::Speaker(config) => block_on(speaker::run(config))?,
        Command::Plan(config) => return block_on(what_if::run(config)),
        Command::Migrate(config) => block_on(migrate::run(config))?,
        Command::Crds { webhook: false } => print(&ferrolb_api::crds_yaml(&ferrolb_api::crds()))?,
        Command::Crds { webhook: true } => {
            print(&ferrolb_api::crds_yaml(&[controller::converted_bgp_peer()]))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn block_on<T>(process: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(WORKER_THREADS).enable_all().build()?;
    runtime.block_on(process)
}

fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

#[expect(clippy::print_stderr, reason = "the last word of a failing command goes to the terminal")]
fn report(result: anyhow::Result<ExitCode>) -> ExitCode {
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

const EX_USAGE: u8 = 64;
/// Watches and writes of one process: two threads keep one busy watch from delaying the rest.
const WORKER_THREADS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn an_unknown_flag_is_named_and_is_a_usage_error() {
        let error = Cli::try_parse_from(["ferrolb", "speaker", "--fast"]).unwrap_err();
        assert!(error.use_stderr());
        assert!(error.to_string().contains("unexpected argument '--fast'"), "{error}");
    }

    #[test]
    fn a_refresh_interval_below_a_second_is_refused() {
        let speaker = |flag: &str| Cli::try_parse_from(["ferrolb", "speaker", "--node-name=a", flag]);
        for text in ["0", "0.5", "-1", "1m"] {
            let error = speaker(&format!("--l2-refresh-interval={text}")).unwrap_err().to_string();
            assert!(error.contains("expected whole seconds, at least 1"), "{error}");
        }
        assert!(speaker("--l2-refresh-interval=1").is_ok());
    }

    #[test]
    fn a_speaker_must_know_its_node() {
        let error = Cli::try_parse_from(["ferrolb", "speaker"]).unwrap_err();
        assert!(error.to_string().contains("--node-name"), "{error}");
    }
}
