//! What stands beside the daemon: proxies, browsers, tools of others, the container and the commands of the manual.

pub(crate) mod browser;
mod container;
mod front_page;
mod proxies;
mod rrd;
mod tools;
