//! What an operator meets: options, side ports, figures, accounts, replacement and shutdown.

mod accounts;
mod admin;
mod cli;
mod drain;
mod metrics;
mod supervisor;
