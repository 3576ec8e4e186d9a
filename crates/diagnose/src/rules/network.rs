//! Names, connections, and connections that end or fall silent.

use oci::{Class, Stage};

use super::rule::{Rule, rule};
use crate::reason::Reason;

/// The rules of names that do not resolve.
pub(crate) const DNS: &[Rule] = &[
    rule(Class::Dns, r"no such host|name or service not known|could(?:n't| not) resolve host|nxdomain|enotfound|nodename nor servname|no address associated|unknown host|name does not resolve")
        .because(Reason::NameUnknown)
        .at(Stage::Resolve),
    rule(Class::Dns, r"server misbehaving|temporary failure in name resolution|eai_again|servfail|cannot unmarshal dns|no answer from dns|lame referral")
        .because(Reason::NameServerFailed)
        .at(Stage::Resolve),
    rule(Class::Dns, r"lookup [^\s]+(?: on [^\s]+)?: (?:read udp|dial udp|dial tcp|write udp|i/o timeout|read tcp|connection|context|operation|network|no route|write)[^\n]*|resolving timed out|dns (?:lookup|resolution|query) (?:failed|timed out|timeout)")
        .because(Reason::NameServerSilent)
        .at(Stage::Resolve),
    rule(Class::Dns, r"dial (?:tcp|udp)[46]?: lookup [^\s]+").at(Stage::Resolve),
    rule(Class::Dns, r"dial (?:tcp|udp)[46]? [^\s]+: no address|missing address|no suitable address found").at(Stage::Resolve),
];

/// The rules of connections that are not made.
pub(crate) const CONNECT: &[Rule] = &[
    rule(Class::Overloaded, r"too many open files|\bemfile\b"),
    rule(Class::ConnectRefused, r"(?:dial|connect|<url>|curl|pull|image|registr|pinging|http|tcp)[^\n]*(connection refused|\beconnrefused\b)|connect: connection refused|actively refused").at(Stage::Connect),
    rule(Class::ConnectUnreachable, r"no route to host|network is unreachable|host is unreachable|network unreachable|host unreachable|host is down|network is down|unreachable (?:network|host)|cannot assign requested address|\behostunreach\b|\benetunreach\b")
        .at(Stage::Connect),
    rule(Class::ConnectUnreachable, r"(?:connect|sendto|dial tcp [^\s]+): (?:operation not permitted|permission denied)|socket operation was attempted to an unreachable")
        .because(Reason::LocalFirewall)
        .at(Stage::Connect),
    rule(Class::ConnectTimeout, r"dial tcp[46]?[^\n]{0,300}?(i/o timeout|connection timed out|operation timed out|deadline exceeded|connect: timed out)|connect: (?:connection|operation) timed out|while waiting for connection|did not properly respond|failed to connect to [^\n]{0,80}timed out|connection timeout|connect timeout|\betimedout\b")
        .at(Stage::Connect),
    rule(Class::ConnectReset, r"dial tcp[^\n]{0,120}connection reset by peer").at(Stage::Connect),
];

/// The rules of connections that end or fall silent. They come after the answers of registries.
pub(crate) const BROKEN: &[Rule] = &[
    rule(Class::Stalled, r"tls handshake timeout").because(Reason::HandshakeTimeout).at(Stage::Tls),
    rule(Class::Stalled, r"while reading body|timeout awaiting response headers|timed out waiting for headers")
        .because(Reason::NoProgress),
    rule(Class::Stalled, r"no progress|pull progress timeout|progress deadline|progress timeout").because(Reason::NoProgress).at(Stage::BlobTransfer),
    rule(Class::Truncated, r"failed to read expected number of bytes|unexpected eof|short read|unexpected end of (?:file|stream)|transfer closed with|body ended|incomplete (?:read|body|message)|unexpected end of json|truncated"),
    rule(Class::ConnectReset, r"connection reset by peer|connection was reset|forcibly closed|forcibly rejected|broken pipe|connection aborted|use of closed (?:network )?connection|server closed idle connection|server sent goaway|client connection lost|stream error: |rst_stream|stream terminated by|\beconnreset\b|\bepipe\b|econnaborted"),
    rule(Class::ConnectReset, r#"<url>["']?:(?: read [^\n]{0,80}:)? eof\b|(?:download failed|fetch|pull|head |get )[^\n]*(: eof\b)|remote end closed connection|empty reply from server|connection (?:unexpectedly )?closed before|server hung up|socket hang up|response ended prematurely|http: server closed"#)
        .because(Reason::ClosedBeforeAnswer),
    rule(Class::Stalled, r"\bread(?:ing)? [^\n]{0,120}(?:i/o timeout|connection timed out|operation timed out)|failed to (?:copy|read)[^\n]*(?:i/o timeout|timed out)")
        .because(Reason::NoProgress),
    rule(Class::ConnectTimeout, r"client\.timeout exceeded while awaiting headers|client\.timeout or context cancellation while awaiting")
        .at(Stage::Connect),
    rule(Class::ConnectTimeout, r"(?:dial|connect|<url>|curl|pull|image|registr|pinging|http|tcp)[^\n]*(i/o timeout|connection timed out|timed out connecting)|^i/o timeout").at(Stage::Connect),
];

/// The rules of pulls that took too long, of which nothing more is known.
pub(crate) const SLOW: &[Rule] = &[
    rule(Class::Stalled, r#"(?:pull|image|manifest|blob|layer|registr|copy|fetch|resolve|<url>|<ref>)[^\n]*(code = (?:deadlineexceeded|4\b)|context deadline exceeded(?:[^\s(]|$| [^(]))"#)
        .because(Reason::Deadline),
    rule(Class::Stalled, r"(?:pull|image|manifest|blob|layer|registr|copy|fetch|resolve|<url>|<ref>)[^\n]*(code = canceled|context canceled|operation was canceled)")
        .because(Reason::Canceled),
    rule(Class::Stalled, r"(?:pull|image|manifest|blob|layer|registr|copy|fetch|<url>|<ref>)[^\n]*(operation timed out|read timed out|timed out|timeout (?:exceeded|expired))|(?:pull|download)[a-z]* (?:the )?(?:image )?timed out"),
];
