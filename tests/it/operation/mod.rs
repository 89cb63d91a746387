//! What an operator meets: options, side ports, figures, accounts, replacement and shutdown.

mod accounts;
mod cli;
mod demo;
mod drain;
mod ending;
mod giving_up;
mod local;
mod metrics;
mod notification;
mod process_page;
mod rolling;
mod side_ports;
mod stats;
mod supervisor;
mod workers;
