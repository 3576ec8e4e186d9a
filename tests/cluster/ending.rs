//! The end of a cluster: by its owner, and by the death of its owner. Neither may leave anything on the machine.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use loadtest::registry::Registry;
use rustix::process::{Pid, Signal, kill_process};
use support::cluster::{pod, workload};
use support::{Cluster, Process, Scratch, wait_until};

use crate::BIN;

/// A cluster with one running pod.
async fn busy_cluster(registry: &Registry) -> Cluster {
    registry.add_image("library/app", "1", &workload::image(1));
    let cluster = Cluster::start(BIN, registry).await;
    let team = cluster.namespace("team").await;
    team.run(pod("app", "registry.test/library/app:1")).await;
    team.ready("app").await;
    cluster
}

/// The ids of all processes of Kubernetes: daemons, shims and containers.
fn processes(cluster: &Cluster) -> Vec<u32> {
    let mut all = cluster.node().processes();
    // Two daemons, the first process, a shim, the pause container and the workload.
    assert!(all.len() >= 6, "{all:?}");
    all.extend(cluster.plane().processes());
    all
}

fn runs(process: &u32) -> bool {
    Path::new(&format!("/proc/{process}")).exists()
}

#[tokio::test]
async fn a_cluster_leaves_no_process_mount_or_control_group() {
    let registry = Registry::start().await.unwrap();
    let cluster = busy_cluster(&registry).await;
    let mut processes = processes(&cluster);
    processes.push(cluster.pullgate().id());
    let groups = cluster.node().control_groups();
    let folder = cluster.scratch().path().to_owned();
    assert!(!groups.is_empty());

    drop(cluster);

    let left: Vec<_> = processes.into_iter().filter(runs).collect();
    assert_eq!(left, [0; 0], "processes");
    let left: Vec<_> = groups.into_iter().filter(|group| group.exists()).collect();
    assert_eq!(left, Vec::<std::path::PathBuf>::new(), "control groups");
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(folder.to_str().unwrap()), "{mounts}");
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_killed_test_leaves_no_process_of_kubernetes() {
    if std::env::var_os(VICTIM).is_some() {
        return be_the_victim().await;
    }
    let scratch = Scratch::new();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "ending::a_killed_test_leaves_no_process_of_kubernetes", "--nocapture"]);
    // What the victim leaves in its temporary folder is removed with this test's.
    command.env(VICTIM, "yes").env("TMPDIR", scratch.folder("victim"));
    let mut victim = Process::spawn("victim", &mut command, scratch.path());
    let ids = victim.says("the ids of its processes", told_ids).await;
    let (pullgate, kubernetes) = ids.split_first().unwrap();
    assert!(kubernetes.iter().all(runs));

    victim.kill();

    wait_until("the end of the victim's processes", Duration::from_secs(30), || {
        std::future::ready((!kubernetes.iter().any(runs)).then_some(()))
    })
    .await;
    // pullgate is a plain child, as in all other tests.
    kill_process(Pid::from_raw(*pullgate as i32).unwrap(), Signal::KILL).unwrap();
}

/// Starts a cluster, tells the ids of its processes, pullgate's first, and waits to be killed.
async fn be_the_victim() {
    let registry = Registry::start().await.unwrap();
    let cluster = busy_cluster(&registry).await;
    println!("\nids {} {:?} end", cluster.pullgate().id(), processes(&cluster));
    std::future::pending::<()>().await;
}

fn told_ids(log: &str) -> Option<Vec<u32>> {
    let line = log.lines().find_map(|line| line.strip_prefix("ids ")?.strip_suffix(" end"))?;
    line.split(|sign: char| !sign.is_ascii_digit())
        .filter(|id| !id.is_empty())
        .map(|id| id.parse().ok())
        .collect()
}

/// Environment variable of the victim.
const VICTIM: &str = "PULLGATE_TEST_VICTIM";
