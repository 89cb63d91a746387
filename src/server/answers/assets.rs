//! The pages and scripts that are part of the program; nothing is read from the disk at run time.
//!
//! Owns the embedded files of `client/` and their media types, and fills the audience port into the pages once, at start.
//! Both classic scripts end with the same core (`tests/browser/build.mjs`), which the program has once.

/// A file that is sent as it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asset {
    path: &'static str,
    pub(super) content_type: &'static str,
    body: &'static str,
    /// What follows, and is of another file.
    end: &'static str,
}

impl Asset {
    const fn new(path: &'static str, content_type: &'static str, body: &'static str) -> Self {
        Self { path, content_type, body, end: "" }
    }

    /// What it says.
    pub(super) fn text(&self) -> String {
        [self.body, self.end].concat()
    }
}

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
pub(super) const HTML: &str = "text/html; charset=utf-8";

/// The policy that lets Flash movies of any domain in, as the 2011 daemon sent it.
pub(super) const POLICY: Asset = Asset::new(
    "/crossdomain.xml",
    "application/xml",
    concat!(
        r#"<?xml version="1.0"?>"#,
        r#"<!DOCTYPE cross-domain-policy SYSTEM "http://www.macromedia.com/xml/dtds/cross-domain-policy.dtd">"#,
        "<cross-domain-policy>",
        r#"<site-control permitted-cross-domain-policies="master-only"/>"#,
        r#"<allow-access-from domain="*" secure="false"/>"#,
        r#"<allow-http-request-headers-from domain="*" headers="Accept" secure="false"/>"#,
        "</cross-domain-policy>"
    ),
);

/// The page that shows an operator what goes on, all in one file. It is part of the program as it is sent, by gzip (RFC
/// 1952): that is 17 kB where the page is 46.
pub(super) const DASHBOARD: &[u8] = include_bytes!("../../../client/dashboard.html.gz");

/// A dashboard for Grafana, of the metrics of the stats port.
pub(super) const GRAFANA: Asset =
    Asset::new("/grafana.json", "application/json", include_str!("../../../client/grafana.json"));

static SCRIPTS: [Asset; 3] = [
    Asset::new("/client/audience.js", JAVASCRIPT, include_str!("../../../client/audience.js")),
    Asset::new("/client/audience.min.js", JAVASCRIPT, CLASSIC),
    Asset { end: CORE, ..Asset::new("/client/jquery.audience.js", JAVASCRIPT, JQUERY_START) },
];

const CLASSIC: &str = include_str!("../../../client/audience.min.js");
const JQUERY: &str = include_str!("../../../client/jquery.audience.js");

/// What both end with.
const CORE: &str = CLASSIC.split_at(CLASSIC.len() - common_end(CLASSIC.as_bytes(), JQUERY.as_bytes())).1;

/// What one begins with alone. A copy: a slice would bring all that it is cut from into the program.
const JQUERY_START: &str = {
    const START: [u8; JQUERY.len() - CORE.len()] = *JQUERY.as_bytes().first_chunk().unwrap();
    match str::from_utf8(&START) {
        Ok(start) => start,
        Err(_) => unreachable!(),
    }
};

/// How many bytes two files end with in common.
const fn common_end(one: &[u8], other: &[u8]) -> usize {
    let mut length = 0;
    while length < one.len() && length < other.len() && one[one.len() - 1 - length] == other[other.len() - 1 - length] {
        length += 1;
    }
    length
}

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
        let fill = |page: &str| page.replace("{{audience_port}}", &audience_port.to_string());
        Self {
            welcome: fill(include_str!("../../../client/welcome.html")),
            demo: fill(include_str!("../../../client/demo.html")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_are_the_files() {
        let text = |path| script(path).unwrap().text();
        assert_eq!(text("/client/audience.js"), include_str!("../../../client/audience.js"));
        assert_eq!(text("/client/audience.min.js"), CLASSIC);
        assert_eq!(text("/client/jquery.audience.js"), JQUERY);
        assert!(JQUERY_START.len() < JQUERY.len() / 10, "the core is one text: npm run build --prefix tests/browser");
    }

    #[test]
    fn the_pages_know_the_audience_port() {
        let pages = Pages::new(8123);
        assert!(pages.demo.contains("8123"));
        assert!(!pages.demo.contains("{{") && !pages.welcome.contains("{{"));
    }
}
