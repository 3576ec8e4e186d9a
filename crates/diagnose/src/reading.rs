//! The reading of a text about a failed pull.

use std::ops::Range;

use oci::labels;
use oci::{Class, Stage};

use crate::reason::Reason;

/// The reading of a text about a failed pull. Every field but the class is absent if the text does not say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The cause; [`Class::Unknown`] if no rule matches.
    pub class: Class,
    /// The step of the pull that failed.
    pub stage: Option<Stage>,
    /// The finer cause, where the class is broad.
    pub reason: Option<Reason>,
    /// The host that failed, with its port if the text gives one.
    pub host: Option<String>,
    /// The registry of the image: from `?ns=` of the URL, else from the image's name.
    pub registry: Option<String>,
    /// The image, as the text names it.
    pub image: Option<String>,
    /// The digest of the object that failed, else of the image.
    pub digest: Option<String>,
    /// The status code of the answer.
    pub status: Option<u16>,
    /// The method of the failed request.
    pub method: Option<Method>,
    /// True if the answer came from pullgate, whose status line names the class.
    pub by_proxy: bool,
    /// The code of the `rpc error` that wraps the text.
    pub code: Option<RpcCode>,
    /// The bytes of the text that decided the class.
    pub span: Option<Range<usize>>,
}

impl Reading {
    /// The advice: of the reason, if it has its own, else of the class. Worded to follow a colon.
    pub fn fix(&self) -> &'static str {
        self.reason.and_then(Reason::fix).unwrap_or_else(|| self.class.fix())
    }

    /// True if the text names no cause.
    pub fn is_unknown(&self) -> bool {
        self.class == Class::Unknown
    }
}

labels! {
    /// The methods of the requests of a pull.
    Method {
        /// HEAD.
        Head = "HEAD";
        /// GET.
        Get = "GET";
        /// POST.
        Post = "POST";
    }
}

labels! {
    /// The status codes of gRPC that runtimes wrap failures in.
    RpcCode {
        /// The caller ended the call.
        Canceled = "Canceled";
        /// No other code fits.
        Unknown = "Unknown";
        /// An argument of the call is wrong.
        InvalidArgument = "InvalidArgument";
        /// The caller's time was over.
        DeadlineExceeded = "DeadlineExceeded";
        /// Something does not exist.
        NotFound = "NotFound";
        /// Something exists already.
        AlreadyExists = "AlreadyExists";
        /// The caller may not do it.
        PermissionDenied = "PermissionDenied";
        /// A limit is reached.
        ResourceExhausted = "ResourceExhausted";
        /// The state does not allow it.
        FailedPrecondition = "FailedPrecondition";
        /// The call was aborted.
        Aborted = "Aborted";
        /// An argument is out of range.
        OutOfRange = "OutOfRange";
        /// The method does not exist.
        Unimplemented = "Unimplemented";
        /// The server is broken.
        Internal = "Internal";
        /// The server does not answer.
        Unavailable = "Unavailable";
        /// Data was lost.
        DataLoss = "DataLoss";
        /// The caller has no valid identity.
        Unauthenticated = "Unauthenticated";
    }
}
