//! rustls client settings: roots, server name, and the expiry of a chain even when verification fails.
