//! Whether this run tortures its daemons (`AUDIENCE_METER_TORTURE`).

/// Whether all daemons of this run are tortured: what they do takes more calls, and is the same.
pub fn is_tortured() -> bool {
    std::env::var_os("AUDIENCE_METER_TORTURE").is_some()
}
