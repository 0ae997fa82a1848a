//! The lab's commands.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command as Program;

use anyhow::Context;
use clap::{Args, Subcommand};

use crate::binaries;
use crate::config::{IpFamily, LabConfig, MAX_NODES, ProxyMode};
use crate::lab::Lab;
use crate::requirements;
use crate::steps::{Steps, answer, say};

/// Name of the lab when nobody names one.
pub const DEFAULT_NAME: &str = "ferrolb";

/// What can be done with a lab.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a lab; one that runs is left as it is
    Up(UpArgs),
    /// Remove a lab with everything it made, also after a crash
    Down,
    /// Show what runs; fails when something does not
    Status,
    /// List the labs on this machine
    List,
    /// Print the path of the lab's kubeconfig
    Kubeconfig,
    /// Run the lab's kubectl, as in `kubectl -- get nodes`
    Kubectl {
        /// Arguments of kubectl
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Run a command on a host, as in `exec client -- curl http://192.168.100.240`
    Exec {
        /// Host: master, worker1 …, client or router
        host: String,
        /// The command
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        argv: Vec<String>,
    },
    /// Cut a node's power: everything on it dies at once
    KillNode {
        /// Node: master, worker1 …
        node: String,
    },
    /// Give a node its power back and wait until it is ready
    StartNode {
        /// Node: master, worker1 …
        node: String,
    },
    /// Drop all frames between two hosts, both ways
    Partition {
        /// One host
        a: String,
        /// The other
        b: String,
    },
    /// Drop a percentage of the frames to and from a host; 0 ends it
    Loss {
        /// The host
        host: String,
        /// Percentage of frames
        #[arg(value_parser = clap::value_parser!(u8).range(0..=100))]
        percent: u8,
    },
    /// End all partitions and losses
    Heal,
    /// Delete what tests created, heal faults, restart dead nodes
    Reset,
    /// Build the Kubernetes programs into the user's cache, and nothing else
    Build,
}

/// Parameters of a new lab; they win over the configuration file.
#[derive(Debug, Default, Args)]
pub struct UpArgs {
    /// Configuration file; `lab/lab.yaml` documents it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Nodes, the first of which carries the control plane
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=i64::from(MAX_NODES)))]
    pub nodes: Option<u8>,
    /// Address families of nodes, Pods and Services
    #[arg(long, value_enum)]
    pub ip_family: Option<IpFamily>,
    /// How kube-proxy programs Services
    #[arg(long, value_enum)]
    pub proxy_mode: Option<ProxyMode>,
    /// Leave FerroLB out
    #[arg(long)]
    pub without_ferrolb: bool,
}

impl UpArgs {
    /// The parameters: the file's or the defaults, with these flags and this name on top.
    ///
    /// # Errors
    /// When the file cannot be read or something does not fit together.
    pub fn resolve(&self, name: Option<&str>) -> anyhow::Result<LabConfig> {
        let mut config = match &self.config {
            Some(file) => LabConfig::read(file)?,
            None => LabConfig::default(),
        };
        if let Some(name) = name {
            name.clone_into(&mut config.name);
        }
        config.nodes = self.nodes.unwrap_or(config.nodes);
        config.ip_family = self.ip_family.unwrap_or(config.ip_family);
        config.proxy_mode = self.proxy_mode.unwrap_or(config.proxy_mode);
        config.ferrolb.install &= !self.without_ferrolb;
        config.validate()?;
        Ok(config)
    }
}

/// Carries out a command on the lab of this name. `exec` and `kubectl` become that program and do
/// not return.
///
/// # Errors
/// What failed and what to do about it.
pub fn run(name: Option<&str>, command: Command) -> anyhow::Result<()> {
    if !matches!(command, Command::Build | Command::List) {
        requirements::check_root()?;
    }
    let open = || Lab::open(name.unwrap_or(DEFAULT_NAME));
    match command {
        Command::Up(args) => up(name, &args),
        Command::Down => {
            let steps = Steps::start();
            let name = name.unwrap_or(DEFAULT_NAME);
            Lab::down(name)?;
            steps.finish(&format!("lab \"{name}\" is down"));
            Ok(())
        }
        Command::Status => status(&open()?),
        Command::List => {
            Lab::list()?.iter().for_each(answer);
            Ok(())
        }
        Command::Kubeconfig => {
            kubeconfig(&open()?);
            Ok(())
        }
        Command::Kubectl { args } => {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            become_program(open()?.kubectl_command(&args))
        }
        Command::Exec { host, argv } => {
            let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
            become_program(open()?.command(&host, &argv)?)
        }
        Command::KillNode { node } => {
            timed(&format!("node {node} is without power"), || open()?.kill_node(&node))
        }
        Command::StartNode { node } => timed(&format!("node {node} is back"), || open()?.start_node(&node)),
        Command::Partition { a, b } => open()?.partition(&a, &b),
        Command::Loss { host, percent } => open()?.loss(&host, percent),
        Command::Heal => open()?.heal(),
        Command::Reset => open()?.reset().map(drop),
        Command::Build => {
            answer(binaries::ensure_built()?.display());
            Ok(())
        }
    }
}

fn up(name: Option<&str>, args: &UpArgs) -> anyhow::Result<()> {
    let lab = Lab::up(args.resolve(name)?)?;
    let kubeconfig = lab.kubeconfig();
    say(&format!("  export KUBECONFIG={}", kubeconfig.display()));
    Ok(())
}

fn status(lab: &Lab) -> anyhow::Result<()> {
    let status = lab.status()?;
    answer(&status);
    anyhow::ensure!(
        status.is_whole(),
        "lab \"{name}\" is not whole; its logs are in {}, `lab up --name {name}` starts it anew",
        lab.state_dir().join("logs").display(),
        name = lab.name()
    );
    Ok(())
}

fn kubeconfig(lab: &Lab) {
    let path = lab.kubeconfig();
    answer(path.display());
    say(&format!("export KUBECONFIG={}", path.display()));
}

fn timed(what: &str, action: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let steps = Steps::start();
    action()?;
    steps.finish(what);
    Ok(())
}

fn become_program(mut program: Program) -> anyhow::Result<()> {
    let shown = format!("{}", program.get_program().to_string_lossy());
    Err(program.exec()).with_context(|| format!("start {shown}"))
}
