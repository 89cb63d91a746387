//! The daemon behind the proxies of the manual, configured as it says.
//!
//! | file | owns |
//! |---|---|
//! | `caches` | caches before the daemon: what they must not store |
//! | `names` | names behind a proxy |
//! | `promises` | what the manual promises behind nginx and HAProxy |
//! | `proxy` | a proxy in front of a daemon, with TLS and HTTP/2, as the manual configures it |
//! | `recipes` | how each proxy is started with the configuration of the manual |
//! | `silence` | repeated counts, which keep a member that a proxy's patience would end |
//! | `table` | the table of the manual: what each proxy needs, and when it sees that a client has left |
//! | `vanishing` | visitors behind a proxy whose machine vanishes without a word |

mod caches;
mod names;
mod promises;
mod proxy;
mod recipes;
mod silence;
mod table;
mod vanishing;
