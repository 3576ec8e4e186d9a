//! Separates errors of damaged content from errors of this process or machine.

use std::io;

use rustix::io::Errno;

/// True if `error` means that the content is damaged, so that another try cannot succeed. All other errors come from
/// this process or machine (no file descriptors left, no memory, no permission): the content may be right.
pub(crate) fn is_rot(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
        || matches!(Errno::from_io_error(error), Some(Errno::IO | Errno::BADMSG | Errno::UCLEAN))
}
