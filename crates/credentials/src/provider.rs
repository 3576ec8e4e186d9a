//! The kubelet's credential-provider plugins: a request for one image on stdin, credentials by image pattern on stdout.
//! Protocol: `credentialprovider.kubelet.k8s.io/v1` (KEP-2133,
//! `staging/src/k8s.io/kubelet/pkg/apis/credentialprovider`).

use std::collections::BTreeMap;
use std::time::Duration;

use oci::credential::CredentialError;
use oci::{Credential, Secret, go_duration};
use serde::Deserialize;
use serde_json::json;

use crate::answers::{Answer, Answers};
use crate::keyring::{self, Image, Keyring};
use crate::origin::Provider;
use crate::process::{Environment, run};

/// The credential that a provider has for `image`; `None` means anonymous.
///
/// The provider runs only if no answer is kept for the image, for its registry, or for all images. It is killed after
/// [`TIME_LIMIT`].
pub(crate) async fn get(provider: &Provider, image: &Image) -> Result<Option<Credential>, CredentialError> {
    let (asked, of) = (provider.clone(), image.clone());
    let run = async move { ask(&asked, &of).await };
    // Only the answer says which of these places it is for, so all runs of one provider share one turn.
    let keyring = provider.answers.get(places(image), String::new(), run).await?;
    let entries = keyring.iter().map(|(key, credential)| (key.as_str(), credential));
    Ok(keyring::find(entries, image).next().map(|(_, credential)| credential.clone()))
}

/// Forgets an answer that the registry refused.
pub(crate) fn forget(answers: &Answers<Keyring>, image: &Image) {
    answers.forget(&places(image));
}

/// The keys under which answers for `image` may be kept: the image, its registry, and the key for all images.
fn places(image: &Image) -> Vec<String> {
    vec![image.to_string(), image.host.as_str().to_owned(), String::new()]
}

async fn ask(provider: &Provider, image: &Image) -> Result<Answer<Keyring>, CredentialError> {
    let name = provider.program.display();
    let failed = |why: &str| CredentialError(format!("the credential provider {name}: {why}"));
    let request = json!({
        "apiVersion": API_VERSION, "kind": "CredentialProviderRequest", "image": image.to_string(),
    });
    let environment = Environment::Only(environment(provider));
    let question = request.to_string();
    let answer =
        run(&provider.program, &provider.arguments, &environment, question.as_bytes(), TIME_LIMIT).await;
    let answer = answer.map_err(|error| failed(&error.to_string()))?;
    let response = Response::read(&answer).map_err(|why| failed(&why))?;
    Ok(Answer {
        place: response.place(image),
        life: response.life(provider.lifetime),
        value: response.keyring(),
    })
}

/// The environment of a provider: the variables that the search path and the cloud libraries need, and those that the
/// configuration adds.
fn environment(provider: &Provider) -> Vec<(String, String)> {
    let passed = |name: &str| {
        PASSED_ON.contains(&name) || PASSED_ON_BELOW.iter().any(|prefix| name.starts_with(prefix))
    };
    let ours = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    ours.filter(|(name, _)| passed(name)).chain(provider.environment.iter().cloned()).collect()
}

/// `CredentialProviderResponse`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    kind: String,
    api_version: String,
    cache_key_type: String,
    #[serde(default)]
    cache_duration: Option<String>,
    #[serde(default)]
    auth: Option<BTreeMap<String, Auth>>,
}

#[derive(Deserialize)]
struct Auth {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
}

impl Response {
    /// Parses an answer. Errors name the fault and do not quote the answer, which holds secrets.
    fn read(answer: &Secret) -> Result<Self, String> {
        let response: Self = serde_json::from_str(answer.expose()).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format!("the answer is no CredentialProviderResponse (line {line}, column {column})")
        })?;
        if response.kind != "CredentialProviderResponse" || response.api_version != API_VERSION {
            return Err(format!("the answer is not a CredentialProviderResponse of {API_VERSION}"));
        }
        if !matches!(response.cache_key_type.as_str(), "Image" | "Registry" | "Global") {
            return Err("the answer's cacheKeyType is none of Image, Registry, Global".to_owned());
        }
        Ok(response)
    }

    fn place(&self, image: &Image) -> String {
        match self.cache_key_type.as_str() {
            "Image" => image.to_string(),
            "Registry" => image.host.as_str().to_owned(),
            _ => String::new(),
        }
    }

    /// The time for which the answer is kept, at least [`LIFE_MIN`]. `otherwise`, from the configuration, applies if
    /// the answer states no valid duration. A duration of zero means that the answer is for one pull only.
    fn life(&self, otherwise: Duration) -> Duration {
        let stated = self.cache_duration.as_deref().and_then(|text| go_duration::parse(text.trim()));
        stated.unwrap_or(otherwise).max(LIFE_MIN)
    }

    fn keyring(self) -> Keyring {
        let basic =
            |auth: Auth| Credential::Basic { username: auth.username, password: Secret::new(auth.password) };
        self.auth.unwrap_or_default().into_iter().map(|(key, auth)| (key, basic(auth))).collect()
    }
}

/// The only protocol version that is supported.
const API_VERSION: &str = "credentialprovider.kubelet.k8s.io/v1";
/// Longest run of a provider, which calls its cloud's token service. The kubelet waits a minute.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// Shortest time for which an answer is kept: one pull needs it many times, and each run starts a process.
const LIFE_MIN: Duration = Duration::from_secs(10);
/// Variables of this process that are passed to a provider.
const PASSED_ON: [&str; 14] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "LANG",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "https_proxy",
    "http_proxy",
    "no_proxy",
    "CLOUDSDK_CONFIG",
];
/// Prefixes of further variables that are passed on: the cloud libraries use them to find their identity.
const PASSED_ON_BELOW: [&str; 3] = ["AWS_", "AZURE_", "GOOGLE_"];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::testing::{FORKS, program};

    fn provider(program: &Path) -> Provider {
        Provider {
            program: program.to_owned(),
            arguments: vec!["get-credentials".to_owned()],
            environment: vec![("PROFILE".to_owned(), "pull".to_owned())],
            lifetime: Duration::from_secs(600),
            answers: Answers::default(),
        }
    }

    fn image(text: &str) -> Image {
        let (host, repository) = text.split_once('/').unwrap();
        Image { host: host.parse().unwrap(), repository: repository.to_owned() }
    }

    /// A provider that puts the number of its runs into the user name and records its requests; `rest` completes its
    /// answer.
    fn answering(rest: &str) -> String {
        format!(
            r#"cd "$(dirname "$0")"; read request; echo "$request" >>requests; echo run >>runs; n=$(wc -l <runs)
echo "{{\"kind\":\"CredentialProviderResponse\",\"apiVersion\":\"credentialprovider.kubelet.k8s.io/v1\",{},\"auth\":{{\"*.example.com\":{{\"username\":\"$n\",\"password\":\"$1-$PROFILE\"}}}}}}""#,
            rest.replace('"', "\\\"")
        )
    }

    async fn user(provider: &Provider, name: &str) -> String {
        match get(provider, &image(name)).await.unwrap() {
            Some(Credential::Basic { username, .. }) => username,
            _ => "anonymous".to_owned(),
        }
    }

    #[tokio::test]
    async fn request_and_response_follow_the_protocol() {
        let _alone = FORKS.lock().await;
        let (dir, path) = program(&answering(r#""cacheKeyType":"Registry","cacheDuration":"6h0m0s""#));
        let provider = provider(&path);
        let Some(Credential::Basic { username, password }) =
            get(&provider, &image("r.example.com/org/app")).await.unwrap()
        else {
            panic!("not basic")
        };
        assert_eq!((username.trim(), password.expose()), ("1", "get-credentials-pull"));
        let asked: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(dir.path().join("requests")).unwrap()).unwrap();
        let wanted = json!({ "apiVersion": API_VERSION, "kind": "CredentialProviderRequest",
                             "image": "r.example.com/org/app" });
        assert_eq!(asked, wanted);
    }

    #[tokio::test]
    async fn an_answer_is_kept_as_its_key_type_says() {
        let _alone = FORKS.lock().await;
        for (key_type, users) in
            [("Image", ["1", "1", "2", "3"]), ("Registry", ["1", "1", "1", "2"]), ("Global", ["1"; 4])]
        {
            let (_dir, path) = program(&answering(&format!(r#""cacheKeyType":"{key_type}""#)));
            let provider = provider(&path);
            let images = ["a.example.com/x", "a.example.com/x", "a.example.com/y", "b.example.com/x"];
            for (image, expected) in images.into_iter().zip(users) {
                assert_eq!(user(&provider, image).await.trim(), expected, "{key_type} {image}");
            }
        }
    }

    #[tokio::test]
    async fn an_image_that_no_pattern_covers_is_pulled_anonymously() {
        let _alone = FORKS.lock().await;
        let (_dir, path) = program(&answering(r#""cacheKeyType":"Global""#));
        assert_eq!(user(&provider(&path), "other.example/x").await, "anonymous");
    }

    #[test]
    fn lifetimes_are_stated_absent_or_nonsense() {
        let life = |stated: &str| {
            let text = format!(
                r#"{{"kind":"CredentialProviderResponse","apiVersion":"{API_VERSION}","cacheKeyType":"Image"{stated}}}"#
            );
            Response::read(&Secret::new(text)).unwrap().life(Duration::from_secs(600)).as_secs()
        };
        for (stated, seconds) in [
            (r#","cacheDuration":"6h0m0s""#, 21_600),
            (r#","cacheDuration":"1.5h""#, 5_400),
            (r#","cacheDuration":"0s""#, 10),
            (r#","cacheDuration":"0""#, 10),
            (r#","cacheDuration":null"#, 600),
            ("", 600),
            (r#","cacheDuration":"soon""#, 600),
            (r#","cacheDuration":"-1h""#, 600),
        ] {
            assert_eq!(life(stated), seconds, "{stated}");
        }
    }

    #[tokio::test]
    async fn errors_name_the_program_and_never_quote_it() {
        let _alone = FORKS.lock().await;
        for (body, told) in [
            ("echo canary", "no CredentialProviderResponse (line 1, column 1)"),
            ("echo canary >&2; exit 2", "exit status: 2"),
            (
                r#"echo '{"kind":"canary","apiVersion":"v1","cacheKeyType":"Image"}'"#,
                "not a CredentialProviderResponse of",
            ),
            (
                r#"echo '{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"canary"}'"#,
                "none of Image, Registry, Global",
            ),
        ] {
            let (_dir, path) = program(body);
            let error = get(&provider(&path), &image("a.example.com/x")).await.err().unwrap().to_string();
            assert!(error.contains(path.to_str().unwrap()) && error.contains(told), "{error}");
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
