//! Loading a file into a configuration, or into a report of all its problems.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Access, Config, Credentials, Discover, Helper, Kubernetes, Loaded, Report, parse};
use oci::{OnExhausted, Reserve};

fn good(text: &str) -> Loaded {
    parse(text, Path::new("/etc/pullgate/pullgate.toml")).unwrap_or_else(|report| panic!("{report}"))
}

fn bad(text: &str) -> Report {
    parse(text, Path::new("/etc/pullgate/pullgate.toml")).err().unwrap()
}

/// Place, message and help of each problem.
fn told(text: &str) -> Vec<String> {
    let line = |problem: &config::Problem| {
        let help = problem.help.as_deref().unwrap_or("-").lines().next().unwrap_or_default();
        format!("{}:{} {} | {help}", problem.line, problem.column, problem.message)
    };
    bad(text).problems().iter().map(line).collect()
}

#[test]
fn with_no_file_the_well_known_registries_are_there() {
    let config = Config::default();
    assert_eq!(config.proxy.listen, "127.0.0.1:5000".parse::<SocketAddr>().unwrap());
    assert_eq!(config.admin.listen, "127.0.0.1:5080".parse::<SocketAddr>().unwrap());
    assert_eq!(config.proxy.header_deadline, Duration::from_secs(10));
    assert_eq!(config.proxy.cache.lock_wait, Duration::ZERO);
    assert!(config.proxy.cache.dir.is_absolute());
    let registries: Vec<&str> = config.upstreams.iter().map(|upstream| upstream.registry.as_str()).collect();
    let all = [
        "docker.io",
        "gcr.io",
        "ghcr.io",
        "mcr.microsoft.com",
        "public.ecr.aws",
        "quay.io",
        "registry.k8s.io",
    ];
    assert_eq!(registries, all);
    let hub = &config.upstreams[0];
    assert_eq!(hub.endpoints[0].url.as_str(), "https://registry-1.docker.io/");
    assert_eq!((hub.access, hub.on_exhausted), (Access::Public, OnExhausted::Release));
    assert_eq!(hub.quota_reserve, Reserve::Percent(10));
    assert_eq!((hub.tag_max_age.as_secs(), hub.stale_limit.as_secs()), (60, 7 * 86_400));
}

#[test]
fn every_key_of_the_contract_is_understood() {
    let loaded = good(CONTRACT);
    let config = &loaded.config;
    assert_eq!(config.proxy.cache.max_size, Some(50 << 30));
    let hub = config.upstream(&"docker.io".parse().unwrap()).unwrap();
    let file = PathBuf::from("/etc/pullgate/dockerhub/config.json");
    assert_eq!(hub.credentials, Some(Credentials::DockerConfig(file)));
    assert_eq!(hub.repositories[0].0, "org/*");
    assert!(hub.zone.addresses.public);
    assert_eq!(hub.zone.addresses.ranges[0].to_string(), "10.0.0.0/8");
    assert_eq!(hub.zone.blob_hosts[0].0, "*.cloudfront.docker.com");
    assert_eq!(config.prober.targets[0].image.to_string(), "docker.io/library/alpine:3.20");
    assert_eq!(config.records.file, PathBuf::from("/var/lib/pullgate/records.db"));
    let bounds = (config.records.enabled, config.records.max_age.as_secs(), config.records.max_size);
    assert_eq!(bounds, (true, 30 * 86_400, 1 << 30));
}

#[test]
fn the_cluster_is_looked_at_as_far_as_the_file_says() {
    let kubernetes = |text: &str| good(&format!("[kubernetes]\n{text}")).config.kubernetes;
    assert_eq!(kubernetes(""), Kubernetes { discover: Discover::Off, secrets: true, kubeconfig: None });
    assert_eq!(kubernetes("discover = 'cluster'\nsecrets = false").discover, Discover::Cluster);
    let some = Discover::Namespaces(vec!["shop".to_owned(), "jobs".to_owned()]);
    assert_eq!(kubernetes("discover = 'namespaces'\nnamespaces = ['shop', 'jobs']").discover, some);
    for (text, message) in [
        ("discover = 'namespaces'", "names none"),
        ("namespaces = ['shop']", "has no effect"),
        ("discover = 'cluster'\nnamespaces = ['shop']", "has no effect"),
        ("discover = 'all'", "kubernetes.discover"),
        ("discover = 'namespaces'\nnamespaces = ['Shop']", "namespaces"),
    ] {
        let told = told(&format!("[kubernetes]\n{text}"));
        assert!(told.len() == 1 && told[0].contains(message), "{text}: {told:?}");
    }
}

#[test]
fn records_are_kept_in_the_cache_folder_unless_the_file_names_a_place() {
    let file = |text: &str| good(text).config.records.file;
    assert_eq!(file("proxy.cache.dir = \"/data\""), PathBuf::from("/data/records.db"));
    assert_eq!(file("records.file = \"pulls.db\""), PathBuf::from("/etc/pullgate/pulls.db"));
    assert!(!good("records.enabled = false").config.records.enabled);
    assert!(told("records.max_age = \"0s\"")[0].contains("max_age"), "no record could be kept");
}

#[test]
fn the_log_names_images_and_clients_unless_the_file_says_no() {
    assert!(Config::default().log.names);
    let hidden = good("[log]\nnames = false\n");
    assert!(!hidden.config.log.names);
    let printed = hidden.effective().into_iter().find(|value| value.key == "log.names").unwrap();
    assert_eq!((printed.value, printed.origin), (false.into(), "/etc/pullgate/pullgate.toml:2".to_owned()));
    assert_eq!(told("[log]\nnames = \"no\"\n").len(), 1);
}

#[test]
fn a_reserve_is_a_share_or_a_number() {
    let reserve = |value: &str| {
        let text = format!("[upstreams.dockerhub]\nquota_reserve = {value}");
        parse(&text, Path::new("pullgate.toml"))
            .map(|loaded| loaded.config.upstream(&"docker.io".parse().unwrap()).unwrap().quota_reserve)
    };
    for (value, meaning) in [
        ("\"0%\"", Reserve::Percent(0)),
        ("\"100%\"", Reserve::Percent(100)),
        ("25", Reserve::Count(25)),
        ("0", Reserve::Count(0)),
    ] {
        assert_eq!(reserve(value).unwrap(), meaning, "{value}");
    }
    for value in ["\"101%\"", "\"10\"", "\"1.5%\"", "\"-1%\"", "-1", "true", "\"\""] {
        let report = reserve(value).unwrap_err();
        assert_eq!(report.problems()[0].key, "upstreams.dockerhub.quota_reserve", "{value}");
    }
}

#[test]
fn a_section_changes_only_what_it_says() {
    let config = good("[upstreams.hub]\nregistry = \"docker.io\"\ntag_max_age = \"5m\"").config;
    assert_eq!(config.upstreams.len(), 7);
    let hub = config.upstream(&"docker.io".parse().unwrap()).unwrap();
    assert_eq!((hub.id.as_str(), hub.tag_max_age.as_secs()), ("hub", 300));
    assert_eq!(hub.endpoints[0].url.host_str(), Some("registry-1.docker.io"));
    assert_eq!(hub.zone.token_hosts[0].0, "auth.docker.io");
}

#[test]
fn another_registry_needs_nothing_but_its_name() {
    let config = good("builtin_upstreams = false\n[upstreams.lab]\nregistry = \"registry.lab:5000\"").config;
    assert_eq!(config.upstreams.len(), 1);
    assert_eq!(config.upstreams[0].endpoints[0].url.as_str(), "https://registry.lab:5000/");
}

#[test]
fn a_built_in_id_stands_for_its_registry() {
    let config = good("[upstreams.quay]\nstale_limit = \"0s\"").config;
    assert!(config.upstream(&"quay.io".parse().unwrap()).unwrap().stale_limit.is_zero());
}

#[test]
fn endpoints_are_addresses_or_tables() {
    let text = "[upstreams.hub]\nregistry = \"docker.io\"\naccess = \"shared\"\nendpoints = [\"http://mirror:5000\", \
                { url = \"https://ecr\", prefix = \"docker-hub\", send_ns = true, credentials = { helper = \"ecr-login\" } }]";
    let config = good(text).config;
    let [plain, table] = &config.upstream(&"docker.io".parse().unwrap()).unwrap().endpoints[..] else {
        panic!("expected two endpoints")
    };
    assert_eq!((plain.url.as_str(), plain.send_ns), ("http://mirror:5000/", false));
    assert_eq!((table.prefix.as_deref(), table.send_ns), (Some("docker-hub/"), true));
    assert_eq!(table.credentials, Some(Credentials::Helper(Helper { name: "ecr-login".into() })));
}

#[test]
fn a_credential_provider_is_described_as_the_kubelet_has_it() {
    let text = "[upstreams.ecr]\nregistry = \"1.dkr.ecr.eu-west-1.amazonaws.com\"\naccess = \"shared\"\n\
                credentials = { provider = \"ecr-credential-provider\", args = [\"get-credentials\"], \
                env = { AWS_PROFILE = \"canary\" }, default_lifetime = \"12h\" }";
    let loaded = good(text);
    let registry = "1.dkr.ecr.eu-west-1.amazonaws.com".parse().unwrap();
    let Some(Credentials::Provider(provider)) = &loaded.config.upstream(&registry).unwrap().credentials
    else {
        panic!("expected a provider")
    };
    assert_eq!(provider.program, PathBuf::from("ecr-credential-provider"));
    assert_eq!(provider.arguments, ["get-credentials"]);
    assert_eq!(provider.environment, [("AWS_PROFILE".to_owned(), "canary".to_owned())]);
    assert_eq!(provider.lifetime, Duration::from_secs(12 * 3600));
    let shown = format!("{} {:?}", loaded.print(), loaded.config);
    assert!(shown.contains("AWS_PROFILE") && !shown.contains("canary"), "{shown}");
}

#[test]
fn credentials_have_one_source_and_say_what_is_wrong_with_them() {
    for (credentials, message) in [
        ("{ provider = \"./x\" }", "is not a program"),
        ("{ provider = \"/usr/libexec/\" }", "is not a program"),
        ("{ helper = \"a\", provider = \"b\" }", "more than one source"),
        ("{ helper = \"a\", args = [\"b\"] }", "are for a `provider`"),
        ("{ provider = \"b\", env = { A = 7 } }", "does not give each variable a text"),
        ("{ provider = \"b\", env = \"A=canary\" }", "is a string"),
        ("{ provider = \"b\", default_lifetime = \"1s\" }", "out of bounds"),
        ("{ args = [] }", "are for a `provider`"),
        ("{ }", "names no source"),
    ] {
        let text = format!(
            "[upstreams.hub]\nregistry = \"docker.io\"\naccess = \"shared\"\ncredentials = {credentials}"
        );
        let report = bad(&text).to_string();
        assert!(report.contains(message) && !report.contains("canary"), "{credentials}: {report}");
    }
}

#[test]
fn relative_paths_begin_at_the_file() {
    let text =
        "[proxy]\ntls = { cert = \"tls.crt\", key = \"/run/tls.key\" }\n[proxy.cache]\ndir = \"cache\"";
    let proxy = good(text).config.proxy;
    assert_eq!(proxy.cache.dir, PathBuf::from("/etc/pullgate/cache"));
    let tls = proxy.tls.unwrap();
    assert_eq!((tls.cert, tls.key), (PathBuf::from("/etc/pullgate/tls.crt"), PathBuf::from("/run/tls.key")));
}

#[test]
fn credentials_need_a_named_access() {
    let text =
        "[upstreams.hub]\nregistry = \"docker.io\"\ncredentials = { docker_config = \"/a/config.json\" }\n";
    assert_eq!(
        bad(text).to_string(),
        r#"error: credentials without `access`
 --> /etc/pullgate/pullgate.toml:3:15
  |
3 | credentials = { docker_config = "/a/config.json" }
  |               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ expected `access` in this section
  |
help: say who may see what these credentials can pull:
      access = "shared"      everybody who reaches the proxy may pull what the credentials may pull
      access = "public"      only public images are pulled; the credentials are there for the quota
      or take the credentials out and write
      access = "per-client"  each client proves itself to the upstream

/etc/pullgate/pullgate.toml: 1 problem"#
    );
    for access in ["public", "shared"] {
        good(&format!("{text}access = \"{access}\""));
    }
    let endpoint = "[upstreams.hub]\nregistry = \"docker.io\"\nendpoints = [{ url = \"https://a\", credentials = { helper = \"x\" } }]";
    assert_eq!(bad(endpoint).problems()[0].message, "credentials without `access`");
}

#[test]
fn per_client_access_takes_no_credentials() {
    let text = "[upstreams.hub]\nregistry = \"docker.io\"\naccess = \"per-client\"\ncredentials = { helper = \"pass\" }";
    assert_eq!(
        told(text),
        ["4:15 `access = \"per-client\"` takes no credentials: each client proves itself to the upstream | \
          take the credentials out, or write access = \"shared\""]
    );
}

#[test]
fn per_client_access_takes_one_endpoint() {
    let text = "[upstreams.hub]\nregistry = \"docker.io\"\naccess = \"per-client\"\nendpoints = [\"https://a\", \"https://b\"]";
    assert_eq!(
        told(text),
        ["4:13 `access = \"per-client\"` takes one endpoint: clients' tokens go to it alone | \
          keep the endpoint whose tokens clients get, or write another access"]
    );
    good("[upstreams.hub]\nregistry = \"docker.io\"\naccess = \"per-client\"\nendpoints = [\"https://a\"]");
}

#[test]
fn all_problems_are_told_in_one_run_in_the_order_of_the_file() {
    let text = r#"
bultin_upstreams = false
[proxy]
lisen = "127.0.0.1:5000"
listen = ":5000"
header_deadline = "60s"
drain = 30
lock_wait = "5s"
max_connections = "many"
tls = { cert = "a" }
[proxy.cache]
max_size = "50"
[upstreams.a]
registry = "https://ghcr.io"
access = "shred"
[upstreams.b]
endpoints = []
[upstreams.c]
registry = "index.docker.io"
[upstreams.d]
registry = "docker.io"
repositories = ["org/*"]
addresses = ["169.254.169.254", "10.0.0.0/99"]
token_hosts = ["*"]
endpoints = ["ghcr.io", "https://a/v2/", "https://a/b/c", "ftp://a"]
[upstreams."Quay.io"]
registry = "quay.io"
[upstreams.gcr]
registry = "eu.gcr.io"
[[prober.targets]]
image = "nowhere.example/a:b"
[[prober.targets]]
platform = "linux"
"#;
    let expected = [
        "2:1 unknown key `bultin_upstreams` in the top level | write `builtin_upstreams`",
        "4:1 unknown key `lisen` in [proxy] | write `listen`",
        "5:10 `proxy.listen` is not an address and port | write \"0.0.0.0:5000\" or \"[::]:5000\" for all addresses",
        "6:19 `proxy.header_deadline` is out of bounds | -",
        "7:9 `proxy.drain` is not a duration | write a unit: \"30s\"",
        "8:1 unknown key `lock_wait` in [proxy] | `lock_wait` belongs in [proxy.cache]",
        "9:19 `proxy.max_connections` is a string | -",
        "10:7 `tls` has no `key` | write key = \"/path/to/tls.key\" beside `cert`",
        "12:12 `proxy.cache.max_size` is not a size | -",
        "14:12 `upstreams.a.registry` is not a registry host | write \"ghcr.io\"; an address goes into `endpoints`",
        "15:10 `upstreams.a.access` cannot be this | write \"shared\"",
        "16:12 the section has no `registry` | write registry = \"host\", the host as it stands in image names",
        "20:12 docker.io has two sections, `c` and `d` | put everything into one section; several addresses go into its `endpoints`",
        "22:16 `repositories` says where credentials are used, and there are none | leave `repositories` out; it does not limit what clients may pull",
        "23:14 link-local and metadata addresses are never allowed | -",
        "23:33 `upstreams.d.addresses.1` has an entry that is no address range | -",
        "24:16 `upstreams.d.token_hosts.0` is not a host name | -",
        "25:14 `upstreams.d.endpoints.0` is not an address | write \"https://ghcr.io\"",
        "25:25 the address has a path | write \"https://a\"; /v2/ is added",
        "25:42 the address has a path | write { url = \"https://a\", prefix = \"b/c/\" }",
        "25:59 the address is neither https:// nor http:// | -",
        "26:12 `Quay.io` is not a short id | the registry's host goes into the section, as `registry = \"...\"`",
        "28:12 `gcr` is the built-in id of gcr.io | give the section another name",
        "31:9 the registry of this target, nowhere.example, is not configured | add a section:",
        "33:12 `prober.targets.1.platform` is not a platform | -",
        "33:12 a target has no `image` | write image = \"registry/repository:tag\"",
    ];
    let told = told(text);
    for (told, expected) in told.iter().zip(expected) {
        assert_eq!(told, expected);
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
}

#[test]
fn bounds_hold_at_both_ends() {
    let deadline =
        |text: &str| parse(&format!("[proxy]\nheader_deadline = \"{text}\""), Path::new("x")).is_ok();
    assert_eq!(["1s", "25s", "999ms", "25001ms"].map(deadline), [true, true, false, false]);
    assert_eq!(bad("[proxy]\nheader_deadline = \"60s\"").problems()[0].expected, "duration from 1s to 25s");
}

#[test]
fn names_from_the_file_cannot_steer_the_terminal() {
    let report = bad("\"\\u001b[2Jx\" = 1\n[upstreams.\"\\u001b[2J\"]\nlisten = 1");
    assert!(!report.to_string().contains('\u{1b}'), "{report:?}");
}

#[test]
fn a_target_without_image_is_told_where_the_list_is() {
    assert_eq!(
        told("[prober]\ntargets = [{}]")[0],
        "2:11 a target has no `image` | write image = \"registry/repository:tag\""
    );
}

#[test]
fn two_listeners_cannot_share_an_address() {
    let text = "[admin]\nlisten = \"127.0.0.1:5000\"";
    assert_eq!(bad(text).problems()[0].message, "`admin.listen` and `proxy.listen` are the same");
    good("[proxy]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"");
}

#[test]
fn credentials_have_exactly_one_source() {
    for (source, message) in [
        ("", "`credentials` names no source"),
        ("username = \"u\"", "`username` has no `password_file`"),
        ("password_file = \"/p\"", "`password_file` has no `username`"),
        ("helper = \"x\", docker_config = \"/p\"", "`credentials` names more than one source"),
        (
            "helper = \"../x\"",
            "`upstreams.hub.credentials.helper` is not a name of a docker credential helper",
        ),
    ] {
        let text = format!(
            "[upstreams.hub]\nregistry = \"docker.io\"\naccess = \"shared\"\ncredentials = {{ {source} }}"
        );
        let report = bad(&text);
        assert_eq!(report.problems().len(), 1, "{report}");
        assert_eq!(report.problems()[0].message, message);
    }
}

#[test]
fn what_is_not_toml_is_told_with_its_place() {
    let told = told("[proxy]\nlisten = 127.0.0.1:5000\n");
    assert!(told[0].starts_with("2:") && told[0].contains("not TOML"), "{told:?}");
    let twice = bad("[proxy]\ndrain = \"1s\"\ndrain = \"2s\"\n");
    assert_eq!(
        (twice.problems()[0].line, twice.problems()[0].message.as_str()),
        (3, "not TOML: duplicate key")
    );
}

#[test]
fn a_file_that_cannot_be_read_is_a_report_too() {
    let report = Config::load(Some(Path::new("/nonexistent/pullgate.toml"))).err().unwrap();
    let text = report.to_string();
    assert!(text.starts_with("error: cannot read /nonexistent/pullgate.toml: No such file"), "{text}");
    assert_eq!(report.problems()[0].line, 0);
}

#[test]
fn problems_are_there_for_machines() {
    let report = bad("[proxy]\ndrain = 30");
    let json = serde_json::to_value(report.problems()).unwrap();
    assert_eq!(
        json,
        serde_json::json!([{
            "line": 2, "column": 9, "key": "proxy.drain", "message": "`proxy.drain` is not a duration",
            "expected": "duration, such as \"60s\", \"1h30m\" or \"7d\"", "help": "write a unit: \"30s\""
        }])
    );
}

#[test]
fn the_effective_configuration_tells_origins_and_is_a_file_again() {
    let loaded = good(CONTRACT);
    let printed = loaded.print();
    let has =
        |key: &str, origin: &str| printed.lines().any(|line| line.starts_with(key) && line.ends_with(origin));
    assert!(has("max_size = \"50GiB\"", "# /etc/pullgate/pullgate.toml:5"), "{printed}");
    assert!(has("drain = \"30s\"", "# default"), "{printed}");
    assert!(has("endpoints = [\"https://ghcr.io\"]", "# built in"), "{printed}");
    let again = good(&printed);
    let values =
        |loaded: &Loaded| loaded.effective().into_iter().map(|e| (e.key, e.value)).collect::<Vec<_>>();
    let mut before = values(&loaded);
    before.sort_by(|a, b| a.0.cmp(&b.0));
    let mut after = values(&again);
    after.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(before, after);
}

#[test]
fn messages_say_what_to_write() {
    for (text, help) in [
        ("proxy.cache.max_size = 53687091200", "write a unit: \"50GiB\""),
        ("proxy.cache.max_size = 50", "write a unit: \"50GiB\""),
        ("proxy.drain = 30", "write a unit: \"30s\""),
        (
            "[upstreams.x]\nregistry = \"https://x.example\"",
            "write \"x.example\"; an address goes into `endpoints`",
        ),
        ("[upstreams.x]\nregistry = \"http://me:pw@x.example:5000/v2/\"", "write \"x.example:5000\""),
    ] {
        let report = bad(&format!("{text}\n"));
        assert!(report.to_string().contains(help), "{text}:\n{report}");
    }
}

#[test]
fn an_unknown_section_keeps_its_name_and_hides_its_values() {
    let report =
        bad("[mine.inner.other]\na = \"canary\"\nb = { c = \"canary\" }\n[[more]]\nd = \"canary\"\n");
    let text = format!("{report}\n{report:?}");
    assert!(text.contains("[mine.inner.other]") && !text.contains("canary"), "{text}");
}

#[test]
fn a_missing_file_is_told_without_an_empty_excerpt() {
    let report = Config::load(Some(Path::new("/nowhere/pullgate.toml"))).unwrap_err();
    let text = report.to_string();
    assert!(
        text.starts_with("error: cannot read /nowhere/pullgate.toml") && text.contains("\nhelp: name a file"),
        "{text}"
    );
    assert!(!text.contains('|'), "{text}");
}

/// Puts a secret in every place where a user might write one; no printed output may show it.
#[test]
fn no_output_shows_a_secret_that_stands_in_the_file() {
    let section = "[upstreams.hub]\nregistry = \"docker.io\"\naccess = \"shared\"\n";
    for line in [
        "password = \"canary\"",
        "pasword = \"canary\"",
        "token = canary",
        "pasword = canary",
        "password = \"\"\"\ncanary\\q\n\"\"\"",
        "credentials = \"user:canary@host\"",
        "credentials = { username = \"u\", password = \"canary\" }",
        "credentials = { username = \"u\", password = \"canary\"",
        "credentials = { username = \"u:canary\", password_file = \"/p\" }",
        "credentials = { docker_config = '{\"auths\":{\"ghcr.io\":{\"auth\":\"canary\"}}}' }",
        "credentials = { docker_config = 7, auth = \"canary\" }",
        "credentials.pass = \"canary\"",
        "endpoints = [\"https://user:canary@host\"]",
        "endpoints = [\"https://canary@host/path\", 7]",
        "endpoints = [\"user:canary@host\"]",
        "endpoints = [{ url = \"https://user:canary@host\", prefix = \"/\" }]",
        "ca_file = \"https://user:canary@host/ca\"\nkeep_removed = 7",
        "token_hosts = [\"user:canary@host\"]",
    ] {
        let report = bad(&format!("{section}{line}\n"));
        let json = serde_json::to_string(report.problems()).unwrap();
        let all = format!("{report}\n{report:?}\n{json}");
        assert!(!all.contains("canary"), "{line}:\n{all}");
    }
}

const CONTRACT: &str = r#"[proxy]
listen = "127.0.0.1:5000"
[proxy.cache]
dir = "/var/lib/pullgate"
max_size = "50GiB"
[admin]
listen = "127.0.0.1:5080"
[upstreams.dockerhub]
registry = "docker.io"
endpoints = ["https://registry-1.docker.io"]
access = "public"
credentials = { docker_config = "/etc/pullgate/dockerhub/config.json" }
repositories = ["org/*"]
addresses = ["public", "10.0.0.0/8"]
token_hosts = ["auth.docker.io"]
blob_hosts = ["*.cloudfront.docker.com"]
ca_file = "/etc/pullgate/ca.pem"
tag_max_age = "60s"
stale_limit = "7d"
on_exhausted = "release"
[records]
file = "/var/lib/pullgate/records.db"
max_age = "30d"
max_size = "1GiB"
[prober]
interval = "60s"
[[prober.targets]]
image = "docker.io/library/alpine:3.20"
"#;
