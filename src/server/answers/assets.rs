//! The pages and scripts that are part of the program; nothing is read from the disk at run time.
//!
//! Owns the embedded files of `client/` and their media types, and fills the audience port into the pages once, at start.
//! Files are packed (`client/embedded/`, made by `tests/browser/build.mjs`), which is a third of their size: most clients get
//! them so. The first client that takes no gzip has a file unpacked, and it is kept.

use std::sync::OnceLock;

use crate::wire::gzip;

/// A file that is sent as it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asset {
    path: &'static str,
    pub(super) content_type: &'static str,
    /// The file by gzip.
    pub(super) packed: &'static [u8],
    plain: OnceLock<Vec<u8>>,
    tag: [u8; TAG_BYTES],
}

/// The length of a tag.
const TAG_BYTES: usize = 16;

impl Asset {
    const fn new(path: &'static str, content_type: &'static str, packed: &'static [u8]) -> Self {
        Self { path, content_type, packed, plain: OnceLock::new(), tag: tag(packed) }
    }

    /// What distinguishes the file from others that were at its path.
    pub(super) fn tag(&self) -> &str {
        str::from_utf8(&self.tag).unwrap_or_default()
    }

    /// The file for clients that take no gzip.
    pub(super) fn plain(&self) -> &[u8] {
        self.plain.get_or_init(|| unpack(self.packed))
    }
}

/// The checksum and the length of a packed file, with which it ends (RFC 1952 section 2.3.1), in hex digits.
const fn tag(packed: &[u8]) -> [u8; TAG_BYTES] {
    let (digits, mut tag, mut place) = (b"0123456789abcdef", [0; TAG_BYTES], 0);
    while place < TAG_BYTES {
        let byte = packed[packed.len() - TAG_BYTES / 2 + place / 2];
        tag[place] = digits[(if place % 2 == 0 { byte >> 4 } else { byte & 15 }) as usize];
        place += 1;
    }
    tag
}

/// Unpacks a file. All embedded ones can be: a test unpacks each.
fn unpack(packed: &[u8]) -> Vec<u8> {
    let plain = gzip::unpack(packed);
    debug_assert!(plain.is_some(), "an embedded file is broken");
    plain.unwrap_or_default()
}

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
pub(super) const HTML: &str = "text/html; charset=utf-8";

/// The path of the policy of Flash.
pub(super) const POLICY_PATH: &str = "/crossdomain.xml";

/// The policy that lets Flash movies of any domain in, as the 2011 daemon sent it.
pub(super) const POLICY: &str = concat!(
    r#"<?xml version="1.0"?>"#,
    r#"<!DOCTYPE cross-domain-policy SYSTEM "http://www.macromedia.com/xml/dtds/cross-domain-policy.dtd">"#,
    "<cross-domain-policy>",
    r#"<site-control permitted-cross-domain-policies="master-only"/>"#,
    r#"<allow-access-from domain="*" secure="false"/>"#,
    r#"<allow-http-request-headers-from domain="*" headers="Accept" secure="false"/>"#,
    "</cross-domain-policy>"
);

/// The page that shows an operator what goes on, all in one file.
pub(super) const DASHBOARD: &[u8] = include_bytes!("../../../client/embedded/dashboard.html.gz");

/// A dashboard for Grafana, of the metrics of the stats port.
pub(super) static GRAFANA: Asset =
    Asset::new("/grafana.json", "application/json", include_bytes!("../../../client/embedded/grafana.json.gz"));

/// The module and the element.
const MODULE: &[u8] = include_bytes!("../../../client/embedded/audience.js.gz");

/// Both as a classic script.
const CLASSIC: &[u8] = include_bytes!("../../../client/embedded/audience.min.js.gz");

/// Lists of trackers block the name `audience.min.js`, which pages of before still load: `viewers.min.js` is the same.
static SCRIPTS: [Asset; 5] = [
    Asset::new("/client/audience.js", JAVASCRIPT, MODULE),
    Asset::new("/client/element.js", JAVASCRIPT, MODULE),
    Asset::new("/client/viewers.min.js", JAVASCRIPT, CLASSIC),
    Asset::new("/client/audience.min.js", JAVASCRIPT, CLASSIC),
    Asset::new(
        "/client/jquery.audience.js",
        JAVASCRIPT,
        include_bytes!("../../../client/embedded/jquery.audience.js.gz"),
    ),
];

const WELCOME: &[u8] = include_bytes!("../../../client/embedded/welcome.html.gz");
const DEMO: &[u8] = include_bytes!("../../../client/embedded/demo.html.gz");

/// The client script of this path.
pub(super) fn script(path: &str) -> Option<&'static Asset> {
    SCRIPTS.iter().find(|asset| asset.path == path)
}

/// The pages of the demo port.
pub(super) struct Pages {
    pub(super) welcome: String,
    pub(super) demo: String,
}

impl Pages {
    /// Pages that join on this port.
    pub(super) fn new(audience_port: u16) -> Self {
        let number = audience_port.to_string();
        let fill = |page| String::from_utf8_lossy(&unpack(page)).replace("{{audience_port}}", &number);
        Self { welcome: fill(WELCOME), demo: fill(DEMO) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUT_OF_DATE: &str = "out of date: npm run build --prefix tests/browser";

    #[test]
    fn what_is_embedded_is_the_file() {
        assert!(GRAFANA.plain() == include_bytes!("../../../client/grafana.json"), "{OUT_OF_DATE}");
        assert!(unpack(WELCOME) == include_bytes!("../../../client/welcome.html"), "{OUT_OF_DATE}");
        assert!(unpack(DEMO) == include_bytes!("../../../client/demo.html"), "{OUT_OF_DATE}");
        let plain = |path| script(path).unwrap().plain();
        assert!(plain("/client/audience.min.js") == include_bytes!("../../../client/audience.min.js"), "{OUT_OF_DATE}");
        assert!(plain("/client/viewers.min.js") == plain("/client/audience.min.js"));
        assert!(plain("/client/element.js") == plain("/client/audience.js"));
        let jquery = plain("/client/jquery.audience.js");
        assert!(jquery == include_bytes!("../../../client/jquery.audience.js"), "{OUT_OF_DATE}");
        assert!(str::from_utf8(plain("/client/audience.js")).unwrap().contains("EventSource"));
        assert_eq!(tag(b"before\x01\x23\x45\x67\x89\xab\xcd\xef"), *b"0123456789abcdef");
        assert!(unpack(DASHBOARD).starts_with(b"<!doctype html>"));
    }

    #[test]
    fn the_pages_know_the_audience_port() {
        let pages = Pages::new(8123);
        // WebKit takes a host of `*` without a scheme for the page's own.
        assert!(pages.demo.contains("connect-src http://*:8123 https://*:8123;"));
        assert!(!pages.demo.contains("{{") && !pages.welcome.contains("{{"));
    }
}
