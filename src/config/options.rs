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
use super::variables::{SUPERVISOR_VARIABLE, is_service_link, older_variable, variable};

/// A year: the longest duration that an option takes. It keeps all arithmetic on time far from its limits.
const DURATION_MAX_S: u32 = 365 * 24 * 3600;

/// More processes than a machine has cores are of no use.
pub const WORKERS_MAX: usize = 1024;

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
    /// The options that were given by the environment, and by which variable.
    by_variable: Vec<(&'static str, String)>,
}

impl<E: Fn(&str) -> Option<OsString>> Options<E> {
    pub(super) fn new(args: Vec<OsString>, env: E) -> Self {
        Self { args: pico_args::Arguments::from_vec(args), env, by_variable: Vec::new() }
    }

    /// The value of an option, or of its environment variable, or the default. `parse` says what it wants if it refuses.
    pub(super) fn value<T>(
        &mut self,
        option: &'static str,
        default: T,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, UsageError> {
        Ok(self.given(option, option, parse)?.unwrap_or(default))
    }

    /// The value of an option that has these names, or of its environment variable, if there is one.
    pub(super) fn given<T>(
        &mut self,
        names: impl Into<pico_args::Keys>,
        option: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, UsageError> {
        let Some(text) = self.text(names.into(), option)? else { return Ok(None) };
        parse(&text).map(Some).map_err(|problem| self.refused(option, &text, &problem))
    }

    /// Whether an option without a value was given, or its variable says so.
    pub(super) fn flag(&mut self, names: impl Into<pico_args::Keys>, option: &'static str) -> Result<bool, UsageError> {
        if self.args.contains(names) {
            return Ok(true);
        }
        let Some(text) = self.variable_of(option)? else { return Ok(false) };
        match &*text.to_ascii_lowercase() {
            "1" | "true" | "yes" | "on" => Ok(true),
            "0" | "false" | "no" | "off" => Ok(false),
            _ => Err(self.refused(option, &text, "is not a switch; give 1 or 0")),
        }
    }

    /// The name under which an option was given: its own, or its variable's.
    pub(super) fn source(&self, option: &'static str) -> String {
        let found = self.by_variable.iter().find(|(known, _)| *known == option);
        found.map_or(option, |(_, variable)| variable).to_owned()
    }

    /// What was given for an option. (What is the same for all options is here, for the program has it once; `given` is
    /// there for each kind of value.)
    fn text(&mut self, names: pico_args::Keys, option: &'static str) -> Result<Option<String>, UsageError> {
        let given = self.args.opt_value_from_fn(names, |value| Ok::<_, UsageError>(value.to_owned()));
        let given = given.map_err(|error| match error {
            pico_args::Error::NonUtf8Argument => {
                UsageError(format!("{option} has a value that is not text; see --help"))
            }
            _ => UsageError(format!("{option} takes a value; see --help")),
        })?;
        if given.is_some() { Ok(given) } else { self.variable_of(option) }
    }

    /// What the environment says of an option: the first of its variables that has a value.
    fn variable_of(&mut self, option: &'static str) -> Result<Option<String>, UsageError> {
        for name in [Some(variable(option)), older_variable(option).map(str::to_owned)].into_iter().flatten() {
            let Some(value) = (self.env)(&name).filter(|value| !value.is_empty() && !is_service_link(value)) else {
                continue;
            };
            self.by_variable.push((option, name));
            let text = value.into_string();
            return text.map(Some).map_err(|value| self.refused(option, &value.to_string_lossy(), "is not text"));
        }
        Ok(None)
    }

    /// What is wrong with what was given for an option.
    fn refused(&self, option: &'static str, text: &str, problem: &str) -> UsageError {
        UsageError(format!("{} {text:?} {problem}", self.source(option)))
    }

    pub(super) fn port(&mut self, option: &'static str, default: u16) -> Result<u16, UsageError> {
        self.value(option, default, |text| {
            text.parse().map_err(|_| "is not a port; give a number from 0 to 65535".to_owned())
        })
    }

    pub(super) fn side_port(&mut self, option: &'static str, default: u16) -> Result<Option<u16>, UsageError> {
        Ok(Some(self.port(option, default)?).filter(|&port| port != 0))
    }

    pub(super) fn duration(&mut self, option: &'static str, default_s: f64) -> Result<Duration, UsageError> {
        self.value(option, Duration::from_secs_f64(default_s), parse_duration)
    }

    pub(super) fn positive_duration(&mut self, option: &'static str, default_s: f64) -> Result<Duration, UsageError> {
        self.value(option, Duration::from_secs_f64(default_s), |text| {
            let duration = parse_duration(text)?;
            if duration.is_zero() { Err("is too short; give more than 0 seconds".to_owned()) } else { Ok(duration) }
        })
    }

    pub(super) fn workers(&mut self) -> Result<usize, UsageError> {
        let given = self.given(["-w", "--workers"], "--workers", |text| match text.parse() {
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
            let (of_least, of_most) = (self.source("--retry-min"), self.source("--retry-max"));
            return Err(UsageError(format!("{of_least} {least} is more than {of_most} {most}; give at most that")));
        }
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Ok(ms(least)..=ms(most))
    }

    /// Refuses arguments that no option has taken; returns what the environment has given, and by which variables.
    pub(super) fn finish(self) -> Result<Vec<(&'static str, String)>, UsageError> {
        let left = self.args.finish();
        let Some(first) = left.first() else { return Ok(self.by_variable) };
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
