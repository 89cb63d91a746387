//! What stands beside the daemon: proxies, browsers, tools of others, the container of the README.

pub(crate) mod browser;
mod container;
mod proxies;
mod rrd;
mod tools;
