//! Rate limits. A 429 may mean logins, pulls in a window, or requests at once; the sentence decides.

use oci::{Class, Stage};

use super::rule::{Rule, rule};

/// The rules of rate limits.
pub(crate) const RULES: &[Rule] = &[
    rule(Class::RateLogin, r"too many (?:failed )?(?:login|sign-?in|authentication) attempts|too many failed logins|login rate limit|account (?:is )?(?:temporarily )?locked")
        .at(Stage::Token),
    rule(Class::RateLogin, r"fetch oauth token:[^\n]*(?:{429}|toomanyrequests)").at(Stage::Token),
    rule(Class::RateLogin, r"post [^\n]{0,12}<token-url>[^\n]{0,4}{429}").at(Stage::Token),
    rule(Class::RateLogin, r"login attempt[^\n]*{429}").at(Stage::Token),
    rule(Class::RatePullQuota, r"(?:reached|exceeded) your (?:unauthenticated |anonymous |hourly |daily )?pull (?:rate )?limit|pull rate limit|increase-rate-limit|pull limit (?:has been )?(?:reached|exceeded)|data limit exceeded|(?:download|transfer|bandwidth|pull) (?:limit|quota) (?:has been |was )?(?:exceeded|reached|exhausted)|exceeded (?:the|your) (?:monthly |daily )?(?:download|transfer|bandwidth|pull)[a-z ]* (?:limit|quota)|you have reached your (?:unauthenticated )?pull"),
    rule(Class::RateBurst, r"{429}"),
    rule(Class::RateBurst, r#"\btoomanyrequests["']?\s*[:;,)\]}"]|"toomanyrequests|\btoo_many_requests\b"#),
    rule(Class::RateBurst, r"too many requests|rate exceeded|rate limit exceeded|rate limited|ratelimit|throttlingexception|requests? (?:was |were |is |are |has been |have been )?throttled|retry-after: [^\s,]+, allowed:|denied: quota exceeded|quota exceeded for|resource_exhausted|exceeded the rate limit|api rate limit|\bslowdown\b|please reduce your request rate"),
];
