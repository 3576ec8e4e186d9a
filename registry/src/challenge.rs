//! Reads `WWW-Authenticate` challenges (RFC 9110, 11.6.1; distribution token specification).
