//! The manual: how to use the program, page by page.
//!
//! Each page is a file of this folder, which GitHub shows as well. It owns the words for users; the words for maintainers
//! are the crate's own documentation and that of the modules. The tests run its examples as they stand.
//!
//! Invariant: a page refers to another one by a link reference at its end, which names a file. Here the references of
//! `page!` come first, and so they win: they name the page on this site.

/// A page: its module, what it is about, and the file of the same name.
macro_rules! page {
    ($name:ident, $about:literal) => {
        #[doc = $about]
        ///
        /// [cluster]: crate::manual::cluster#options
        /// [crate]: crate
        /// [joining]: crate::manual::joining#options
        /// [limits]: crate::manual::limits
        /// [many]: crate::manual::pages#many-numbers-in-one-page
        /// [messages]: crate::manual::pages#messages
        /// [monitoring]: crate::manual::monitoring
        /// [pages]: crate::manual::pages
        /// [proxies]: crate::manual::proxies
        /// [reports]: crate::manual::monitoring#options
        /// [restart]: crate::manual::operating#restart
        /// [restarts]: crate::manual::faults#restarts
        /// [signed]: crate::manual::joining#how-an-address-is-signed
        /// [tabs]: crate::manual::pages#one-person-in-several-tabs
        /// [trust]: crate::manual::proxies#which-proxies-the-daemon-believes
        /// [vanished]: crate::manual::faults#members-whose-machine-vanished
        /// [watching]: crate::manual::monitoring#watching-events
        ///
        #[doc = include_str!(concat!(stringify!($name), ".md"))]
        pub mod $name {}
    };
}

page!(pages, "How a page joins an event: the element, the module, the classic script, jQuery, and messages.");
page!(joining, "Addresses that a site signs, and the names that events may have.");
page!(proxies, "HTTPS and HTTP/2 by a proxy, what each of ten needs, and the addresses of visitors behind them.");
page!(monitoring, "The dashboard, the figures, watch streams, histories, reports, and Prometheus.");
page!(operating, "As a service, in a container, a restart without a gap, and the options.");
page!(cluster, "One audience of several processes and several hosts.");
page!(limits, "What is bounded, by which option, and what happens past it.");
page!(faults, "What is promised when machines vanish, processes end and requests are malformed.");
page!(changes, "What each version changed.");
