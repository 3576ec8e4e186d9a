//! Forward proxies and TLS. The forward proxy comes first: its failure is printed around another failure.

use oci::{Class, Stage};

use super::rule::{Rule, rule};
use crate::reason::Reason;

/// The rules of forward proxies.
pub(crate) const PROXY: &[Rule] = &[
    rule(Class::HttpProxy, r"proxyconnect|socks connect|{407}|proxy authentication required|tunnel connection failed|code 407 from proxy|from proxy after connect|cannot connect to proxy|proxy connect(?:ion)? (?:failed|refused|aborted)|unable to connect to proxy")
        .at(Stage::Connect),
    // Go prints a refused CONNECT as the bare reason phrase, without a code.
    rule(Class::HttpProxy, r#"<url>["']?: (?:forbidden|bad gateway|service unavailable|gateway time-?out|internal server error|blocked[a-z ]*)\s*(?:$|\n|["')])"#)
        .because(Reason::ConnectRefusedByProxy)
        .at(Stage::Connect),
];

/// The rules of TLS.
pub(crate) const RULES: &[Rule] = &[
    rule(Class::TlsNotYetValid, r"certificate has expired or is not yet valid: current time [^\s]+ is before|certificate is not yet valid|notvalidyet|not valid before"),
    rule(Class::TlsExpired, r"certificate has expired or is not yet valid: current time [^\s]+ is after"),
    rule(Class::TlsExpired, r#"certificate has expired or is not yet valid:?\s*(?:$|\n|["'\\)(;,])"#).because(Reason::ExpiredOrNotYetValid),
    // Go continues "x509: certificate has expired" with "or is not yet valid": a text that ends there may mean both.
    rule(Class::TlsExpired, r"(?:^|[^9]: |[^:] )certificate has expired(?:[^\s]|$| [^o])|certificate (?:is )?expired|invalid peer certificate: expired|certificate is not valid any ?more"),
    rule(Class::TlsName, r"certificate is (?:not )?valid for|doesn't contain any ip sans|cannot validate certificate for|relies on legacy common name|notvalidforname|certificate name does not match|hostname mismatch|no alternative certificate subject name|doesn't match host|host name does not match|certificate subject name"),
    rule(Class::TlsUnknownCa, r"signed by unknown authority|unable to get (?:local )?issuer certificate|self[ -]signed certificate|unable to verify the first certificate|unknownissuer|certificate is not trusted|failed to load system roots|no roots provided|unable to get local issuer"),
    rule(Class::TlsOther, r"server gave http response to https client|first record does not look like a tls handshake|wrong version number|tls: oversized record|ssl_error_rx_record_too_long")
        .because(Reason::PlainHttpOnTls),
    rule(Class::TlsOther, r#"client sent an http request to an https server|plain http request was sent to https port|malformed http response "?\\+x15\\+x03|speaking plain http to an ssl"#)
        .because(Reason::TlsOnPlainHttp),
    rule(Class::TlsOther, r"remote error: tls: (?:bad certificate|certificate required|unknown certificate|expired certificate|access denied)|alert (?:bad certificate|certificate required)|no required ssl certificate was sent")
        .because(Reason::ClientCertificate),
    rule(Class::TlsOther, r"protocol version not supported|unsupported protocol version|no cipher suite|alert protocol version|no application protocol|no mutual cipher|peerincompatible|unsupported protocol")
        .because(Reason::TlsIncompatible),
    rule(Class::TlsOther, r"remote error: tls: |sslv3 alert|tlsv1 alert|alertreceived|tls alert|alert handshake").because(Reason::TlsAlert),
    rule(Class::TlsOther, r#"certificate (?:is not authorized|specifies an incompatible|has name constraint)|x509: (?:too many|unhandled|negative|malformed|invalid|cannot verify|a root|unsupported|unknown|internal|ecdsa|rsa)|insecure algorithm|invalid peer certificate|failed to parse certificate"#)
        .because(Reason::BadCertificate),
    rule(Class::TlsOther, r"tls: (?:handshake failure|failed to (?:parse|create|sign|find|decode|read|write|send)|bad record|unexpected message|received|server|invalid|unsupported|internal|no |decode|illegal|local error)|local error: tls|ssl_connect|ssl_error|ssl routines|eof occurred in violation of protocol|ssl handshake|tls handshake (?:error|failed|failure)|peer closed connection without sending tls close_notify"),
];
