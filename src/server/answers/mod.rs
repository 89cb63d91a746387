//! What requests are answered with.
//!
//! | file | owns |
//! |---|---|
//! | `route`, `admin` | what a request asks for, on the audience port and on the side ports |
//! | `stats` | what is at the stats port |
//! | `pages` | the pages of the stats port about the cluster and this process |
//! | `assets` | the embedded pages and scripts |
//! | `cursor` | replies that are too long for one turn |

pub(in crate::server) mod admin;
pub(in crate::server) mod assets;
pub(in crate::server) mod cursor;
pub(in crate::server) mod pages;
pub(in crate::server) mod route;
pub(in crate::server) mod stats;
