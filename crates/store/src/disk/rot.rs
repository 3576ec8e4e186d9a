//! Tells rotten content from trouble of this process or machine.

use std::io;

use rustix::io::Errno;

/// Does `error` say that the content is rotten, which another try will not change? All others are trouble of this process
/// or machine (no descriptors, no memory, no permission): the content may be right.
pub(crate) fn is_rot(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
        || matches!(Errno::from_io_error(error), Some(Errno::IO | Errno::BADMSG | Errno::UCLEAN))
}
