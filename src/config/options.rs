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
const DURATION_MAX: Duration = Duration::from_hours(365 * 24);

/// The largest ratio.
const RATIO_MAX: u64 = 1000;

const BILLION: u64 = 1_000_000_000;

/// The options that have a letter, too.
const LETTERS: [(&str, &str); 3] = [("--workers", "-w"), ("--cluster-addr", "-m"), ("--debug", "-d")];

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
        Ok(self.given(option, parse)?.unwrap_or(default))
    }

    /// The value of an option, or of its environment variable, if there is one.
    pub(super) fn given<T>(
        &mut self,
        option: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, UsageError> {
        let Some(text) = self.text(option)? else { return Ok(None) };
        parse(&text).map(Some).map_err(|problem| self.refused(option, &text, &problem))
    }

    /// Whether an option without a value was given, or its variable says so.
    pub(super) fn flag(&mut self, option: &'static str) -> Result<bool, UsageError> {
        if self.args.contains(keys(option)) {
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
    fn text(&mut self, option: &'static str) -> Result<Option<String>, UsageError> {
        let given = self.args.opt_value_from_fn(keys(option), |value| Ok::<_, UsageError>(value.to_owned()));
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

    pub(super) fn duration(&mut self, option: &'static str, default_s: u64) -> Result<Duration, UsageError> {
        self.value(option, Duration::from_secs(default_s), parse_duration)
    }

    pub(super) fn positive_duration(&mut self, option: &'static str, default_s: u64) -> Result<Duration, UsageError> {
        self.value(option, Duration::from_secs(default_s), |text| {
            let duration = parse_duration(text)?;
            if duration.is_zero() { Err("is too short; give more than 0 seconds".to_owned()) } else { Ok(duration) }
        })
    }

    pub(super) fn workers(&mut self) -> Result<usize, UsageError> {
        let given = self.given("--workers", |text| match text.parse() {
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
        let least = self.duration("--retry-min", 2)?;
        let most = self.duration("--retry-max", 10)?;
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

/// The names of an option.
fn keys(option: &'static str) -> pico_args::Keys {
    let letter = LETTERS.iter().find(|(name, _)| *name == option);
    letter.map_or_else(|| option.into(), |&(_, letter)| [letter, option].into())
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = parse_billionths(text).map(Duration::from_nanos);
    duration
        .filter(|&duration| duration <= DURATION_MAX)
        .ok_or_else(|| format!("is not a duration; give seconds from 0 to {}, such as 0.5", DURATION_MAX.as_secs()))
}

/// A decimal number, times 10^9: digits, and perhaps a point and more digits, of which those after the ninth are dropped.
/// (What reads an `f64` is 17 kB of program, and takes exponents, infinity and NaN.)
fn parse_billionths(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let nine = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    whole.bytes().chain(nine).try_fold(0_u64, |sum, byte| sum.checked_mul(10)?.checked_add(u64::from(byte - b'0')))
}

/// A duration as it would be given. (What writes an `f64` is another 17 kB.)
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
    let billionths = parse_billionths(text).filter(|&ratio| ratio <= RATIO_MAX * BILLION);
    #[expect(clippy::cast_precision_loss, reason = "both are far below 2^53")]
    let ratio = billionths.map(|ratio| ratio as f64 / BILLION as f64);
    ratio.ok_or_else(|| format!("is not a ratio; give a number from 0 to {RATIO_MAX}, such as 0.1"))
}

pub(super) fn parse_host(text: &str) -> Result<Option<IpAddr>, String> {
    if text == "localhost" {
        return Ok(Some(Ipv4Addr::LOCALHOST.into()));
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().map_err(|_| "is not an address; give one such as 127.0.0.1 or ::1".to_owned())?;
    Ok(Some(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_numbers_are_read_to_the_ninth_digit() {
        for (text, expected) in [
            ("0", 0),
            ("25", 25 * BILLION),
            ("0.5", BILLION / 2),
            (".5", BILLION / 2),
            ("5.", 5 * BILLION),
            ("007.000000001", 7 * BILLION + 1),
            ("1.0000000019", BILLION + 1),
            ("18446744073.709551615", u64::MAX),
        ] {
            assert_eq!(parse_billionths(text), Some(expected), "{text}");
        }
        for text in ["", ".", "-1", "+1", "1e3", "1,5", "1.2.3", " 1", "nan", "18446744073.709551616", "99999999999"] {
            assert_eq!(parse_billionths(text), None, "{text}");
        }
    }

    #[test]
    fn a_ratio_is_the_nearest_number_that_there_is() {
        for text in ["0", "0.1", "0.3", "1.5", "1000"] {
            assert_eq!(parse_ratio(text).unwrap().to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
        }
        assert!(parse_ratio("1000.000000001").is_err());
    }
}
