//! What stands beside the daemon: proxies, browsers, tools of others, the container and the commands of the manual.
//!
//! | file | owns |
//! |---|---|
//! | `bridges` | scripts of the manual that hand on what watchers are told |
//! | `brokers` | message brokers, and their client libraries in another language |
//! | `browser` | the daemon and its pages in a real browser |
//! | `clients` | client libraries of others |
//! | `container` | the static program as the Dockerfile of the manual makes it, in a root that holds nothing else |
//! | `front_page` | what README.md and the manual have a newcomer type into a shell, as it stands there |
//! | `logs` | the log as readers of logfmt and of JSON and the journal take it |
//! | `proxies` | the daemon behind the proxies of the manual, configured as it says |
//! | `rrd` | the stats in a round-robin database, by the very script of the manual, and the picture that `rrdtool` draws of it |
//! | `signing` | the recipes by which a site signs addresses |
//! | `tools` | what others wrote to take servers down or to measure them |

mod bridges;
mod brokers;
pub(crate) mod browser;
mod clients;
mod container;
mod front_page;
mod logs;
mod proxies;
mod rrd;
mod signing;
mod tools;
