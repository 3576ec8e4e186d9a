//! Tells rotten content from trouble of this process or machine.

use std::io;

use rustix::io::Errno;

/// True if `error` says that the content is rotten, which another try will not change. All other errors are trouble of
/// this process or machine (no open files left, no memory, no permission): the content may be right.
pub(crate) fn is_rot(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
        || matches!(Errno::from_io_error(error), Some(Errno::IO | Errno::BADMSG | Errno::UCLEAN))
}
