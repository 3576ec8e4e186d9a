//! The only place that opens outbound sockets: resolve, judge the addresses, connect, wrap in TLS.
