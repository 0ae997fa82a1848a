//! The cluster a controller is measured on: a lab of one node, new for every run.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::addresses::{Addresses, COLUMNS};
use crate::bench::requests::Requests;
use crate::{lab, process, workspace};

/// A lab of its own, so that one that is up stays up.
const NAME: &str = "benchalloc";
/// Requests of the generator at one time: each kubectl has one.
const GENERATORS: usize = 4;

/// An IPAddressPool of one range.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pool {
    pub(super) name: &'static str,
    first: Ipv4Addr,
    last: Ipv4Addr,
}

impl Pool {
    pub(super) fn new(name: &'static str, first: Ipv4Addr, size: u32) -> Self {
        let last = Ipv4Addr::from(u32::from(first).saturating_add(size).saturating_sub(1));
        Self { name, first, last }
    }

    pub(super) fn contains(&self, address: &str) -> bool {
        address.parse().is_ok_and(|address: Ipv4Addr| (self.first..=self.last).contains(&address))
    }
}

/// The lab, which goes when this is dropped, and the folder of its files.
#[derive(Debug)]
pub(super) struct Stage {
    directory: PathBuf,
}

impl Stage {
    /// A new and empty lab, with the namespaces of both and what `cluster.yaml` says.
    pub(super) fn new() -> Result<Self> {
        let directory = workspace::target().join("bench/allocation");
        fs::create_dir_all(&directory)
            .with_context(|| format!("could not create {}", directory.display()))?;
        process::run(&mut lab::command(NAME, ["down"]))?;
        let stage = Self { directory };
        process::run(&mut lab::command(NAME, ["up", "--nodes=1", "--without-ferrolb"]))?;
        for namespace in ["metallb-system", "ferrolb-system"] {
            stage.kubectl(["create", "namespace", namespace])?;
        }
        let cluster = workspace::root().join("bench/allocation/cluster.yaml");
        stage.kubectl(["create", "-f", &cluster.display().to_string()])?;
        Ok(stage)
    }

    /// Path of the file or folder `name` that belongs to this benchmark.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Installs the CustomResourceDefinitions in a file or folder.
    pub(super) fn install(&self, definitions: &Path) -> Result<()> {
        let path = definitions.display().to_string();
        self.kubectl(["apply", "--server-side", "-f", &path])?;
        self.kubectl(["wait", "--for=condition=established", "--timeout=30s", "-f", &path]).map(drop)
    }

    /// A kubeconfig of the account that the API server counts.
    pub(super) fn kubeconfig(&self) -> Result<PathBuf> {
        let token =
            self.kubectl(["create", "token", "controller", "--namespace=metallb-system", "--duration=2h"])?;
        let config = self.kubectl(["config", "view", "--raw", "--minify", "--output=json"])?;
        let mut config: Value = serde_json::from_str(&config).context("kubectl config view wrote no JSON")?;
        let user = config.pointer_mut("/users/0/user").context("the lab's kubeconfig has no user")?;
        *user = json!({ "token": token.trim() });
        let path = self.path("kubeconfig");
        fs::write(&path, config.to_string())
            .with_context(|| format!("could not write {}", path.display()))?;
        Ok(path)
    }

    pub(super) fn create_pool(&self, pool: &Pool) -> Result<()> {
        let pool = json!({
            "apiVersion": "metallb.io/v1beta1",
            "kind": "IPAddressPool",
            "metadata": { "name": pool.name, "namespace": "metallb-system" },
            "spec": { "addresses": [format!("{}-{}", pool.first, pool.last)] },
        });
        let path = self.path("pool.json");
        fs::write(&path, pool.to_string()).with_context(|| format!("could not write {}", path.display()))?;
        self.kubectl(["create", "-f", &path.display().to_string()]).map(drop)
    }

    pub(super) fn delete_pool(&self, pool: &Pool) -> Result<()> {
        self.kubectl(["delete", "ipaddresspool", pool.name, "--namespace=metallb-system"]).map(drop)
    }

    /// Writes the files that [`Self::create_services`] sends.
    pub(super) fn write_services(&self, count: usize) -> Result<()> {
        for generator in 0..GENERATORS {
            let services: Vec<Value> = (generator..count).step_by(GENERATORS).map(service).collect();
            let list = json!({ "apiVersion": "v1", "kind": "List", "items": services });
            let path = self.services(generator);
            fs::write(&path, list.to_string())
                .with_context(|| format!("could not write {}", path.display()))?;
        }
        Ok(())
    }

    /// Creates the Services, as fast as [`GENERATORS`] kubectls can.
    pub(super) fn create_services(&self) -> Result<()> {
        std::thread::scope(|scope| {
            let create = |generator| {
                let path = self.services(generator).display().to_string();
                scope.spawn(move || self.kubectl(["create", "--validate=false", "-f", &path]).map(drop))
            };
            let running: Vec<_> = (0..GENERATORS).map(create).collect();
            running.into_iter().try_for_each(|generator| {
                generator.join().map_err(|_panic| anyhow::anyhow!("a generator panicked"))?
            })
        })
    }

    pub(super) fn addresses(&self) -> Result<Addresses> {
        let output = format!("--output={COLUMNS}");
        let arguments =
            ["get", "services", "--namespace=default", "--field-selector=metadata.name!=kubernetes"];
        let mut watch = self.command(arguments);
        // In chunks, kubectl would print what is there chunk by chunk instead of Service by Service.
        watch.args(["--watch", "--chunk-size=0", &output]);
        Addresses::follow(watch)
    }

    pub(super) fn requests(&self) -> Result<Requests> {
        Ok(Requests::parse(&self.kubectl(["get", "--raw", "/metrics"])?))
    }

    fn services(&self, generator: usize) -> PathBuf {
        self.path(&format!("services-{generator}.json"))
    }

    fn kubectl<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<String> {
        process::output(&mut self.command(arguments))
    }

    #[expect(clippy::unused_self, reason = "there is a cluster to talk to as long as there is a stage")]
    fn command<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = lab::command(NAME, ["kubectl", "--"]);
        command.args(arguments);
        command
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Err(error) = process::run(&mut lab::command(NAME, ["down"])) {
            println!("{error:#}");
        }
    }
}

/// A Service without node ports, which would run out, that kube-proxy does not look at: what it
/// does with 5,000 Services is not what is measured.
fn service(number: usize) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": format!("service-{number:05}"),
            "namespace": "default",
            "labels": { "service.kubernetes.io/service-proxy-name": "none" },
        },
        "spec": {
            "type": "LoadBalancer",
            "allocateLoadBalancerNodePorts": false,
            "externalTrafficPolicy": "Cluster",
            "ports": [{ "port": 80 }],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_has_as_many_addresses_as_it_was_made_with() {
        let pool = Pool::new("one", Ipv4Addr::new(198, 18, 0, 0), 2500);
        assert!(pool.contains("198.18.0.0") && pool.contains("198.18.9.195"));
        assert!(!pool.contains("198.18.9.196") && !pool.contains("198.17.255.255") && !pool.contains(""));
    }
}
