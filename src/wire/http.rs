//! The HTTP/1.x request head (RFC 9112), judged byte by byte.
//!
//! Owns where a head ends ([`HeadScanner`]) and what it says ([`Request::parse`]). It keeps no header table: the few
//! fields that a caller asks for are picked out as they go by, and the others are checked and forgotten. It is strict where
//! leniency would let two readers of the same bytes disagree.
//!
//! | file | owns |
//! |---|---|
//! | `bytes` | bytes, sorted into classes, and searched for eight at a time |
//! | `target` | the target and the host of a request |
//! | `framing` | the version, and what a head says about the length of its body |
//! | `body` | the body of a request, where a port reads it |
//! | `refusal` | why a request is refused |
//!
//! Invariant: what is accepted here is accepted by any conforming parser, with the same method, target and fields.

pub mod body;
mod bytes;
mod framing;
mod refusal;
mod target;

use body::BodyLength;
pub use body::{BODY_MAX, Body};
pub(super) use bytes::find;
use bytes::{TOKEN, find_control, is_same_token, trim_ows};
use framing::Framing;
pub use framing::Version;
pub use refusal::Refusal;
use target::{Target, parse_host, parse_target};

/// The longest head in bytes, its last CRLF included. Browsers send 0.5 to 2 KiB, cookies included.
pub const HEAD_MAX: usize = 8 * 1024;

/// Finds the end of a head that arrives piece by piece, looking at each byte once.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadScanner {
    scanned: usize,
    line_start: usize,
    /// Where the request line starts: after the empty lines that RFC 9112 section 2.2 lets a client send first.
    head_start: usize,
}

impl HeadScanner {
    /// Looks on in `bytes`, which begins with all that it was shown before.
    ///
    /// Returns the range of the head, its last empty line included, or `None` if more bytes are needed.
    ///
    /// # Errors
    /// A line without CR, or no end within [`HEAD_MAX`] bytes.
    pub fn scan(&mut self, bytes: &[u8]) -> Result<Option<std::ops::Range<usize>>, Refusal> {
        let bytes = bytes.get(..HEAD_MAX).unwrap_or(bytes);
        while let Some(line_feed) = find(bytes.get(self.scanned..).unwrap_or_default(), b'\n') {
            let line_feed = self.scanned + line_feed;
            let line = bytes.get(self.line_start..line_feed).unwrap_or_default();
            let [text @ .., b'\r'] = line else { return Err(Refusal::BareLf) };
            let is_first = self.line_start == self.head_start;
            self.scanned = line_feed + 1;
            self.line_start = self.scanned;
            match (text.is_empty(), is_first) {
                (true, true) => self.head_start = self.line_start,
                (true, false) => return Ok(Some(self.head_start..self.line_start)),
                (false, _) => {}
            }
        }
        self.scanned = bytes.len();
        if bytes.len() == HEAD_MAX { Err(Refusal::TooLarge) } else { Ok(None) }
    }
}

/// The request method, as far as it makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `HEAD`: the same head as for `GET`, no body.
    Head,
    /// `OPTIONS`: a browser asks before a cross-origin request.
    Options,
    /// `GET`.
    Get,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `DELETE`.
    Delete,
    /// All others: the daemon makes no difference.
    Other,
}

/// A well-formed request head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// The version.
    pub version: Version,
    /// The path of the target, as it was sent: not decoded, without query. `*` in asterisk form.
    pub path: &'a str,
    /// The query of the target, as it was sent, without its `?`.
    pub query: Option<&'a str>,
    /// Whether an `Accept` field names `text/event-stream`.
    pub accepts_event_stream: bool,
    /// The authority it asks for: the host of a target in absolute form, else `Host`; with its port, if it has one.
    pub host: Option<&'a str>,
    /// `Origin`.
    pub origin: Option<&'a [u8]>,
    /// `User-Agent`.
    pub user_agent: Option<&'a [u8]>,
    /// `Last-Event-ID`.
    pub last_event_id: Option<&'a [u8]>,
    /// `Sec-Fetch-Site`.
    pub sec_fetch_site: Option<&'a [u8]>,
    /// Whether `Sec-Purpose` says that no user has asked for it yet: it is of a page that is fetched or prepared in advance
    /// (Fetch standard, section "`Sec-Purpose` header").
    pub is_prefetch: bool,
    /// `Authorization`.
    pub authorization: Option<&'a [u8]>,
    /// The length of the body.
    pub body: BodyLength,
    /// All field lines, as they were sent, and the empty one.
    fields: &'a [u8],
}

impl<'a> Request<'a> {
    /// Reads a head that [`HeadScanner`] has found whole.
    ///
    /// # Errors
    /// The first thing that is wrong with it, in the order of its bytes; then what is wrong with it as a whole.
    pub fn parse(head: &'a [u8]) -> Result<Self, Refusal> {
        Self::parse_first(head).map(|(request, _)| request)
    }

    /// Reads the head that `bytes` begin with; returns also where it ends.
    ///
    /// A head that is accepted ends where [`HeadScanner`] finds its end, for no line may have a line end within it. A refusal
    /// is not the last word: more bytes may be needed, and a bare LF further on is refused first.
    ///
    /// # Errors
    /// What is wrong first, in the order of the bytes, if they are all there.
    pub(super) fn parse_first(bytes: &'a [u8]) -> Result<(Self, usize), Refusal> {
        let (request_line, mut rest) = split_at(bytes, b'\n').ok_or(Refusal::RequestLine)?;
        let request_line = request_line.strip_suffix(b"\r").ok_or(Refusal::RequestLine)?;
        let (method, target, version) = parse_request_line(request_line)?;
        let mut request = Self {
            method,
            version,
            path: target.path,
            query: target.query,
            accepts_event_stream: false,
            host: None,
            origin: None,
            user_agent: None,
            last_event_id: None,
            sec_fetch_site: None,
            is_prefetch: false,
            authorization: None,
            body: BodyLength::Bytes(0),
            fields: rest,
        };
        let mut framing = Framing::default();
        while !matches!(rest, [b'\r', b'\n', ..]) {
            let (field, after) = parse_field(rest)?;
            request.keep_field(&mut framing, field)?;
            rest = after;
        }
        request.body = framing.length(version)?;
        if version == Version::Http11 && request.host.is_none() {
            return Err(Refusal::Host);
        }
        // In absolute form the target names the authority, whatever `Host` says (RFC 9112 section 3.2.2).
        request.host = target.authority.or(request.host);
        let end = bytes.len() - rest.len() + 2;
        request.fields = bytes.get(bytes.len() - request.fields.len()..end).unwrap_or_default();
        Ok((request, end))
    }

    /// The values of all field lines of this name, in small letters, in their order: for what is asked for seldom.
    pub fn values(&self, name: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.fields;
        let fields = std::iter::from_fn(move || {
            let (field, after) = parse_field(rest).ok()?;
            rest = after;
            Some(field)
        });
        fields.filter(|field| is_same_token(field.name, name)).map(|field| field.value)
    }

    /// Whether an answer may be packed by gzip (RFC 9110 section 12.5.3).
    #[must_use]
    pub fn takes_gzip(&self) -> bool {
        let codings = self.values(b"accept-encoding").flat_map(|value| value.split(|&byte| byte == b','));
        codings.map(<[u8]>::trim_ascii).any(|coding| {
            let (name, weight) = coding.split_at(coding.iter().position(|&byte| byte == b';').unwrap_or(coding.len()));
            let is_refused = weight
                .iter()
                .rposition(|&byte| byte == b'=')
                .is_some_and(|at| weight.split_at(at + 1).1.iter().all(|byte| b"0. ".contains(byte)));
            name.trim_ascii_end().eq_ignore_ascii_case(b"gzip") && !is_refused
        })
    }

    /// Keeps what is asked for later, by the length of the name first: most fields cost one comparison.
    fn keep_field(&mut self, framing: &mut Framing, field: Field<'a>) -> Result<(), Refusal> {
        let Field { name, value } = field;
        match name.len() {
            4 if is_same_token(name, b"host") => {
                if self.host.is_some() {
                    return Err(Refusal::Host);
                }
                self.host = Some(parse_host(value)?);
            }
            6 if is_same_token(name, b"accept") => {
                const WANTED: &[u8] = b"text/event-stream";
                // Most say this alone, and in small letters.
                self.accepts_event_stream |= value == WANTED || contains_ignore_case(value, WANTED);
            }
            6 if is_same_token(name, b"origin") => self.origin = Some(value),
            10 if is_same_token(name, b"user-agent") => self.user_agent = Some(value),
            11 if is_same_token(name, b"sec-purpose") => {
                self.is_prefetch |= contains_ignore_case(value, b"prefetch");
            }
            13 if is_same_token(name, b"last-event-id") => self.last_event_id = Some(value),
            13 if is_same_token(name, b"authorization") => self.authorization = Some(value),
            14 if is_same_token(name, b"sec-fetch-site") => self.sec_fetch_site = Some(value),
            14 if is_same_token(name, b"content-length") => framing.add_content_length(value)?,
            17 if is_same_token(name, b"transfer-encoding") => framing.add_transfer_encoding(value)?,
            _ => {}
        }
        Ok(())
    }
}

/// `request-line = method SP request-target SP HTTP-version` (RFC 9112 section 3)
fn parse_request_line(line: &[u8]) -> Result<(Method, Target<'_>, Version), Refusal> {
    let (method, rest) = split_at(line, b' ').ok_or(Refusal::RequestLine)?;
    let (target, version) = split_at(rest, b' ').ok_or(Refusal::RequestLine)?;
    if version.contains(&b' ') || method.is_empty() || !TOKEN.has_all(method) {
        return Err(Refusal::RequestLine);
    }
    let target = parse_target(target)?;
    let version = match version {
        b"HTTP/1.1" => Version::Http11,
        b"HTTP/1.0" => Version::Http10,
        // HTTP-version = "HTTP/" DIGIT "." DIGIT (section 2.3)
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => return Err(Refusal::Version),
        _ => return Err(Refusal::RequestLine),
    };
    let method = match method {
        b"HEAD" => Method::Head,
        b"OPTIONS" => Method::Options,
        b"GET" => Method::Get,
        b"POST" => Method::Post,
        b"PUT" => Method::Put,
        b"DELETE" => Method::Delete,
        // Its target has a form of its own (section 3.2.3), and we are no proxy.
        b"CONNECT" => return Err(Refusal::Target),
        _ => Method::Other,
    };
    // The asterisk form is for OPTIONS alone (section 3.2.4).
    if target.path == "*" && method != Method::Options {
        return Err(Refusal::Target);
    }
    Ok((method, target, version))
}

/// A field line without the white space around its value.
#[derive(Clone, Copy)]
struct Field<'a> {
    name: &'a [u8],
    value: &'a [u8],
}

/// `field-line = field-name ":" OWS field-value OWS` (RFC 9112 section 5), and what comes after its CRLF.
fn parse_field(lines: &[u8]) -> Result<(Field<'_>, &[u8]), Refusal> {
    if let [b' ' | b'\t', ..] = lines {
        return Err(Refusal::Folded);
    }
    let colon = lines.iter().position(|&byte| !TOKEN.has(byte)).ok_or(Refusal::FieldName)?;
    let (name, rest) = lines.split_at(colon);
    let [b':', value @ ..] = rest else { return Err(Refusal::FieldName) };
    if name.is_empty() {
        return Err(Refusal::FieldName);
    }
    // field-value: VCHAR, obs-text, SP and HTAB (RFC 9110 section 5.5). What is none of them has to be its CRLF.
    let (value, rest) = value.split_at_checked(find_control(value).ok_or(Refusal::FieldValue)?).unwrap_or_default();
    let [b'\r', b'\n', after @ ..] = rest else { return Err(Refusal::FieldValue) };
    Ok((Field { name, value: trim_ows(value) }, after))
}

pub(crate) fn contains_ignore_case(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle))
}

/// What is before the first such byte, and what is after it.
fn split_at(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let (before, [_, after @ ..]) = bytes.split_at_checked(find(bytes, separator)?)? else { return None };
    Some((before, after))
}

#[cfg(test)]
mod tests;
