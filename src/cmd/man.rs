//! `pullgate man`: the manual page, one page for all commands.

use std::io::{self, Write};

use clap::{Arg, Command, CommandFactory};
use clap_mangen::Man;

use crate::cli::Cli;
use crate::process::exit::Exit;

/// Prints the page as roff.
pub(super) fn print() -> Exit {
    match page(&mut io::stdout()) {
        Ok(()) => Exit::Fine,
        Err(_) => Exit::Unexpected,
    }
}

fn page(out: &mut impl Write) -> io::Result<()> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let man = Man::new(command.clone());
    man.render_title(out)?;
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_description_section(out)?;
    man.render_options_section(out)?;
    writeln!(out, ".SH COMMANDS")?;
    commands(&command, "", out)?;
    out.write_all(SECTIONS.as_bytes())?;
    man.render_version_section(out)
}

/// Writes every command with its own arguments into the one page. Other generators make a page per command, and refer to
/// pages that nobody installs.
fn commands(parent: &Command, path: &str, out: &mut impl Write) -> io::Result<()> {
    for command in parent.get_subcommands().filter(|command| command.get_name() != "help") {
        let path = format!("{path}{} ", command.get_name());
        if command.has_subcommands() {
            commands(command, &path, out)?;
            continue;
        }
        let arguments: Vec<&Arg> = command.get_arguments().filter(|argument| is_own(argument)).collect();
        let shown: Vec<String> = arguments.iter().map(|argument| spelled(argument)).collect();
        writeln!(out, ".TP\n\\fB{}\\fR {}", roff(path.trim_end()), roff(&shown.join(" ")))?;
        writeln!(out, "{}", roff(&command.get_about().map(ToString::to_string).unwrap_or_default()))?;
        for argument in arguments {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            writeln!(out, ".RS\n.TP\n\\fB{}\\fR\n{}\n.RE", roff(&spelled(argument)), roff(&help))?;
        }
    }
    Ok(())
}

/// True for an argument of the command itself, false for the options of all commands.
fn is_own(argument: &Arg) -> bool {
    !argument.is_global_set() && !matches!(argument.get_id().as_str(), "help" | "version")
}

fn spelled(argument: &Arg) -> String {
    let value = argument.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    match argument.get_long() {
        Some(long) if argument.get_action().takes_values() => {
            format!("--{long} {}", value.unwrap_or_else(|| "VALUE".to_owned()))
        }
        Some(long) => format!("--{long}"),
        None => value.unwrap_or_else(|| argument.get_id().to_string().to_uppercase()),
    }
}

/// Escapes text so that roff prints it unchanged.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('\n', " ");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

const SECTIONS: &str = r#".SH EXIT STATUS
.TP
\fB0\fR
All is well.
.TP
\fB1\fR
Something unexpected failed.
.TP
\fB2\fR
Wrong usage or configuration.
.TP
\fB3\fR
A check found a fault.
.SH ENVIRONMENT
.TP
\fBPULLGATE_CONFIG\fR
The configuration file, if \-\-config is not given.
.TP
\fBRUST_LOG\fR
The log filter, if \-\-log\-level is not given: a level (error, warn, info, debug, trace), or levels by module, such as
\fIwarn,pullgate=debug\fR.
.TP
\fBHTTP_PROXY\fR, \fBHTTPS_PROXY\fR, \fBNO_PROXY\fR
The proxies on the way to registries.
.TP
\fBXDG_CACHE_HOME\fR
The parent of the default cache folder.
.TP
\fBNO_COLOR\fR
If it is set, the demo prints no colours.
.SH FILES
.TP
\fI/etc/pullgate/pullgate.toml\fR
The usual place of the configuration; it is read only if \-\-config or PULLGATE_CONFIG names it.
.TP
\fI~/.cache/pullgate\fR
The default cache folder; the key proxy.cache.dir names another.
.TP
\fIcontrol.sock\fR
The socket in the cache folder by which \fBpullgate cache\fR reaches the running instance; for its user alone.
.TP
\fIrecords.db\fR
The record file in the cache folder, which \fBpullgate pulls\fR reads; the key records.file names another.
.SH EXAMPLES
Run the mirror and the prober on the defaults:
.PP
.RS
pullgate serve
.RE
.PP
Check a configuration, with every file and program that it names, then each registry:
.PP
.RS
pullgate check config \-\-config pullgate.toml
.br
pullgate check upstream \-\-config pullgate.toml docker.io
.RE
.PP
Pull an image into the cache of the running instance, and list its content:
.PP
.RS
pullgate cache warm \-\-config pullgate.toml docker.io/library/alpine:3.20
.br
pullgate cache ls \-\-config pullgate.toml
.RE
.PP
Log JSON for a collector, warnings only:
.PP
.RS
pullgate serve \-\-log json \-\-log\-level warn
.RE
"#;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_complete_and_refers_to_no_other_page() {
        let mut page_bytes = Vec::new();
        page(&mut page_bytes).unwrap();
        let text = String::from_utf8(page_bytes).unwrap();
        for part in
            ["cache warm", "check upstream", "EXAMPLES", "FILES", "ENVIRONMENT", "RUST_LOG", "log\\-level"]
        {
            assert!(text.contains(part), "{part} is missing:\n{text}");
        }
        assert!(!text.contains("pullgate\\-serve") && !text.contains("(1)\n"), "{text}");
    }
}
