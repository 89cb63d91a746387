//! The reading of options: from an argument, or the environment variable in its place, to a value of one kind.
//!
//! Owns the arguments that have not been read yet, the kinds of values that several options take, and the error. It does not
//! know which options there are, except those that name processes and the wait before a browser comes back.

use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::usage;

/// A year: the longest duration that an option takes. It keeps all arithmetic on time far from its limits.
const DURATION_MAX_S: u32 = 365 * 24 * 3600;

/// More processes than a machine has cores are of no use.
pub const WORKERS_MAX: usize = 1024;

/// The environment variable in which a supervisor passes its process id to its workers.
pub const SUPERVISOR_VARIABLE: &str = "AUDIENCE_METER_WORKER";

/// Why the arguments are refused.
#[derive(Debug, PartialEq, Eq)]
pub struct UsageError(pub(super) String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// The arguments that have not been read yet.
pub(super) struct Options<E> {
    pub(super) args: pico_args::Arguments,
    pub(super) env: E,
}

impl<E: Fn(&str) -> Option<OsString>> Options<E> {
    /// The value of an option, or of an environment variable, or the default. `parse` says what it wants if it refuses.
    pub(super) fn value<T>(
        &mut self,
        option: &'static str,
        variable: Option<&'static str>,
        default: T,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, UsageError> {
        Ok(self.given(option, option, variable, parse)?.unwrap_or(default))
    }

    /// The value of an option that has these names, or of an environment variable, if there is one.
    pub(super) fn given<T>(
        &mut self,
        names: impl Into<pico_args::Keys>,
        option: &'static str,
        variable: Option<&'static str>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, UsageError> {
        let Some((source, text)) = self.text(names.into(), option, variable)? else { return Ok(None) };
        parse(&text).map(Some).map_err(|problem| refused(source, &text, &problem))
    }

    /// What was given for an option, and by which name: its own, or the environment variable's. (What is the same for all
    /// options is here, for the program has it once; `given` is there for each kind of value.)
    fn text(
        &mut self,
        names: pico_args::Keys,
        option: &'static str,
        variable: Option<&'static str>,
    ) -> Result<Option<(&'static str, String)>, UsageError> {
        let given = self.args.opt_value_from_fn(names, |value| Ok::<_, UsageError>(value.to_owned()));
        let given = given.map_err(|error| match error {
            pico_args::Error::NonUtf8Argument => {
                UsageError(format!("{option} has a value that is not text; see --help"))
            }
            _ => UsageError(format!("{option} takes a value; see --help")),
        })?;
        let Some(variable) = variable.filter(|_| given.is_none()) else {
            return Ok(given.map(|text| (option, text)));
        };
        let Some(value) = (self.env)(variable).filter(|value| !value.is_empty()) else { return Ok(None) };
        let text = value.into_string().map_err(|value| refused(variable, &value.to_string_lossy(), "is not text"))?;
        Ok(Some((variable, text)))
    }

    pub(super) fn port(
        &mut self,
        option: &'static str,
        variable: Option<&'static str>,
        default: u16,
    ) -> Result<u16, UsageError> {
        self.value(option, variable, default, |text| {
            text.parse().map_err(|_| "is not a port; give a number from 0 to 65535".to_owned())
        })
    }

    pub(super) fn side_port(&mut self, option: &'static str, default: u16) -> Result<Option<u16>, UsageError> {
        Ok(Some(self.port(option, None, default)?).filter(|&port| port != 0))
    }

    pub(super) fn duration(&mut self, option: &'static str, default_s: f64) -> Result<Duration, UsageError> {
        self.value(option, None, Duration::from_secs_f64(default_s), parse_duration)
    }

    pub(super) fn positive_duration(&mut self, option: &'static str, default_s: f64) -> Result<Duration, UsageError> {
        self.value(option, None, Duration::from_secs_f64(default_s), |text| {
            let duration = parse_duration(text)?;
            if duration.is_zero() { Err("is too short; give more than 0 seconds".to_owned()) } else { Ok(duration) }
        })
    }

    pub(super) fn workers(&mut self) -> Result<usize, UsageError> {
        let given = self.given(["-w", "--workers"], "--workers", None, |text| match text.parse() {
            Ok(workers @ 1..=WORKERS_MAX) => Ok(workers),
            _ => Err(format!("is not a number of processes; give one from 1 to {WORKERS_MAX}")),
        })?;
        Ok(given.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from).min(WORKERS_MAX)))
    }

    pub(super) fn supervisor(&self) -> Result<Option<u32>, UsageError> {
        let Some(value) = (self.env)(SUPERVISOR_VARIABLE) else { return Ok(None) };
        let process = value.to_str().and_then(|text| text.parse().ok());
        process.map(Some).ok_or_else(|| {
            let value = value.to_string_lossy();
            UsageError(format!("{SUPERVISOR_VARIABLE} {value:?} is not a process id; leave it unset"))
        })
    }

    pub(super) fn retry_ms(&mut self) -> Result<RangeInclusive<u64>, UsageError> {
        let least = self.duration("--retry-min", 2.0)?;
        let most = self.duration("--retry-max", 10.0)?;
        if least > most {
            let (least, most) = (seconds(least), seconds(most));
            return Err(UsageError(format!("--retry-min {least} is more than --retry-max {most}; give at most that")));
        }
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Ok(ms(least)..=ms(most))
    }

    /// Refuses arguments that no option has taken.
    pub(super) fn finish(self) -> Result<(), UsageError> {
        let left = self.args.finish();
        let Some(first) = left.first() else { return Ok(()) };
        let text = first.to_string_lossy();
        let name = text.split('=').next().unwrap_or(&text);
        Err(UsageError(if usage::is_option(name) {
            format!("{name} was given already, or without its value; see --help")
        } else if name.starts_with('-') && name.len() > 1 {
            format!("{name} is not an option; see --help")
        } else {
            format!("{text:?} is not expected here: there are options only; see --help")
        }))
    }
}

/// What is wrong with what was given under this name.
fn refused(source: &str, text: &str, problem: &str) -> UsageError {
    UsageError(format!("{source} {text:?} {problem}"))
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=f64::from(DURATION_MAX_S)).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(format!("is not a duration; give seconds from 0 to {DURATION_MAX_S}, such as 0.5")),
    }
}

/// A duration as it would be given. (What writes an `f64` is 17 kB of program, and this would be all that it is for.)
fn seconds(duration: Duration) -> String {
    let text = format!("{}.{:09}", duration.as_secs(), duration.subsec_nanos());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

pub(super) fn parse_limit(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(limit @ 1..) => Ok(limit),
        _ => Err("is not a limit; give a number from 1".to_owned()),
    }
}

pub(super) fn parse_seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("is not a seed; give a number from 0 to {}", u64::MAX))
}

pub(super) fn parse_ratio(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(ratio) if (0.0..=1000.0).contains(&ratio) => Ok(ratio),
        _ => Err("is not a ratio; give a number such as 0.1".to_owned()),
    }
}

pub(super) fn parse_host(text: &str) -> Result<Option<IpAddr>, String> {
    if text == "localhost" {
        return Ok(Some(Ipv4Addr::LOCALHOST.into()));
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().map_err(|_| "is not an address; give one such as 127.0.0.1 or ::1".to_owned())?;
    Ok(Some(address))
}
