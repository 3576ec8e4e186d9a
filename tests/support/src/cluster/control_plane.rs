//! etcd, the API server, the controller manager and the scheduler.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use http::Method;
use loadtest::tls::Authority;
use serde_json::{Value, json};

use super::api::Api;
use super::identity::{Identity, token_file};
use super::namespace::Namespace;
use super::owned::owned;
use crate::host::parts;
use crate::host::ports::Port;
use crate::host::process::{Process, Ran, run};
use crate::host::scratch::Scratch;
use crate::host::wait::wait_until;

/// A control plane without nodes. Dropping it ends its processes.
#[derive(Debug)]
pub struct ControlPlane {
    // The order of the fields is the order in which they end.
    scheduler: Process,
    controllers: Process,
    api_server: Process,
    etcd: Process,
    api: Api,
    files: Files,
}

impl ControlPlane {
    /// Starts all parts and waits until pods can be created in the namespace `default`.
    pub async fn start(scratch: &Scratch) -> Self {
        let users = Users::new();
        let files = Files::new(scratch.folder("control-plane"), &users);
        let api = Api::new(&files.secure.address(), &files.authority.pem(), users.admin.token());
        let (mut etcd, mut api_server) = (files.launch_etcd(), files.launch_api_server());
        let serves = |log: &str| log.contains("ready to serve client requests").then_some(());
        etcd.says("that it is ready", serves).await;
        // The controllers end, and the scheduler waits for seconds, if the server does not know their roles yet.
        until_ready(&mut api_server, &api).await;
        let plane = Self {
            scheduler: files.launch_scheduler(),
            controllers: files.launch_controllers(),
            api_server,
            etcd,
            api,
            files,
        };
        plane.service_account("default").await;
        plane
    }

    /// The API server, as the user that may do everything.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// The API server's URL.
    pub fn url(&self) -> String {
        self.files.url()
    }

    /// The kubeconfig of the user that may do everything.
    pub fn kubeconfig(&self) -> PathBuf {
        self.files.kubeconfig("admin")
    }

    /// The certificate of the authority that signed the API server's certificate.
    pub fn authority(&self) -> PathBuf {
        self.files.authority_file()
    }

    /// Runs `kubectl` as the user that may do everything.
    pub async fn kubectl(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(parts::unpacked(FOLDER, "kubectl"));
        // Without its own home, kubectl would keep caches in that of the user.
        command.env("HOME", &self.files.folder).arg("--kubeconfig").arg(self.kubeconfig());
        command.args(arguments);
        run(command).await
    }

    /// Creates or changes the objects of a YAML text.
    pub async fn apply(&self, yaml: &str) {
        let file = tempfile::NamedTempFile::new_in(&self.files.folder).expect("a file for objects");
        fs::write(file.path(), yaml).expect("a file for objects");
        let path = file.path().display().to_string();
        self.kubectl(&["apply", "--server-side", "--filename", &path]).await.ok();
    }

    /// Creates a namespace and waits until pods can be created in it.
    pub async fn namespace(&self, name: &str) -> Namespace {
        self.api.create("/api/v1/namespaces", json!({"metadata": {"name": name}})).await;
        self.service_account(name).await;
        Namespace::new(&self.api, name)
    }

    /// Registers a node that no kubelet serves: it has this architecture, and the scheduler leaves it alone. It is ready
    /// for some forty seconds; then the controllers notice that its kubelet is silent.
    pub async fn add_fake_node(&self, name: &str, architecture: &str) {
        let labels = json!({
            "kubernetes.io/os": "linux", "kubernetes.io/arch": architecture, "kubernetes.io/hostname": name,
        });
        let node = json!({"metadata": {"name": name, "labels": labels}, "spec": {"unschedulable": true}});
        self.api.create("/api/v1/nodes", node).await;
        let ready = json!({"type": "Ready", "status": "True", "reason": "KubeletReady"});
        let status = json!({"status": {
            "nodeInfo": {"operatingSystem": "linux", "architecture": architecture},
            "conditions": [ready],
        }});
        self.api.merge(&format!("/api/v1/nodes/{name}/status"), status).await;
    }

    /// A token of a service account, as a pod would get it.
    pub async fn service_account_token(&self, namespace: &str, name: &str) -> String {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let answer = self.api.create(&path, json!({"spec": {"expirationSeconds": 3600}})).await;
        answer["status"]["token"].as_str().expect("a token").to_owned()
    }

    /// Stops the API server; etcd and the controllers run on.
    pub async fn stop_api_server(&mut self) {
        self.api_server.stop().await;
    }

    /// Kills the API server: its clients see their connections reset.
    pub fn kill_api_server(&mut self) {
        self.api_server.kill();
    }

    /// Starts the API server again at the same address, and waits until it is ready.
    pub async fn start_api_server(&mut self) {
        self.api_server = self.files.launch_api_server();
        until_ready(&mut self.api_server, &self.api).await;
    }

    /// The ids of all processes, for tests of their end.
    pub fn processes(&self) -> [u32; 4] {
        [self.scheduler.id(), self.controllers.id(), self.api_server.id(), self.etcd.id()]
    }

    /// The log of the API server since its start.
    pub fn api_server_log(&self) -> String {
        self.api_server.log()
    }

    /// The kubeconfig of the kubelet.
    pub(super) fn node_kubeconfig(&self) -> PathBuf {
        self.files.kubeconfig("node")
    }

    async fn service_account(&self, namespace: &str) {
        let accounts = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
        let named = |account: &Value| (account["metadata"]["name"] == "default").then_some(());
        self.api.when("the default service account", (&accounts, ""), START_LIMIT, named).await;
    }
}

async fn until_ready(api_server: &mut Process, api: &Api) {
    let serves = |log: &str| log.contains("Serving securely").then_some(());
    api_server.says("that it serves", serves).await;
    wait_until("the API server to be ready", START_LIMIT, || async {
        api.request(Method::GET, "/readyz", None).await.ok()
    })
    .await;
}

/// The users of a cluster.
struct Users {
    admin: Identity,
    controllers: Identity,
    scheduler: Identity,
    node: Identity,
}

impl Users {
    fn new() -> Self {
        Self {
            admin: Identity::new("admin", "system:masters"),
            controllers: Identity::new("system:kube-controller-manager", ""),
            scheduler: Identity::new("system:kube-scheduler", ""),
            node: Identity::new(&format!("system:node:{NODE}"), "system:nodes"),
        }
    }

    fn named(&self) -> [(&'static str, &Identity); 4] {
        let Self { admin, controllers, scheduler, node } = self;
        [("admin", admin), ("controllers", controllers), ("scheduler", scheduler), ("node", node)]
    }
}

/// The files and ports of a control plane, which stay the same when a part restarts.
#[derive(Debug)]
struct Files {
    folder: PathBuf,
    authority: Authority,
    etcd: Port,
    etcd_peer: Port,
    secure: Port,
}

impl Files {
    fn new(folder: PathBuf, users: &Users) -> Self {
        let [etcd, etcd_peer, secure] = std::array::from_fn(|_| Port::lease());
        let files = Self { folder, authority: Authority::new(), etcd, etcd_peer, secure };
        files.write_certificates();
        fs::write(files.folder.join("tokens.csv"), token_file(&users.named().map(|(_, user)| user)))
            .expect("a file of tokens");
        for (name, user) in users.named() {
            let config = user.kubeconfig(name, &files.url(), &files.authority_file());
            fs::write(files.kubeconfig(name), config).expect("a kubeconfig");
        }
        files
    }

    fn write_certificates(&self) {
        let accounts = self.folder.join("accounts");
        fs::create_dir(&accounts).expect("a folder");
        // The key signs the tokens of service accounts; of the certificate only the public key is used.
        self.authority.certificate(&["service-accounts"]).write_pem(&accounts).expect("a key");
        self.authority.for_loopback().write_pem(&self.folder).expect("a certificate");
        self.authority.write_pem(&self.authority_file()).expect("an authority");
    }

    fn kubeconfig(&self, user: &str) -> PathBuf {
        self.folder.join(format!("{user}.kubeconfig"))
    }

    fn url(&self) -> String {
        format!("https://{}", self.secure.address())
    }

    fn authority_file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    fn launch_etcd(&self) -> Process {
        let client = format!("http://{}", self.etcd.address());
        let peer = format!("http://{}", self.etcd_peer.address());
        let mut command = self.part("etcd");
        // What is lost in a crash of the machine is of no interest to a test.
        command.arg("--unsafe-no-fsync");
        command.arg("--data-dir").arg(self.folder.join("etcd"));
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", &format!("default={peer}")]);
        Process::spawn("etcd", &mut command, &self.folder)
    }

    fn launch_api_server(&self) -> Process {
        let mut command = self.part("kube-apiserver");
        let file = |name: &str| self.folder.join(name).display().to_string();
        let options = [
            ("etcd-servers", format!("http://{}", self.etcd.address())),
            ("bind-address", "127.0.0.1".to_owned()),
            ("advertise-address", "127.0.0.1".to_owned()),
            ("endpoint-reconciler-type", "none".to_owned()),
            ("secure-port", self.secure.number().to_string()),
            ("tls-cert-file", file("cert.pem")),
            ("tls-private-key-file", file("key.pem")),
            ("token-auth-file", file("tokens.csv")),
            ("authorization-mode", "Node,RBAC".to_owned()),
            ("enable-admission-plugins", "NodeRestriction".to_owned()),
            ("service-cluster-ip-range", "10.96.0.0/16".to_owned()),
            ("service-account-issuer", "https://kubernetes.default.svc".to_owned()),
            ("service-account-key-file", file("accounts/cert.pem")),
            ("service-account-signing-key-file", file("accounts/key.pem")),
            ("shutdown-watch-termination-grace-period", "1s".to_owned()),
        ];
        command.args(options.map(|(name, value)| format!("--{name}={value}")));
        Process::spawn("kube-apiserver", &mut command, &self.folder)
    }

    fn launch_controllers(&self) -> Process {
        let mut command = self.part("kube-controller-manager");
        command
            .arg("--kubeconfig")
            .arg(self.kubeconfig("controllers"))
            .args(["--leader-elect=false", "--secure-port=0"]);
        command.arg("--use-service-account-credentials");
        command.arg("--root-ca-file").arg(self.authority_file());
        command.arg("--service-account-private-key-file").arg(self.folder.join("accounts/key.pem"));
        // The usual limits of the client would slow tests down that create many objects.
        command.args(["--kube-api-qps=200", "--kube-api-burst=400"]);
        Process::spawn("kube-controller-manager", &mut command, &self.folder)
    }

    fn launch_scheduler(&self) -> Process {
        let mut command = self.part("kube-scheduler");
        command
            .arg("--kubeconfig")
            .arg(self.kubeconfig("scheduler"))
            .args(["--leader-elect=false", "--secure-port=0"]);
        Process::spawn("kube-scheduler", &mut command, &self.folder)
    }

    fn part(&self, program: &str) -> Command {
        owned(parts::unpacked(FOLDER, program))
    }
}

/// The folder below `.parts`.
pub(super) const FOLDER: &str = "kubernetes";
/// The name of the node that a kubelet serves.
pub(super) const NODE: &str = "node-1";
const START_LIMIT: Duration = Duration::from_secs(90);
