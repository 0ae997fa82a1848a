use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{Process, Processes};
use crate::netns;

struct Namespace {
    name: String,
    directory: PathBuf,
    processes: Processes,
}

impl Namespace {
    fn create(test: &str) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: network namespaces need root");
            return None;
        }
        let name = format!("t{}{test}-lan", std::process::id());
        let directory = std::env::temp_dir().join(&name);
        std::fs::create_dir_all(&directory).unwrap();
        netns::create(&name).unwrap();
        let processes = Processes { run: directory.clone(), logs: directory.clone() };
        Some(Self { name, directory, processes })
    }

    fn spawn(&self, name: &str, shell: &str) {
        let process = Process {
            name: name.into(),
            netns: &self.name,
            program: Path::new("/bin/sh"),
            args: vec!["-c".into(), shell.into()],
            env: Vec::new(),
            stdin: Stdio::null(),
        };
        self.processes.spawn(process).unwrap();
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        netns::kill_processes(std::slice::from_ref(&self.name)).unwrap();
        netns::delete(&self.name).unwrap();
        std::fs::remove_dir_all(&self.directory).unwrap();
    }
}

fn eventually(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !condition() {
        assert!(Instant::now() < deadline, "the condition does not come true");
        std::thread::yield_now();
    }
}

#[test]
fn a_process_runs_until_it_is_killed() {
    let Some(namespace) = Namespace::create("run") else { return };
    namespace.spawn("sleeper", "exec sleep 1000");
    let pid = namespace.processes.running("sleeper").unwrap();
    eventually(|| netns::processes(std::slice::from_ref(&namespace.name)).unwrap() == [pid]);
    assert_eq!(namespace.processes.names(), ["sleeper"]);
    namespace.processes.kill("sleeper");
    eventually(|| netns::processes(std::slice::from_ref(&namespace.name)).unwrap().is_empty());
    assert!(!namespace.processes.is_running("sleeper"));
    assert!(namespace.processes.names().is_empty());
}

#[test]
fn a_process_that_died_leaves_its_last_words() {
    let Some(namespace) = Namespace::create("die") else { return };
    namespace.spawn("mortal", "echo first; echo no such option >&2; exit 1");
    eventually(|| !namespace.processes.is_running("mortal"));
    let death = namespace.processes.death("mortal").to_string();
    assert!(death.contains("mortal died") && death.contains("no such option"), "{death}");
}

#[test]
fn children_that_nobody_recorded_are_killed_with_their_namespace() {
    let Some(namespace) = Namespace::create("kids") else { return };
    namespace.spawn("parent", "setsid sleep 1000 & setsid sleep 1000 & wait");
    let names = std::slice::from_ref(&namespace.name);
    eventually(|| netns::processes(names).unwrap().len() == 3);
    netns::kill_processes(names).unwrap();
    assert!(netns::processes(names).unwrap().is_empty());
    assert!(!namespace.processes.is_running("parent"));
}

#[test]
fn another_process_with_a_recycled_id_is_not_ours() {
    let Some(namespace) = Namespace::create("old") else { return };
    let own = std::process::id();
    std::fs::write(namespace.directory.join("ghost.pid"), format!("{own} 1\n")).unwrap();
    assert_eq!(namespace.processes.running("ghost"), None);
    // Would end this test.
    namespace.processes.kill("ghost");
    assert!(namespace.processes.names().is_empty());
}
