//! The bodies of the fuzz targets, one file each: what must hold for any bytes whatever.
//!
//! The targets of `fuzz/` call them, and so does the test that replays the committed corpus without a fuzzer. They panic when a
//! promise is broken. None of them knows where its bytes come from.

mod meter;
mod proxy;
mod report;
mod request;
mod session;

pub use meter::meter;
pub use proxy::proxy;
pub use report::report;
pub use request::request;
pub use session::session;
