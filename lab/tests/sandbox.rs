//! The sandbox for real: containers of `ferrolb-lab sandbox-init`. Needs root, and says so where it is not.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests, as in tests")]

use std::collections::BTreeSet;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ferrolb_lab::sandbox::{Entry, Mount, Process, Root, START_FAILED, Spec};

/// A directory and network namespace of this test, removed at its end.
struct Fixture {
    dir: PathBuf,
    netns: String,
}

impl Fixture {
    fn new(name: &str) -> Option<Self> {
        if !nix::unistd::Uid::effective().is_root() {
            println!("skipped: making namespaces needs root");
            return None;
        }
        let netns = format!("t{}-{name}", std::process::id());
        let dir = std::env::temp_dir().join(&netns);
        std::fs::create_dir_all(&dir).unwrap();
        assert!(Command::new("ip").args(["netns", "add", &netns]).status().unwrap().success());
        Some(Self { dir, netns })
    }

    fn spec(&self, command: &[&str]) -> Spec {
        Spec {
            parent: std::process::id(),
            entry: Entry::Create(Root {
                netns: Some(self.netns.clone()),
                hostname: "web-1".to_owned(),
                directory: self.dir.join("rootfs"),
                program_dir: None,
                mounts: Vec::new(),
                read_only: false,
                privileged: false,
                sysctls: Vec::new(),
            }),
            process: Process {
                argv: command.iter().map(ToString::to_string).collect(),
                fallback: None,
                env: vec![("PATH".to_owned(), "/usr/bin:/bin:/usr/sbin:/sbin".to_owned())],
                working_dir: PathBuf::from("/"),
                uid: 0,
                gid: 0,
                groups: Vec::new(),
                capabilities: BTreeSet::from(["CAP_NET_RAW".to_owned()]),
                no_new_privileges: true,
            },
        }
    }

    fn start(&self, name: &str, spec: &Spec) -> Running {
        let path = self.dir.join(format!("{name}.json"));
        spec.write(&path).unwrap();
        let (mut start, writer) = std::io::pipe().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ferrolb-lab"));
        command
            .args(["sandbox-init", "--spec"])
            .arg(&path)
            .stdin(writer)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        drop(command);
        let mut started = String::new();
        start.read_to_string(&mut started).unwrap();
        Running { child, started }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        Command::new("ip").args(["netns", "del", &self.netns]).status().unwrap();
        std::fs::remove_dir_all(&self.dir).unwrap();
    }
}

struct Running {
    child: Child,
    /// What came through the start pipe.
    started: String,
}

impl Running {
    fn pid(&self) -> i32 {
        self.started.lines().find_map(|line| line.strip_prefix("pid ")).unwrap().parse().unwrap()
    }

    fn finish(self) -> (Option<i32>, String) {
        let output = self.child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        (output.status.code(), text)
    }
}

#[test]
fn a_container_has_its_own_host_name_processes_network_and_root() {
    let Some(fixture) = Fixture::new("own") else { return };
    let script = "echo $$ $(hostname); ls -d /proc/[0-9]*; ls /sys/class/net /root; touch /tmp/x && echo wrote; \
                  touch /usr/x /proc/sys/kernel/hostname 2>/dev/null || echo kept";
    let (code, output) = fixture.start("c", &fixture.spec(&["/bin/sh", "-c", script])).finish();
    let seen: Vec<&str> = output.lines().collect();
    assert_eq!(seen[0], "1 web-1", "{output}");
    assert!(seen.contains(&"/proc/1"), "{output}");
    assert!(seen.iter().filter(|line| line.starts_with("/proc/")).count() <= 2, "{output}");
    assert!(seen.contains(&"lo") && !seen.contains(&"eth0"), "{output}");
    assert!(seen.ends_with(&["wrote", "kept"]), "{output}");
    assert_eq!(code, Some(0));
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(fixture.dir.to_str().unwrap()), "a mount leaked to the machine");
}

#[test]
fn a_root_container_has_exactly_the_granted_capabilities() {
    let Some(fixture) = Fixture::new("caps") else { return };
    let spec = fixture.spec(&["/bin/grep", "-E", "Cap|NoNewPrivs|SigBlk", "/proc/self/status"]);
    let (_, output) = fixture.start("c", &spec).finish();
    let fields: Vec<Vec<&str>> = output.lines().map(|line| line.split_whitespace().collect()).collect();
    // CAP_NET_RAW is capability 13.
    for set in ["CapPrm:", "CapEff:", "CapBnd:"] {
        assert!(fields.contains(&vec![set, "0000000000002000"]), "{output}");
    }
    assert!(fields.contains(&vec!["CapAmb:", "0000000000000000"]), "{output}");
    assert!(fields.contains(&vec!["NoNewPrivs:", "1"]), "{output}");
    assert!(fields.contains(&vec!["SigBlk:", "0000000000000000"]), "{output}");
}

#[test]
fn another_user_has_no_effective_capability_as_on_a_real_node() {
    let Some(fixture) = Fixture::new("user") else { return };
    let mut spec = fixture.spec(&["/bin/sh", "-c", "id; grep Cap /proc/self/status"]);
    spec.process.uid = 65534;
    spec.process.gid = 65533;
    spec.process.groups = vec![2000];
    let (_, output) = fixture.start("c", &spec).finish();
    assert!(output.contains("uid=65534") && output.contains("gid=65533"), "{output}");
    assert!(output.contains("2000"), "{output}");
    assert!(output.contains("CapEff:\t0000000000000000"), "{output}");
    assert!(output.contains("CapBnd:\t0000000000002000"), "{output}");
}

#[test]
fn volumes_are_mounted_and_a_read_only_root_stays_unwritten() {
    let Some(fixture) = Fixture::new("volumes") else { return };
    let [config, scratch, token] = ["config", "scratch", "token"].map(|name| fixture.dir.join(name));
    for dir in [&config, &scratch, &token] {
        std::fs::create_dir_all(dir).unwrap();
    }
    std::fs::write(token.join("t"), "").unwrap();
    std::fs::write(config.join("key"), "value\n").unwrap();
    std::fs::set_permissions(&scratch, std::fs::Permissions::from_mode(0o777)).unwrap();
    // /var/run is a symbolic link, of the container and not of the machine.
    let script = "cat /etc/app/key; ls /run/ferrolb-lab-test; \
                  touch /etc/app/x || touch /tmp/x || touch /x || touch /data/x && echo end";
    let mut spec = fixture.spec(&["/bin/sh", "-c", script]);
    let Entry::Create(root) = &mut spec.entry else { unreachable!() };
    root.read_only = true;
    root.mounts = vec![
        Mount { source: scratch.clone(), target: "/data".into(), read_only: false },
        Mount { source: config, target: "/etc/app".into(), read_only: true },
        Mount { source: token, target: "/var/run/ferrolb-lab-test".into(), read_only: true },
    ];
    let (code, output) = fixture.start("c", &spec).finish();
    assert!(output.starts_with("value\nt\n") && output.contains("end\n"), "{output}");
    assert_eq!(output.matches("Read-only file system").count(), 3, "{output}");
    assert!(scratch.join("x").exists());
    assert!(!Path::new("/run/ferrolb-lab-test").exists());
    assert_eq!(code, Some(0));
}

#[test]
fn a_start_that_fails_says_why() {
    let Some(fixture) = Fixture::new("fails") else { return };
    let mut spec = fixture.spec(&["/no/such/program"]);
    let missing = fixture.start("c", &spec);
    assert!(missing.started.contains("error exec /no/such/program: No such file"), "{}", missing.started);
    assert_eq!(missing.finish().0, Some(START_FAILED));

    spec.process.fallback = Some(vec!["/bin/echo".to_owned(), "stand-in".to_owned()]);
    let (code, output) = fixture.start("c", &spec).finish();
    assert_eq!((code, output.as_str()), (Some(0), "stand-in\n"));
}

#[test]
fn signals_and_exit_codes_pass_through_the_supervisor() {
    let Some(fixture) = Fixture::new("signal") else { return };
    let script = "trap 'echo bye; exit 7' TERM; while :; do sleep 0.05; done";
    let running = fixture.start("c", &fixture.spec(&["/bin/sh", "-c", script]));
    wait_for("the trap", || status_mask(running.pid(), "SigCgt:") & (1 << 14) != 0);
    let supervisor = nix::unistd::Pid::from_raw(running.child.id().cast_signed());
    nix::sys::signal::kill(supervisor, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(running.finish(), (Some(7), "bye\n".to_owned()));
}

#[test]
fn a_command_joins_a_running_container_and_all_die_with_the_supervisor() {
    let Some(fixture) = Fixture::new("join") else { return };
    let mut spec = fixture.spec(&["/bin/sh", "-c", "touch /tmp/mine; setsid sleep 600 & exec sleep 600"]);
    let mut running = fixture.start("c", &spec);
    let pid = running.pid();
    wait_for("the second sleep", || children_count(pid) == 1);
    spec.entry = Entry::Join { pid };
    spec.process.argv = ["/bin/sh", "-c", "hostname; ls /tmp"].map(str::to_owned).to_vec();
    assert_eq!(fixture.start("e", &spec).finish(), (Some(0), "web-1\nmine\n".to_owned()));

    running.child.kill().unwrap();
    running.child.wait().unwrap();
    wait_for("process 1 to die", || !Path::new(&format!("/proc/{pid}")).exists());
}

fn children_count(pid: i32) -> usize {
    std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .map_or(0, |children| children.split_whitespace().count())
}

fn status_mask(pid: i32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    u64::from_str_radix(value.trim(), 16).unwrap()
}

fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "no {what} within 10 s");
        std::thread::yield_now();
    }
}
