//! The pages and scripts that are part of the program; nothing is read from the disk at run time.
//!
//! Owns the embedded files of `client/` and their media types, and fills the audience port into the pages once, at start.

/// A file that is served as it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asset {
    path: &'static str,
    pub(super) content_type: &'static str,
    pub(super) body: &'static str,
}

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
pub(super) const HTML: &str = "text/html; charset=utf-8";

/// The policy that lets Flash movies of any domain in, as the 2011 daemon sent it.
pub(super) const POLICY: Asset = Asset {
    path: "/crossdomain.xml",
    content_type: "application/xml",
    body: concat!(
        r#"<?xml version="1.0"?>"#,
        r#"<!DOCTYPE cross-domain-policy SYSTEM "http://www.macromedia.com/xml/dtds/cross-domain-policy.dtd">"#,
        "<cross-domain-policy>",
        r#"<site-control permitted-cross-domain-policies="master-only"/>"#,
        r#"<allow-access-from domain="*" secure="false"/>"#,
        r#"<allow-http-request-headers-from domain="*" headers="Accept" secure="false"/>"#,
        "</cross-domain-policy>"
    ),
};

/// The page that shows an operator what goes on, all in one file.
pub(super) const DASHBOARD: Asset =
    Asset { path: "/", content_type: HTML, body: include_str!("../../client/dashboard.html") };

/// A dashboard for Grafana, of the metrics that the stats port tells.
pub(super) const GRAFANA: Asset =
    Asset { path: "/grafana.json", content_type: "application/json", body: include_str!("../../client/grafana.json") };

static SCRIPTS: [Asset; 3] = [
    Asset { path: "/client/audience.js", content_type: JAVASCRIPT, body: include_str!("../../client/audience.js") },
    Asset {
        path: "/client/audience.min.js",
        content_type: JAVASCRIPT,
        body: include_str!("../../client/audience.min.js"),
    },
    Asset {
        path: "/client/jquery.audience.js",
        content_type: JAVASCRIPT,
        body: include_str!("../../client/jquery.audience.js"),
    },
];

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
            welcome: fill(include_str!("../../client/welcome.html")),
            demo: fill(include_str!("../../client/demo.html")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_know_the_audience_port() {
        let pages = Pages::new(8123);
        assert!(pages.demo.contains("8123"));
        assert!(!pages.demo.contains("{{") && !pages.welcome.contains("{{"));
    }
}
