//! Many processes and many hosts that are one audience.

mod apart;
mod departures;
mod hosts;
mod page;
mod siblings;
mod simulation;
mod strangers;
mod totals;
mod uuids;
