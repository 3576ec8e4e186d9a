//! Questions to the running instance that cannot be answered without one.

use std::io::Write;

use config::Loaded;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::process::control::{self, Reply, Request};
use crate::process::exit::Exit;
use crate::process::log;

/// The answer of the running instance.
///
/// # Errors
/// The exit status; the failure is logged.
pub(super) async fn ask<T: DeserializeOwned>(loaded: &Loaded, request: &Request) -> Result<T, Exit> {
    let dir = &loaded.config.proxy.cache.dir;
    let refuse = |message: &str, exit| {
        log::failure(message);
        Err(exit)
    };
    match control::ask(dir, request).await {
        Ok(Some(Reply::Fine(document))) => serde_json::from_value(document)
            .or_else(|_| refuse("the running instance is of another version", Exit::Unexpected)),
        Ok(Some(Reply::Usage(message))) => refuse(&message, Exit::Usage),
        Ok(Some(Reply::Upstream(message))) => refuse(&message, Exit::CheckFailed),
        Ok(Some(Reply::Failed(message))) => refuse(&message, Exit::Unexpected),
        Ok(None) => {
            let hint = match loaded.path {
                None => "; name the instance's configuration with --config if its cache folder is another",
                Some(_) => "",
            };
            let dir = dir.display();
            refuse(
                &format!("no instance runs on the cache folder {dir}: start `pullgate serve`{hint}"),
                Exit::Usage,
            )
        }
        Err(error) => {
            let socket = control::socket(dir);
            refuse(&format!("{}: {error}: the instance may have ended", socket.display()), Exit::Unexpected)
        }
    }
}

/// Prints a document as JSON.
pub(super) fn print_json(document: &impl Serialize) -> Result<(), Exit> {
    let text = serde_json::to_string_pretty(document).map_err(|_| Exit::Unexpected)?;
    print(&(text + "\n"))
}

/// Prints a text.
pub(super) fn print(text: &str) -> Result<(), Exit> {
    std::io::stdout().write_all(text.as_bytes()).map_err(|_| Exit::Unexpected)
}
