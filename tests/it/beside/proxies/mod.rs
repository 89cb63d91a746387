//! The daemon behind `nginx` and `haproxy`, as the README configures them.

mod promises;
mod proxy;
mod vanishing;
