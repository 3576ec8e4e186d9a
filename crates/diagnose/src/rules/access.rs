//! Refusals: firewalls, credentials, permissions, and the answer that leaves open whether a repository exists.

use oci::{Class, Stage};

use super::rule::{Rule, rule};
use crate::reason::Reason;

/// The rules of pages that block a request before the registry sees it.
pub(crate) const BLOCKED: &[Rule] = &[
    rule(Class::GeoOrWafBlock, r"(?:{403}|<url>)[^\n]*(?:\n[^\n]*)?(?:\n[^\n]*)?(?:<html|<!doctype|<head|request blocked|request is blocked|request could not be satisfied|your client does not have permission to get url|cf-ray|cloudflare|attention required|akamai|incapsula)")
        .because(Reason::Html),
    rule(Class::GeoOrWafBlock, r"your client does not have permission to get url|the request is blocked|request could not be satisfied|web application firewall|\bwaf\b|error parsing http 403 response body: invalid character '<'")
        .because(Reason::Html),
    rule(Class::GeoOrWafBlock, r"{451}|export control|embargoed|not available in your (?:country|region|location)|(?:country|region|location) (?:is )?(?:blocked|not supported|restricted)|sanction")
        .because(Reason::Region),
];

/// The rules of the token stage: credentials that were sent, then credentials that were not.
pub(crate) const TOKEN: &[Rule] = &[
    rule(Class::AuthRejected, r"fetch oauth token: [^\n]*(?:{400|401|403}|unauthorized|denied|invalid_grant|forbidden)").because(Reason::OauthToken).at(Stage::Token),
    rule(Class::AuthRejected, r"(?:incorrect|invalid|wrong|bad) (?:username|user name|user|credentials?|password|login)|invalid username/password|username or password|bad credentials|invalid (?:access |refresh |authentication |bearer |identity |registry )?token|invalid_token|invalid_grant|(?:authorization |authentication |access |refresh |security |identity )?token (?:has |is |was )?(?:expired|revoked|invalid|inactive)|expiredtoken|token .?has expired|authentication failed|user cannot be authenticated|login attempt[^\n]* failed with status: ?(?:400|401|403)|login failed|access denied\. the provided|http basic: access denied|could not find robot|robot account[^\n]*(?:deactivated|disabled|expired)|account (?:is )?(?:disabled|suspended|deactivated)|password (?:has )?expired|credentials? (?:have |has |are |is |were )?(?:expired|been revoked|revoked|rejected|invalid)|client secret[^\n]*(?:expired|invalid)|aadsts[0-9]+")
        .because(Reason::CredentialRefused),
    rule(Class::AuthRejected, r"denied: denied|error from registry: denied denied").because(Reason::CredentialRefused),
    rule(Class::AuthMissing, r"fetch anonymous token: [^\n]*(?:{400|401|403}|unauthorized|denied|forbidden)").because(Reason::AnonymousToken).at(Stage::Token),
    rule(Class::AuthMissing, r"no basic auth credentials|unauthenticated request|no credentials (?:found|provided|were|available|configured|matched|for)|credentials? (?:are |is |was |were )?(?:not found|required|missing|not provided)|unable to locate credentials|not logged in|anonymous (?:access|pulls?|users?) (?:is |are )?(?:not |disabled|denied|forbidden)|you must (?:be logged in|log ?in|authenticate)|please (?:log ?in|authenticate)|login required|missing (?:bearer token|authorization|credentials)"),
    rule(Class::AuthMissing, r"error getting credentials|credential (?:helper|provider)[^\n]*(?:fail|error|not found)|docker-credential-[a-z-]+[^\n]*(?:not found|fail|error|no such)")
        .because(Reason::CredentialHelper),
    rule(Class::Registry5xx, r"fetch (?:anonymous|oauth) token: [^\n]*{5xx}").at(Stage::Token),
    rule(Class::ProtocolGarbage, r"fetch (?:anonymous|oauth) token: [^\n]*{404}").at(Stage::Token),
    rule(Class::ProtocolGarbage, r#"requesting bearer token: [^\n]*{404|405|410}|<token-url>["']?[^\n]{0,40}{404|405|410}"#).at(Stage::Token),
];

/// The rules of refusals after the token.
pub(crate) const REFUSED: &[Rule] = &[
    // These answer with a manifest's or a permission's own words inside a refusal.
    rule(
        Class::ForbiddenPolicy,
        r"(?:is )?not authorized to perform|accessdenied|permission .?[a-z.]+.? denied|permission_denied|insufficient permissions?|access token has insufficient scopes?|does not have (?:permission|access|authorization|the required)|not allowed (?:access|by|from)|ip (?:address )?[^\n]{0,60}not (?:allowed|permitted)|client with ip|firewall rules|access forbidden|resource not accessible|denied by (?:policy|firewall|ip)|blocked by (?:policy|xray|admin|your)|download(?:ing)? (?:was |is )?(?:blocked|forbidden)|kmskey|key vault|package is blocked|organization[^\n]{0,80}(?:saml|sso)",
    ),
    rule(
        Class::RepoUnknownOrPrivate,
        r"insufficient_scope|insufficient scope|pull access denied|repository does not exist|repository name not known|requested access to the resource is denied|access to the requested resource is not authorized|\bname_unknown\b|name unknown|name invalid: repository|repositorynotfound|(?:repository|project) [^\n]{0,80}?(?:not found|does not exist)|no such repository|<ref> not found: does not exist or no pull access|unknown repository|repo not found",
    ),
    rule(Class::RepoUnknownOrPrivate, r"<hub-url>[^\n]{0,4}: unauthorized: authentication required"),
    rule(Class::BlobHost, r#"<other-url>["']?[^\n]{0,40}{401|403}|{401|403}[^\n]{0,20}<other-url>"#)
        .because(Reason::BlobHostStatus),
    rule(
        Class::ForbiddenPolicy,
        r#"{403}|\bdenied: |\bforbidden: |statuscode: 403|: denied\s*(?:["'}\]]|\n|$)|permission denied on resource"#,
    ),
    rule(
        Class::AuthMissing,
        r#"{401}|unauthorized: (?:authentication required|unauthorized to access|you |the |please|no |not |project|full authentication|need|requested repository)|"unauthorized"|\bunauthorized\.?\s*(?:["'}\]]|\n|$)|authentication (?:is )?required|authorization (?:is )?required|authorization failed|unauthenticated"#,
    ),
];
