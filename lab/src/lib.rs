//! A bare-metal Kubernetes cluster on one machine: every host a network namespace on one bridge, the
//! control plane the real one, the kubelet a stand-in that runs each Pod as a local process.
//!
//! Start at [`Lab`]: [`Lab::up`] makes one, [`Lab::open`] finds one that runs, and its methods are what
//! the demo, the tests and the command line ([`cli`]) do with it.
//!
//! What is absent: container images (a name maps to a local program, [`ImageConfig`]), a DNS server,
//! storage, and every opinion about FerroLB, which is installed from its manifest like by a user.
//!
//! # Layout
//! - what a lab is: [`config`], [`hosts`], `topology` (namespaces and switch), `pki`, `state` (files)
//! - what runs in it: `binaries` and `go` (building), `control_plane`, `proxy`, `forward`, `process`
//! - one node: [`node`], [`kubelet`], [`sandbox`], [`echo`]
//! - life of a lab: [`Lab`] (up, power, status, down), [`faults`], `reset`, `cluster`, [`cli`]

mod binaries;
pub mod cli;
pub mod client;
mod cluster;
pub mod config;
mod control_plane;
pub mod echo;
pub mod faults;
mod forward;
mod go;
pub mod hosts;
pub mod kubelet;
mod lab;
mod netns;
pub mod node;
mod pki;
mod process;
mod program;
mod proxy;
mod requirements;
mod reset;
pub mod sandbox;
mod state;
mod steps;
mod subnet;
mod topology;

pub use binaries::ensure_built;
pub use config::LabConfig;
pub use forward::serve as forward;
pub use lab::{Lab, NodeStatus, ProcessStatus, Status};
pub use node::{ImageConfig, NodeConfig};
pub use subnet::Subnet;
