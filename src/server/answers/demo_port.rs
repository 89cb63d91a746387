//! The answers of the demo port: pages to try the audience with.
//!
//! Owns its paths, and the pages with the audience port filled in.

use super::answer::AfterReply;
use super::assets::{self, Asset, Pages};
use super::replies::{push_asset, push_public_text};
use super::route::split_namespace;
use crate::wire::http::{Method, Request};
use crate::wire::name;
use crate::wire::reply::Reply;

/// No page elsewhere may show one of these in a frame (Content Security Policy, section 6.4.2). What else they may do is in
/// the pages.
const NOT_FRAMED: &str = "Content-Security-Policy: frame-ancestors 'none'\r\n";

/// What was decided at start about the demo port.
pub(super) struct DemoPort {
    pages: Pages,
}

impl DemoPort {
    /// With pages that join on this port.
    pub(super) fn new(audience_port: u16) -> Self {
        Self { pages: Pages::new(audience_port) }
    }

    /// Answers a request.
    pub(super) fn answer(&self, request: &Request<'_>, out: &mut Vec<u8>) -> AfterReply {
        let is_head = request.method == Method::Head;
        let push_page = |out: &mut Vec<u8>, page: &str| {
            let (content_type, fields) = (Some(assets::HTML), NOT_FRAMED);
            Reply { content_type, fields, body: page.as_bytes(), ..Reply::empty(200) }.write(out, is_head);
        };
        match DemoRoute::of(&name::canonical(request.path)) {
            DemoRoute::Welcome => push_page(out, &self.pages.welcome),
            DemoRoute::Event => push_page(out, &self.pages.demo),
            DemoRoute::Script(script) => push_asset(out, script, request),
            DemoRoute::NotFound => push_public_text(out, 404, &"there is no such page", is_head),
        }
        AfterReply::Drain
    }
}

/// What a request on the demo port asks for.
#[derive(Debug, PartialEq, Eq)]
enum DemoRoute {
    /// The page that welcomes.
    Welcome,
    /// The page of an event.
    Event,
    /// A client script.
    Script(&'static Asset),
    /// Nothing that is there.
    NotFound,
}

impl DemoRoute {
    fn of(path: &str) -> Self {
        if path == "/" {
            return Self::Welcome;
        }
        if let Some(script) = assets::script(path) {
            return Self::Script(script);
        }
        match split_namespace(path) {
            Some(("client", Some(_))) | None => Self::NotFound,
            Some(_) => Self::Event,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demo_paths() {
        assert_eq!(DemoRoute::of("/"), DemoRoute::Welcome);
        assert_eq!(DemoRoute::of("/test"), DemoRoute::Event);
        assert_eq!(DemoRoute::of("/test/uuid"), DemoRoute::Event);
        assert!(matches!(DemoRoute::of("/client/audience.js"), DemoRoute::Script(_)));
        assert_eq!(DemoRoute::of("/client/none.js"), DemoRoute::NotFound);
        assert_eq!(DemoRoute::of("/a/b/c"), DemoRoute::NotFound);
    }
}
