//! Platforms, media types, bytes that are wrong, servers that fail, and content that does not exist.

use oci::{Class, Stage};

use super::rule::{Rule, rule};
use crate::reason::Reason;

/// The rules of platforms. They precede all others about content, because these texts also say "not found".
pub(crate) const PLATFORM: &[Rule] = &[rule(
    Class::PlatformMissing,
    r"no match for platform|no matching manifest|no manifest found for platform|no image found in (?:manifest list|image index)|no child with platform|does not match the specified platform|image operating system [^\n]{0,40}cannot be used|cannot be used on this platform|operating system is not supported|image platform [^\n]{0,60}does not match|no matching platform|no unpack platforms|does not provide (?:the specified|any) platform|matching platform|is incompatible with a[^\n]{0,40} host|unsupported platform|platform[^\n]{0,40} not (?:found|supported|available)|no (?:supported|available|compatible) platform|for architecture [^\n]{0,60}(?:not found|no image)|no host platform",
)];

/// The rules of kinds of manifests.
pub(crate) const MEDIA_TYPE: &[Rule] = &[
    rule(Class::ProtocolGarbage, r"(?:media ?type|unknown type|content type)[:=]? ?text/html").because(Reason::Html),
    rule(Class::MediaType, r"no longer supported since containerd|schema ?v?1 [^\n]{0,60}(?:no longer|removed|disabled|deprecated|not supported|unsupported)|manifest version 2, schema 1 support|schema ?1 (?:image )?manifest|unsupported schema version|invalid schema version")
        .because(Reason::SchemaOne),
    rule(Class::MediaType, r"but accept header does not support").because(Reason::NarrowAccept),
    rule(Class::MediaType, r"(?:unsupported|unexpected|unknown|unrecognized|unrecognised|invalid|unhandled) (?:manifest |image |layer |config |docker |oci )?(?:media|mime|content|manifest|artifact) ?-?types?\b|(?:media|mime) ?type [^\n]{0,120}(?:not supported|unsupported|not implemented|unknown|is not)|encountered (?:unknown type|remote)|unsupported manifest (?:format|version|mime)|{406}|manifest (?:is )?(?:too (?:big|large)|exceeds)|too large[^\n]{0,40}manifest|ambiguous manifest|{415}|unsupported mediatype|unexpected mediatype|unknown mediatype|mediatype in manifest|mismatched image rootfs|is not (?:a container image|an image|a valid image)|non-runnable|invalid mixed"),
];

/// The rules of bytes that do not fit their digest, and of answers that are no registry's.
pub(crate) const BYTES: &[Rule] = &[
    rule(Class::Corrupt, r"unexpected commit (?:digest|size)|failed (?:size|digest) validation|manifest verification failed|layer verification failed|(?:image|blob|content|config) verification failed|digest (?:did|does) not match|digest <digest> (?:did|does) not match|does not match (?:the )?(?:provided |expected |computed )?(?:manifest )?(?:digest|hash|checksum)|digest mismatch|mismatched (?:digest|size|length)|(?:size|checksum|hash|length) mismatch|digest verification failed|error verifying (?:sha256|sha512|size)|verif[a-z]* (?:of )?(?:digest|checksum)[^\n]{0,20} failed|wrong digest|wrong diff ?id|unexpected (?:content )?digest|manifest does not match|layers from manifest don't match|checksum (?:does not|did not|validation|verification)|size validation failed|unexpected size|wanted digest"),
    rule(Class::Corrupt, r"gzip: invalid|invalid (?:tar )?header|archive/tar|zlib: |flate: corrupt|zstd: |magic number mismatch|unknown compression|corrupt (?:input|layer|archive)|invalid (?:gzip|zstd|compressed)|bad checksum|gunzip|unpigz|not in gzip format|crc error")
        .because(Reason::BadArchive)
        .at(Stage::BlobTransfer),
    rule(Class::Registry5xx, r"parsing http 5[0-9][0-9] response|{5xx}[^\n]*(?:<html|<!doctype|invalid character)").because(Reason::ServerError),
    rule(Class::AuthMissing, r"parsing http 401 response"),
    rule(Class::ProtocolGarbage, r"stopped after [0-9]+ redirects|too many redirects|redirect loop").because(Reason::RedirectLimit),
    rule(Class::ProtocolGarbage, r"invalid character '<'|looking for beginning of value: .?<|<!doctype|<html").because(Reason::Html),
    rule(Class::ProtocolGarbage, r#"malformed http (?:status|version)|malformed http response "?(?:[^"\\\s]|\\+x0|\\+x1[0-46-9a-f])|malformed mime|transport connection broken: (?:unsupported|unexpected|bad|too many|invalid)|invalid header field|received http/0\.9|not a valid http|unsupported protocol scheme|bad http"#)
        .because(Reason::NotHttp),
    rule(Class::ProtocolGarbage, r"does not seem to be a v2 registry|not a (?:valid )?(?:docker |container )?registry|invalid v2|registry v2 api|v1 endpoint|<ping-url>[^\n]{0,40}{404}|pinging (?:container |docker )?registry[^\n]*{404}|response missing|missing (?:or empty )?content-length|missing content-(?:type|length)|size of zero|docker-content-digest|cannot unmarshal|failed to decode|failed to unmarshal|error (?:parsing|decoding|unmarshalling)[^\n]{0,40}(?:json|token|manifest)|invalid character [^\n]{0,20}looking for|unable to decode token|no token in response|unknown www-authenticate|unsupported (?:auth|challenge)|empty realm|no realm"),
];

/// The rules of servers that fail.
pub(crate) const SERVER: &[Rule] = &[
    rule(Class::BlobHost, r#"<other-url>["']?[^\n]{0,40}(?:{5xx}|{404|410})|(?:{5xx}|{404|410})[^\n]{0,20}<other-url>"#).because(Reason::BlobHostStatus),
    rule(Class::Registry5xx, r"{5xx}").because(Reason::ServerError),
    rule(Class::Registry5xx, r"internal server error|bad gateway|service unavailable|gateway time-?out|service temporarily unavailable|backend fetch failed|registryunavailable|registry is unavailable|under maintenance|no healthy upstream|upstream connect error|\bunavailable: |internal_error: |unknown: unknown error")
        .because(Reason::ServerError),
];

/// The rules of content that does not exist. By digest first: "not found" follows both.
pub(crate) const ABSENT: &[Rule] = &[
    rule(
        Class::DigestGone,
        r#"(?:reading|fetching|copying) (?:blob|config)[^\n]*{404|410}|content at [^\s]+ not found|could not fetch content descriptor|blob[_ ]unknown|unknown blob|blob not found|manifest_blob_unknown|<blob-url>["']?[^\n]{0,40}{404|410}|<digest-url>["']?[^\n]{0,40}(?:{404|410}|manifest[_ ]unknown|not found)"#,
    ),
    rule(
        Class::DigestGone,
        r#"<digest-ref>["']?:? not found|manifest for <digest-ref> not found|reading manifest <digest> in [^\n]*(?:manifest unknown|not found|404)|<digest-ref>[^\n]*(?:manifest[_ ]unknown|: not found)|failed to fetch <digest>|(?:manifest|digest) <digest>[^\n]{0,20} (?:is )?(?:not found|unknown)|manifest unknown[^\n]*unknown manifest name=[^\n]*revision=<digest>|(?:with|has) digest [^\n]{0,4}<digest>[^\n]{0,60}(?:not (?:found|exist)|does not exist)|no such manifest: [^\n]*<digest>"#,
    ),
    rule(
        Class::ManifestUnknown,
        r"manifest[_ ]unknown|manifest for [^\n]{0,300}? not found|manifest (?:tagged by )?[^\n]{0,80}(?:is )?not found|no such manifest|tag (?:[^\s]+ )?(?:not found|does not exist|is unknown|was not found|unknown)|unknown tag|(?:requested )?image (?:[^\s]+ )?not found|imagenotfound|artifact [^\n]{0,120}not found|unknown manifest|the image (?:[^\n]{0,40})?does not exist|image does not exist|unknown artifact|failed to fetch [^\s]+ from request",
    ),
    rule(
        Class::ManifestUnknown,
        r#"<ref>["']?:? not found|<tag-url>["']?[^\n]{0,40}{404|410}|(?:resolve|resolving) [^\n]*: not found|<tag-url>["']?: not found"#,
    ),
    rule(
        Class::ManifestUnknown,
        r"(?:pull|image|manifest|registr|reference|docker|oci|chart|head|fetch|resolve|artifact|<url>|<ref>)[^\n]*({404|410})|code = notfound[^\n]*not found",
    ),
];

/// What the names of reasons say, when nothing else does.
pub(crate) const HINTS: &[Rule] =
    &[rule(Class::Unknown, r"back-off pulling image|imagepullbackoff").because(Reason::BackOffOnly)];
