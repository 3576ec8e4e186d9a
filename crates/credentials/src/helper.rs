//! Docker credential helpers: `docker-credential-<name> get`, host on stdin, JSON on stdout.
//! Protocol: <https://github.com/docker/docker-credential-helpers#development>.

use std::path::Path;
use std::time::Duration;

use oci::credential::{CredentialError, is_helper_name};
use oci::{Credential, RegistryHost, Secret};
use serde::Deserialize;

use crate::answers::{Answer, Answers};
use crate::keyring::Image;
use crate::process::{Environment, run};
use crate::program;

/// Asks a helper for the credential of `host`, and keeps the answer for [`LIFE`]. The helper is killed after
/// [`TIME_LIMIT`].
pub(crate) async fn get(
    answers: &Answers<Credential>,
    name: &str,
    host: &RegistryHost,
) -> Result<Credential, CredentialError> {
    if !is_helper_name(name) {
        return Err(CredentialError(
            "the helper's name may hold letters, digits, '.', '_' and '-' only".to_owned(),
        ));
    }
    let (program, host) = (format!("docker-credential-{name}"), host.clone());
    let place = place(name, &host);
    let kept = answers.get(vec![place.clone()], place.clone(), async move {
        let value = ask(&program, server(&host)).await?;
        Ok(Answer { value, place, life: LIFE })
    });
    Ok(kept.await?.as_ref().clone())
}

/// The key under which an answer of this helper is kept.
fn place(name: &str, host: &RegistryHost) -> String {
    format!("{name} {}", host.as_str())
}

/// Forgets an answer that the registry refused.
pub(crate) fn forget(answers: &Answers<Credential>, name: &str, images: &[Image]) {
    let places: Vec<String> = images.iter().map(|image| place(name, &image.host)).collect();
    answers.forget(&places);
}

/// Looks for the helper's program without running it.
pub(crate) fn find(name: &str) -> Result<(), CredentialError> {
    program::find(Path::new(&format!("docker-credential-{name}"))).map(drop)
}

/// Runs the helper with the environment of this process: desktop helpers need it to find their key stores.
async fn ask(program: &str, server: &str) -> Result<Credential, CredentialError> {
    let failed = |why: &str| {
        CredentialError(format!("{program}: {why}; try it by hand: echo {server} | {program} get"))
    };
    let question = server.as_bytes();
    let answer = run(program, &["get".to_owned()], &Environment::Inherited, question, TIME_LIMIT).await;
    let answer = answer.map_err(|error| failed(&error.to_string()))?;
    read(&answer).ok_or_else(|| failed("the answer is not {Username, Secret} in JSON"))
}

fn read(answer: &Secret) -> Option<Credential> {
    let answer: HelperAnswer = serde_json::from_str(answer.expose()).ok()?;
    let secret = Secret::new(answer.secret);
    if answer.username == IDENTITY_TOKEN_USER {
        return Some(Credential::IdentityToken(secret));
    }
    Some(Credential::Basic { username: answer.username, password: secret })
}

/// The server name to send to the helper. Docker stores the login of Docker Hub under the address of its first index.
fn server(host: &RegistryHost) -> &str {
    if host.as_str() == RegistryHost::DOCKER_HUB { "https://index.docker.io/v1/" } else { host.as_str() }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

/// Longest run of a helper. A helper that calls a cloud needs a second or two; one that waits for a user never ends.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// The time for which an answer is kept. Helpers state no lifetime; without a cache, a registry with Basic
/// authentication would cause one run for each request.
const LIFE: Duration = Duration::from_secs(30);
/// The user name in a helper's answer that marks the secret as an identity token.
const IDENTITY_TOKEN_USER: &str = "<token>";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::{FORKS, program};

    #[tokio::test]
    async fn the_question_and_the_answer_follow_the_protocol() {
        let _alone = FORKS.lock().await;
        let (_dir, path) =
            program(r#"read host; echo "{\"ServerURL\":\"\",\"Username\":\"$1\",\"Secret\":\"$host\"}""#);
        let answer = ask(path.to_str().unwrap(), server(&"docker.io".parse().unwrap())).await;
        let Ok(Credential::Basic { username, password }) = answer else { panic!("not basic") };
        assert_eq!((username.as_str(), password.expose()), ("get", "https://index.docker.io/v1/"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_helper_without_an_answer_fails_at_the_time_limit() {
        let _alone = FORKS.lock().await;
        let (_dir, path) = program("exec sleep 600");
        let before = tokio::time::Instant::now();
        let error = ask(path.to_str().unwrap(), "ghcr.io").await.err().unwrap().to_string();
        assert!(error.contains("no answer within 10 s; try it by hand: echo ghcr.io |"), "{error}");
        assert_eq!(before.elapsed().as_secs(), 10);
    }

    #[tokio::test]
    async fn the_error_for_a_missing_helper_names_it() {
        let _alone = FORKS.lock().await;
        let get = |name: &'static str| async move {
            let host = "ghcr.io".parse().unwrap();
            get(&Answers::default(), name, &host).await.err().unwrap().to_string()
        };
        let error = get("pullgate-none").await;
        assert!(error.starts_with("docker-credential-pullgate-none: No such file"), "{error}");
        let error = get("../x").await;
        assert!(error.contains("may hold letters"), "{error}");
    }

    #[test]
    fn a_token_user_means_an_identity_token() {
        let answer = Secret::new(r#"{"Username":"<token>","Secret":"t"}"#);
        assert!(matches!(read(&answer), Some(Credential::IdentityToken(_))));
        assert!(read(&Secret::new("credentials not found in native keychain")).is_none());
    }
}
