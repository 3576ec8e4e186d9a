//! A place for the programs of a node: own mounts and own process ids, so that nothing outlives it.

use std::fs;
use std::future::ready;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::owned::owned;
use crate::host::process::Process;
use crate::host::wait::wait_until;

/// Namespaces for mounts and process ids. When it is dropped, or its owner is killed, the kernel ends every process
/// inside, also shims and pods, and unmounts everything.
#[derive(Debug)]
pub(super) struct Cage {
    holder: Process,
    first: u32,
}

impl Cage {
    /// Makes the namespaces, and the folders that containerd and kubelet use at fixed paths. These are empty inside.
    pub(super) async fn new(folder: &Path) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "a kubelet needs root: run these tests as root, or leave them out by -E 'not binary(cluster)'"
        );
        let mut command = owned("unshare");
        command.args([
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
            "-ec",
            FIXED_PATHS,
        ]);
        let mut holder = Process::spawn("node", &mut command, folder);
        holder.says("that its folders are mounted", |log| log.contains("mounted").then_some(())).await;
        let first = only_child(holder.id()).expect("the first process of the namespace");
        Self { holder, first }
    }

    /// The beginning of a command that runs a program inside.
    pub(super) fn entry(&self) -> Vec<String> {
        let first = self.first.to_string();
        ["setpriv", "--pdeathsig", "KILL", "nsenter", "--target", &first, "--mount", "--pid", "--"]
            .map(str::to_owned)
            .to_vec()
    }

    /// The ids of all processes inside, as the machine counts them.
    pub(super) fn processes(&self) -> Vec<u32> {
        let own = namespace_of(self.first).expect("the namespace of the first process");
        let all = fs::read_dir("/proc").into_iter().flatten().flatten();
        let all: Vec<u32> = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        all.into_iter().filter(|process| is_inside(*process, &own)).collect()
    }

    /// Starts the description of a command inside.
    pub(super) fn command(&self, program: &Path) -> Command {
        let entry = self.entry();
        let mut command = Command::new(&entry[0]);
        command.args(&entry[1..]).arg(program);
        command
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        if !self.holder.has_ended() {
            // The kernel ends all others with the first process; the holder waits until that is done.
            let _ = kill_process(pid(self.first), Signal::KILL);
        }
    }
}

/// Sends SIGTERM to the program that an [entry](Cage::entry) started, and waits for its end. The process itself is the
/// one that entered; the program is its child.
pub(super) async fn stop(process: &mut Process) {
    if let Some(inside) = only_child(process.id()) {
        let _ = kill_process(pid(inside), Signal::TERM);
    }
    wait_until("the end of a program of the node", STOP_LIMIT, || ready(process.has_ended().then_some(())))
        .await;
}

/// True if a process or one of its ancestors has these process ids: containers have their own below those of the node.
fn is_inside(process: u32, ids: &Path) -> bool {
    let parents = std::iter::successors(Some(process), |process| parent_of(*process));
    parents.into_iter().any(|process| namespace_of(process).is_some_and(|of| of == ids))
}

fn namespace_of(process: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{process}/ns/pid")).ok()
}

fn parent_of(process: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()?;
    Some(parent).filter(|parent| *parent > 0)
}

fn only_child(parent: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    children.trim().parse().ok()
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(number as i32).expect("invariant: a process id is positive")
}

/// containerd keeps sockets below `/run`, the kubelet sockets below `/var/lib` and links below `/var/log`.
///
/// A kubelet changes some settings of the kernel at its start. Inside, these are ordinary files, and all other settings
/// are read-only, so that those of the machine stay as they are.
const FIXED_PATHS: &str = "
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib
mount -t tmpfs tmpfs /var/log
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
for setting in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes
do
    own=/run/settings/$setting
    mkdir -p \"$(dirname $own)\"
    cat /proc/sys/$setting >$own
    mount --bind $own /proc/sys/$setting
done
echo mounted
exec sleep infinity
";
const STOP_LIMIT: Duration = Duration::from_secs(30);
