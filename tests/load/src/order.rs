//! What the benchmark tells a part of its crowd to do, as a line of words, and what it answers.
//!
//! Owns the form of both. A part is a process of its own, for a process has 20,000 descriptors or so; whoever is told
//! does it to its own members only, so every part is told the same.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use super::Result;
use super::member::Heard;

/// Some of the places that members may be in: every `step`-th of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) range: Range<usize>,
    pub(super) step: usize,
}

/// What is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sound {
    /// Counts after the first.
    Count,
    /// Messages.
    Message,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Members join, one each `pace`. Answered when all have heard their first count.
    Join { places: Places, pace: Duration },
    /// Members leave. Answered when all have.
    Leave { places: Places },
    /// Hear so many more. Answered at once, and again when that is done.
    Hear { sound: Sound, number: u64 },
    /// Say whether each member's last count is the number given for its event.
    CheckCounts { by_event: Vec<u64> },
    /// Say whether each member has heard as many messages as are given for its event.
    CheckMessages { by_event: Vec<u64> },
    /// Say how much has been heard.
    Tell,
}

/// What has come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is done.
    Done,
    /// It has begun; what comes of it is yet to be said.
    Begun,
    /// It has come so far; there is more to come.
    SoFar(u64),
    /// All was heard: when the first of it and the last was, in nanoseconds since the epoch, for that clock is everybody's.
    Heard { first_unix_ns: u64, last_unix_ns: u64 },
    /// What has been heard so far.
    Told(Heard),
    /// A check has found this.
    Wrong(String),
    /// It cannot be done.
    Failed(String),
}

impl Places {
    /// All of the first so many.
    pub(super) fn first(count: usize) -> Self {
        Self { range: 0..count, step: 1 }
    }

    /// Each place.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + use<> {
        self.range.clone().step_by(self.step)
    }
}

impl fmt::Display for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.range.start, self.range.end, self.step)
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, word: &str, numbers: &[u64]| {
            f.write_str(word)?;
            numbers.iter().try_for_each(|number| write!(f, " {number}"))
        };
        match self {
            Self::Join { places, pace } => write!(f, "join {places} {}", pace.as_nanos()),
            Self::Leave { places } => write!(f, "leave {places}"),
            Self::Hear { sound: Sound::Count, number } => write!(f, "hear-counts {number}"),
            Self::Hear { sound: Sound::Message, number } => write!(f, "hear-messages {number}"),
            Self::CheckCounts { by_event } => list(f, "check-counts", by_event),
            Self::CheckMessages { by_event } => list(f, "check-messages", by_event),
            Self::Tell => f.write_str("tell"),
        }
    }
}

impl FromStr for Order {
    type Err = Box<dyn std::error::Error>;

    fn from_str(line: &str) -> Result<Self> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let numbers = rest.split_whitespace().map(str::parse).collect::<std::result::Result<Vec<u64>, _>>()?;
        let places = |start, end, step| -> Result<Places> {
            Ok(Places { range: usize::try_from(start)?..usize::try_from(end)?, step: usize::try_from(step)?.max(1) })
        };
        match (word, numbers[..].as_ref()) {
            ("join", &[start, end, step, ns]) => {
                Ok(Self::Join { places: places(start, end, step)?, pace: Duration::from_nanos(ns) })
            }
            ("leave", &[start, end, step]) => Ok(Self::Leave { places: places(start, end, step)? }),
            ("hear-counts", &[number]) => Ok(Self::Hear { sound: Sound::Count, number }),
            ("hear-messages", &[number]) => Ok(Self::Hear { sound: Sound::Message, number }),
            ("check-counts", _) => Ok(Self::CheckCounts { by_event: numbers }),
            ("check-messages", _) => Ok(Self::CheckMessages { by_event: numbers }),
            ("tell", []) => Ok(Self::Tell),
            _ => Err(format!("{line:?} is no order").into()),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A line is one answer, whatever it says.
        let one_line = |text: &str| text.replace('\n', " ");
        match self {
            Self::Done => f.write_str("done"),
            Self::Begun => f.write_str("begun"),
            Self::SoFar(number) => write!(f, "so-far {number}"),
            Self::Heard { first_unix_ns, last_unix_ns } => write!(f, "heard {first_unix_ns} {last_unix_ns}"),
            Self::Told(Heard { firsts, counts, messages }) => write!(f, "told {firsts} {counts} {messages}"),
            Self::Wrong(what) => write!(f, "wrong {}", one_line(what)),
            Self::Failed(why) => write!(f, "failed {}", one_line(why)),
        }
    }
}

impl FromStr for Answer {
    type Err = Box<dyn std::error::Error>;

    fn from_str(line: &str) -> Result<Self> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let numbers: Vec<u64> = rest.split_whitespace().map_while(|number| number.parse().ok()).collect();
        match (word, numbers[..].as_ref()) {
            ("done", []) => Ok(Self::Done),
            ("begun", []) => Ok(Self::Begun),
            ("so-far", &[number]) => Ok(Self::SoFar(number)),
            ("heard", &[first_unix_ns, last_unix_ns]) => Ok(Self::Heard { first_unix_ns, last_unix_ns }),
            ("told", &[firsts, counts, messages]) => Ok(Self::Told(Heard { firsts, counts, messages })),
            ("wrong", _) => Ok(Self::Wrong(rest.to_owned())),
            ("failed", _) => Ok(Self::Failed(rest.to_owned())),
            _ => Err(format!("{line:?} is no answer").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_and_answers_are_understood_as_they_were_meant() {
        let places = Places { range: 3..90, step: 10 };
        for order in [
            Order::Join { places: places.clone(), pace: Duration::from_micros(250) },
            Order::Leave { places },
            Order::Hear { sound: Sound::Count, number: 7 },
            Order::Hear { sound: Sound::Message, number: 8 },
            Order::CheckCounts { by_event: vec![1, 20, 300] },
            Order::CheckMessages { by_event: Vec::new() },
            Order::Tell,
        ] {
            assert_eq!(order.to_string().parse::<Order>().unwrap(), order);
        }
        for answer in [
            Answer::Done,
            Answer::Begun,
            Answer::SoFar(4),
            Answer::Heard { first_unix_ns: 5, last_unix_ns: 6 },
            Answer::Told(Heard { firsts: 1, counts: 2, messages: 3 }),
            Answer::Wrong("a member of x was told 7 last".to_owned()),
            Answer::Failed("no room".to_owned()),
        ] {
            assert_eq!(answer.to_string().parse::<Answer>().unwrap(), answer);
        }
    }

    #[test]
    fn what_is_neither_is_refused() {
        for line in ["", "jump 1", "join 1 2", "leave a b c", "tell 1"] {
            assert!(line.parse::<Order>().is_err(), "{line}");
        }
        for line in ["", "done 1", "heard 5", "told 1 2 x"] {
            assert!(line.parse::<Answer>().is_err(), "{line}");
        }
    }
}
