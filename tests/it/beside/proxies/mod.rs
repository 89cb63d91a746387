//! The daemon behind `nginx` and `haproxy`, as the manual configures them.

mod promises;
mod proxy;
mod vanishing;
