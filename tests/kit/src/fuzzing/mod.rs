//! The bodies of the fuzz targets, one file each: what must hold for any bytes whatever.
//!
//! The targets of `fuzz/` call them, and so does the test that replays the committed corpus without a fuzzer. They panic when a
//! promise is broken. None of them knows where its bytes come from.
//!
//! | file | its bytes |
//! |---|---|
//! | `broker` | what a message broker sends, in pieces |
//! | `request` | the head of a request |
//! | `session` | what a peer sends, in pieces |
//! | `report` | datagrams of other nodes |
//! | `meter` | a script of the world of many nodes |
//! | `proxy` | what a proxy says of its client |
//! | `table` | what another program hands over |

mod broker;
mod meter;
mod proxy;
mod report;
mod request;
mod session;
mod table;

pub use broker::{nats, redis};
pub use meter::meter;
pub use proxy::proxy;
pub use report::report;
pub use request::request;
pub use session::session;
pub use table::{is_taken_over, table};
