//! HTTP/1.1 over dialled connections: pool, stage times, failures with their class.
