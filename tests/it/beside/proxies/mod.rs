//! The daemon behind `nginx` and `haproxy`, as the manual configures them.
//!
//! | file | owns |
//! |---|---|
//! | `promises` | what the manual promises behind a proxy |
//! | `proxy` | `nginx` and `haproxy` in front of a daemon, with TLS and HTTP/2, as the manual configures them |
//! | `vanishing` | visitors behind a proxy whose machine vanishes without a word |

mod promises;
mod proxy;
mod vanishing;
