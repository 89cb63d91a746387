//! Audience Meter
pub mod collections;
pub mod config;
pub mod log;
pub mod meter;
pub mod reactor;
pub mod server;
pub mod wire;
