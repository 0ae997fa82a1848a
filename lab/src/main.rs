//! The lab's command line, and the program its own processes are started from.
#![expect(clippy::print_stderr, reason = "a command line tool talks to its terminal")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use ferrolb_lab::client::ClientArgs;
use ferrolb_lab::echo::EchoArgs;
use ferrolb_lab::{NodeConfig, cli, client, echo, kubelet, sandbox};
use tracing_subscriber::EnvFilter;

const FILES: &str = "Files: a lab's are in /var/lib/ferrolb-lab/<LAB> or $FERROLB_LAB_STATE/<LAB>, removed by \
`down`;\nthe Kubernetes programs in $XDG_CACHE_HOME/ferrolb or ~/.cache/ferrolb, built once.";

/// A bare-metal Kubernetes cluster in network namespaces of this machine.
#[derive(Debug, Parser)]
#[command(name = "lab", bin_name = "cargo xtask lab", version, after_help = FILES)]
struct Arguments {
    /// The lab to act on; labs of different names live side by side [default: ferrolb]
    #[arg(long, global = true, env = "FERROLB_LAB", value_name = "LAB")]
    name: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Lab(cli::Command),
    #[command(flatten)]
    Internal(Internal),
}

/// What the lab starts itself as.
#[derive(Debug, Subcommand)]
enum Internal {
    /// Be a node
    #[command(hide = true)]
    Node {
        /// The node's directory
        #[arg(long)]
        state: PathBuf,
    },
    /// Lead connections on standard input's socket into a namespace
    #[command(hide = true)]
    Forward {
        /// The namespace
        #[arg(long)]
        netns: String,
        /// The address in it
        #[arg(long)]
        target: SocketAddr,
    },
    /// Answer HTTP requests with the own name
    #[command(hide = true)]
    Echo(EchoArgs),
    /// Count what fails at an address, until standard input ends
    #[command(hide = true)]
    Client(ClientArgs),
    /// Be the first process of a container
    #[command(hide = true)]
    SandboxInit {
        /// What to run, and in what
        #[arg(long)]
        spec: PathBuf,
    },
}

fn main() -> ExitCode {
    let Arguments { name, command } = Arguments::parse();
    let result = match command {
        Command::Lab(command) => cli::run(name.as_deref(), command).map(|()| 0),
        Command::Internal(internal) => be(internal),
    };
    match result {
        Ok(code) => u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Plays one of the lab's own parts and returns its exit code.
fn be(internal: Internal) -> anyhow::Result<i32> {
    match internal {
        // Before anything that could start a thread: namespaces are joined one thread at a time.
        Internal::SandboxInit { spec } => return sandbox::init(&spec),
        Internal::Node { state } => {
            log_to_stderr();
            runtime()?.block_on(kubelet::run(NodeConfig::read(&state)?))?;
        }
        Internal::Forward { netns, target } => {
            log_to_stderr();
            ferrolb_lab::forward(&netns, target)?;
        }
        Internal::Echo(args) => runtime()?.block_on(echo::run(args))?,
        Internal::Client(args) => runtime()?.block_on(client::run(args))?,
    }
    Ok(0)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("start a runtime")
}

fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_unset| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(std::io::stderr).init();
}
