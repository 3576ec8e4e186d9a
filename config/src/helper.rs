//! Docker credential helpers: `docker-credential-<name> get`, host on stdin, JSON on stdout.
//! Protocol: <https://github.com/docker/docker-credential-helpers#development>.

use std::process::Stdio;
use std::time::Duration;

use registry::credential::CredentialError;
use registry::{Credential, RegistryHost, Secret};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// Asks a helper for the credential of `host`. It is killed after [`TIME_LIMIT`].
pub(crate) async fn get(name: &str, host: &RegistryHost) -> Result<Credential, CredentialError> {
    if !is_name(name) {
        return Err(CredentialError(
            "the helper's name may hold letters, digits, '.', '_' and '-' only".to_owned(),
        ));
    }
    ask(&format!("docker-credential-{name}"), server(host)).await
}

/// Is this a name that can only mean a program in the search path?
pub(crate) fn is_name(name: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !name.is_empty() && name.bytes().all(good)
}

async fn ask(program: &str, server: &str) -> Result<Credential, CredentialError> {
    let failed = |why: &str| {
        CredentialError(format!("{program}: {why}; try it by hand: echo {server} | {program} get"))
    };
    match tokio::time::timeout(TIME_LIMIT, run(program, server)).await {
        Err(_) => Err(failed("no answer within 10 s")),
        Ok(Err(error)) => Err(failed(&error.to_string())),
        Ok(Ok(answer)) => read(&answer).ok_or_else(|| failed("the answer is not {Username, Secret} in JSON")),
    }
}

/// Its stderr is dropped: helpers may write there what they should not.
async fn run(program: &str, server: &str) -> std::io::Result<Secret> {
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that never reads its question may still answer.
        let _ = stdin.write_all(server.as_bytes()).await;
    }
    let mut answer = String::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(ANSWER_MAX).read_to_string(&mut answer).await?;
    }
    let status = child.wait().await?;
    if status.success() { Ok(Secret::new(answer)) } else { Err(std::io::Error::other(status.to_string())) }
}

fn read(answer: &Secret) -> Option<Credential> {
    let answer: Answer = serde_json::from_str(answer.expose()).ok()?;
    let secret = Secret::new(answer.secret);
    if answer.username == IDENTITY_TOKEN_USER {
        return Some(Credential::IdentityToken(secret));
    }
    Some(Credential::Basic { username: answer.username, password: secret })
}

/// Docker stores its Hub login under the address of the first index.
fn server(host: &RegistryHost) -> &str {
    if host.as_str() == RegistryHost::DOCKER_HUB { "https://index.docker.io/v1/" } else { host.as_str() }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// A helper that talks to a cloud needs a second or two; one that asks a person never ends.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// Largest answer, bytes.
const ANSWER_MAX: u64 = 64 * 1024;
/// The user name by which helpers say that the secret is an identity token.
const IDENTITY_TOKEN_USER: &str = "<token>";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// One at a time: a fork of another thread would inherit the script open for writing, and its start fail.
    static FORKS: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

    /// A folder with a helper that runs `body`; its path stands in for the search path's lookup.
    fn program(body: &str) -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("docker-credential-test");
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        (dir, path.to_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn the_question_and_the_answer_follow_the_protocol() {
        let _alone = FORKS.lock().await;
        let (_dir, path) =
            program(r#"read host; echo "{\"ServerURL\":\"\",\"Username\":\"$1\",\"Secret\":\"$host\"}""#);
        let answer = run(&path, server(&"docker.io".parse().unwrap())).await.unwrap();
        let Some(Credential::Basic { username, password }) = read(&answer) else { panic!("not basic") };
        assert_eq!((username.as_str(), password.expose()), ("get", "https://index.docker.io/v1/"));
    }

    #[tokio::test]
    async fn a_failing_helper_tells_its_status_and_nothing_it_printed() {
        let _alone = FORKS.lock().await;
        let (_dir, path) = program("echo canary; echo canary >&2; exit 3");
        let error = run(&path, "ghcr.io").await.err().unwrap().to_string();
        assert_eq!(error, "exit status: 3");
    }

    #[tokio::test(start_paused = true)]
    async fn a_helper_that_waits_is_given_up() {
        let _alone = FORKS.lock().await;
        let (_dir, path) = program("exec sleep 600");
        let before = tokio::time::Instant::now();
        let error = ask(&path, "ghcr.io").await.err().unwrap().to_string();
        assert!(error.contains("no answer within 10 s; try it by hand: echo ghcr.io |"), "{error}");
        assert_eq!(before.elapsed().as_secs(), 10);
    }

    #[tokio::test]
    async fn a_helper_that_is_not_there_is_named() {
        let _alone = FORKS.lock().await;
        let error = get("pullgate-none", &"ghcr.io".parse().unwrap()).await.err().unwrap().to_string();
        assert!(error.starts_with("docker-credential-pullgate-none: No such file"), "{error}");
        let error = get("../x", &"ghcr.io".parse().unwrap()).await.err().unwrap().to_string();
        assert!(error.contains("may hold letters"), "{error}");
    }

    #[test]
    fn a_token_user_means_an_identity_token() {
        let answer = Secret::new(r#"{"Username":"<token>","Secret":"t"}"#);
        assert!(matches!(read(&answer), Some(Credential::IdentityToken(_))));
        assert!(read(&Secret::new("credentials not found in native keychain")).is_none());
    }
}
