//! The command line: parsing, and how a failure is told.

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::bgp_command::{self, BgpConfig};
use crate::config::{BMP_COLLECTORS_MAX, ControllerConfig, SpeakerConfig};
use crate::migrate::{self, MigrateConfig};
use crate::what_if::{self, PlanConfig};
use crate::{controller, dump, speaker};

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
    /// Shows the BGP sessions of this node's speaker, what peers were told and what they told
    Bgp(BgpConfig),
    /// Prints what this node's speaker was told and did last, one JSON object a line
    Dump,
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
    match Cli::try_parse().and_then(Cli::check) {
        Ok(cli) => report(run(cli.command)),
        Err(error) => {
            let code = if error.use_stderr() { EX_USAGE } else { 0 };
            error.print().map_or(ExitCode::FAILURE, |()| ExitCode::from(code))
        }
    }
}

impl Cli {
    /// What holds of several values of a flag.
    fn check(self) -> Result<Self, clap::Error> {
        match &self.command {
            Command::Speaker(config) if config.bmp_collectors.len() > BMP_COLLECTORS_MAX => {
                let message = format!("--bmp-collector: expected {BMP_COLLECTORS_MAX} collectors at most\n");
                Err(Self::command().error(ErrorKind::TooManyValues, message))
            }
            Command::Controller(_)
            | Command::Speaker(_)
            | Command::Plan(_)
            | Command::Migrate(_)
            | Command::Bgp(_)
            | Command::Dump
            | Command::Crds { .. } => Ok(self),
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Controller(config) => block_on(controller::run(config))?,
        Command::Speaker(config) => block_on(speaker::run(config))?,
        Command::Plan(config) => return block_on(what_if::run(config)),
        Command::Migrate(config) => block_on(migrate::run(config))?,
        Command::Bgp(config) => print(&block_on(bgp_command::run(config))?)?,
        Command::Dump => print(&block_on(dump::run())?)?,
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
        Cli::command().debug_assert();
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
    fn collectors_are_given_by_several_flags_or_commas_and_are_not_too_many() {
        let parse = |flags: &[&str]| {
            let words = ["ferrolb", "speaker", "--node-name=a"].iter().chain(flags);
            Cli::try_parse_from(words).and_then(Cli::check)
        };
        let collectors = |flags: &[&str]| {
            let Command::Speaker(config) = parse(flags).unwrap().command else { panic!("it is a speaker") };
            config.bmp().map(|bmp| bmp.stations.len())
        };
        assert_eq!(collectors(&[]), None, "nobody is told unless somebody asks");
        let flags = ["--bmp-collector=192.0.2.1:1,192.0.2.2:1", "--bmp-collector=[2001:db8::1]:1"];
        assert_eq!(collectors(&flags), Some(3));
        let many: Vec<String> = (1..6).map(|host| format!("--bmp-collector=192.0.2.{host}:11019")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(collectors(&many[..4]), Some(4));
        let error = parse(&many).unwrap_err();
        assert!(error.use_stderr() && error.to_string().contains("expected 4 collectors at most"), "{error}");
        assert!(parse(&["--bmp-collector=collector.example:11019"]).is_err(), "it is an address");
    }

    #[test]
    fn a_speaker_must_know_its_node() {
        let error = Cli::try_parse_from(["ferrolb", "speaker"]).unwrap_err();
        assert!(error.to_string().contains("--node-name"), "{error}");
    }
}
