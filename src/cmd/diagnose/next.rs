//! The command to run next. It is made of closed texts and of names that a shell does not interpret.

use diagnose::{Reading, Reason};
use oci::Class;

/// The command to run next for this reading; `None` if the text names nothing to look at.
pub(super) fn command(reading: &Reading) -> Option<String> {
    let host = reading.host.as_deref().filter(|host| is_plain(host));
    let image = reading.image.as_deref().filter(|image| is_plain(image));
    match reading.class {
        Class::DiskFull | Class::DiskSlow => {
            Some("df -h /var/lib/containerd && df -i /var/lib/containerd".to_owned())
        }
        Class::CriDown => Some("systemctl status containerd crio docker".to_owned()),
        Class::KubeletThrottle => Some("kubectl get --raw /api/v1/nodes/NODE/proxy/configz".to_owned()),
        Class::Unknown if reading.reason == Some(Reason::BackOffOnly) => {
            Some("kubectl describe pod POD --namespace NAMESPACE".to_owned())
        }
        Class::Dns => host.map(|host| format!("getent ahosts {}", name(host))),
        Class::TlsUnknownCa
        | Class::TlsExpired
        | Class::TlsNotYetValid
        | Class::TlsName
        | Class::TlsOther => host
            .map(|host| format!("openssl s_client -connect {} -servername {}", with_port(host), name(host))),
        Class::ConnectTimeout
        | Class::ConnectRefused
        | Class::ConnectUnreachable
        | Class::ConnectReset
        | Class::BlobHost
        | Class::GeoOrWafBlock => host.map(|host| format!("curl -sS -o /dev/null -v https://{host}/v2/")),
        Class::HttpProxy => Some("systemctl show containerd --property Environment".to_owned()),
        Class::NameInvalid | Class::NeverPolicy | Class::Signature => None,
        _ => image.map(|image| format!("pullgate diagnose {}", full(image))),
    }
}

/// The image as `diagnose` accepts it: a bare word would be a namespace.
fn full(image: &str) -> String {
    if image.contains(['/', ':', '@']) { image.to_owned() } else { format!("docker.io/library/{image}") }
}

fn name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn with_port(host: &str) -> String {
    if name(host) == host { format!("{host}:443") } else { host.to_owned() }
}

/// True if a shell takes the text as one word and as no option.
fn is_plain(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '/' | '@');
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use diagnose::classify;

    use super::*;

    #[test]
    fn the_next_command_names_the_host_or_the_image() {
        for (text, expected) in [
            (
                r#"Head "https://r.test:5000/v2/a/manifests/1": x509: certificate signed by unknown authority"#,
                Some("openssl s_client -connect r.test:5000 -servername r.test"),
            ),
            ("dial tcp: lookup r.test: no such host", Some("getent ahosts r.test")),
            (
                r#"Failed to pull image "nginx": toomanyrequests: Rate exceeded"#,
                Some("pullgate diagnose docker.io/library/nginx"),
            ),
            ("dial tcp: lookup $(reboot): no such host", None),
            (r#"Failed to pull image "a/b:1;reboot": toomanyrequests: Rate exceeded"#, None),
        ] {
            assert_eq!(command(&classify(text)).as_deref(), expected, "{text}");
        }
    }
}
