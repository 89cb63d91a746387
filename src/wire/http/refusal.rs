//! Why a request is refused.
//!
//! Owns the reasons, the status code of each and its words. It does not know which part of the parser judges what.
//!
//! Invariant: a reason names the section of the RFC that it is of.

use std::fmt;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A line ends in LF alone (RFC 9112 section 2.2).
    BareLf,
    /// The request line is not `method SP target SP version` (RFC 9112 section 3).
    RequestLine,
    /// The target has a byte outside visible ASCII, is in neither origin, absolute nor asterisk form, or its host is none
    /// (section 3.2).
    Target,
    /// The version is well-formed and not 1.0 or 1.1 (RFC 9110 section 15.6.6).
    Version,
    /// A field line begins with white space (obsolete folding, RFC 9112 section 5.2).
    Folded,
    /// A field name is empty, has a byte that is no token, or white space follows it (section 5.1).
    FieldName,
    /// A field value has a control byte: NUL, a bare CR or another (RFC 9110 section 5.5).
    FieldValue,
    /// `Host` is missing in HTTP/1.1, is there twice, or is no host (RFC 9112 section 3.2).
    Host,
    /// `Content-Length` is no number, or two of them differ (section 6.3).
    ContentLength,
    /// `Transfer-Encoding` is not a final `chunked`, is there in HTTP/1.0 or beside a `Content-Length` (section 6.1).
    TransferEncoding,
    /// The head has no end within [`HEAD_MAX`](super::HEAD_MAX) bytes (RFC 6585 section 5).
    TooLarge,
    /// A chunk of the body is none (RFC 9112 section 7.1).
    Chunk,
    /// The body is longer than [`BODY_MAX`](super::BODY_MAX), or takes too many bytes for what it is.
    BodyTooLong,
    /// The head, or a body that is read, did not arrive in time (RFC 9110 section 15.5.9).
    Timeout,
}

impl Refusal {
    /// The status code that says so.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Timeout => 408,
            Self::TooLarge => 431,
            Self::Version => 505,
            _ => 400,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BareLf => "a line ends in LF without CR",
            Self::RequestLine => "the request line is malformed",
            Self::Target => "the request target is malformed",
            Self::Version => "the HTTP version is neither 1.0 nor 1.1",
            Self::Folded => "a header field is folded",
            Self::FieldName => "a header field name is malformed",
            Self::FieldValue => "a header field value has a control byte",
            Self::Host => "the Host field is missing, doubled or malformed",
            Self::ContentLength => "the Content-Length fields are malformed or differ",
            Self::TransferEncoding => "the Transfer-Encoding is not one final chunked",
            Self::TooLarge => "the request head is too large",
            Self::Chunk => "a chunk of the body is malformed",
            Self::BodyTooLong => "the body is too long",
            Self::Timeout => "the request did not arrive in time",
        })
    }
}
