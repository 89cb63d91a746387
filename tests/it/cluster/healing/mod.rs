//! What heals, and how long it takes: the table of the manual, one test for each row.
//!
//! This prints it:
//!
//! ```sh
//! cargo test --workspace --test it -- cluster::healing --nocapture | grep '^|'
//! ```
//!
//! | file | owns |
//! |---|---|
//! | `cables` | cables that are pulled, and directions in which nothing goes through |
//! | `interfaces` | interfaces that come and go, addresses that change, and filters |
//! | `keys` | keys that are replaced while all hosts run |
//! | `observer` | one member that writes down what it is pushed, and when |
//! | `processes` | processes that end or hang |
//! | `scene` | two hosts with two processes each, and what all members are shown |
//! | `strangers` | what others send: a flood, and datagrams of other versions |
//! | `table` | the table, and what was measured of each row |

mod cables;
mod interfaces;
mod keys;
mod observer;
mod processes;
mod scene;
mod strangers;
mod table;
