//! Dates as HTTP writes them (RFC 9110 section 5.6.7, IMF-fixdate), and as logs do (RFC 3339).
//!
//! Owns the form. It reads no clock.

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The days from 1 March of the year 0 to 1 January 1970, in the calendar of today.
const DAYS_TO_1970: u64 = 719_468;

/// The days of 400 years, after which the calendar repeats.
const DAYS_OF_ERA: u64 = 146_097;

/// A day of the calendar.
struct Day {
    year: u64,
    /// Counted from 1.
    month: u64,
    /// Of the month, counted from 1.
    number: u64,
}

impl Day {
    /// The day that begins this many days after that of 1 January 1970.
    ///
    /// A year is taken to begin in March, so that a leap day is its last. Then day `n` of a year is in month
    /// `(5 n + 2) / 153`.
    fn at(day_count: u64) -> Self {
        let days = day_count + DAYS_TO_1970;
        let (era, day_of_era) = (days / DAYS_OF_ERA, days % DAYS_OF_ERA);
        let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / (DAYS_OF_ERA - 1);
        let year_of_era = (day_of_era - leap_days) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        let year = 400 * era + year_of_era + u64::from(month >= 10);
        Self { year, month: (month + 2) % 12 + 1, number: day_of_year - (153 * month + 2) / 5 + 1 }
    }
}

/// Appends `Sun, 06 Nov 1994 08:49:37 GMT` for a number of seconds since 1970, up to the year 9999.
pub fn push_date(out: &mut Vec<u8>, unix_s: u64) {
    let day_count = unix_s / 86_400;
    let Day { year, month, number: day } = Day::at(day_count);
    push_name(out, &DAYS, day_count);
    out.extend_from_slice(b", ");
    push_digits(out, day, 2);
    out.push(b' ');
    push_name(out, &MONTHS, month - 1);
    out.push(b' ');
    push_digits(out, year, 4);
    push_time(out, b' ', unix_s);
    out.extend_from_slice(b" GMT");
}

/// Appends `1994-11-06T08:49:37.042Z` (RFC 3339) for a number of milliseconds since 1970, up to the year 9999.
pub fn push_timestamp(out: &mut Vec<u8>, unix_ms: u64) {
    let second = unix_ms / 1_000;
    let Day { year, month, number: day } = Day::at(second / 86_400);
    push_digits(out, year, 4);
    for number in [month, day] {
        out.push(b'-');
        push_digits(out, number, 2);
    }
    push_time(out, b'T', second);
    out.push(b'.');
    push_digits(out, unix_ms, 3);
    out.push(b'Z');
}

/// Appends the time of the day, after a separator.
fn push_time(out: &mut Vec<u8>, separator: u8, unix_s: u64) {
    let second = unix_s % 86_400;
    for (separator, number) in [(separator, second / 3_600), (b':', second / 60 % 60), (b':', second % 60)] {
        out.push(separator);
        push_digits(out, number, 2);
    }
}

/// Appends one of the names, which are counted round.
fn push_name<const COUNT: usize>(out: &mut Vec<u8>, names: &[&str; COUNT], number: u64) {
    let place = usize::try_from(number % COUNT as u64).unwrap_or(0);
    out.extend_from_slice(names.get(place).map_or(b"", |name| name.as_bytes()));
}

fn push_digits(out: &mut Vec<u8>, number: u64, count: u32) {
    out.extend((0..count).rev().map(|place| b'0' + (number / 10_u64.pow(place) % 10) as u8));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(unix_s: u64, expected: &str) {
        let mut out = Vec::new();
        push_date(&mut out, unix_s);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        // As GNU date writes them.
        check(0, "Thu, 01 Jan 1970 00:00:00 GMT");
        check(784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT");
        check(951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT");
        check(951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT");
        check(951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT");
        check(1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT");
        check(1_735_689_600, "Wed, 01 Jan 2025 00:00:00 GMT");
        check(4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT");
        check(253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn a_timestamp_has_milliseconds_and_is_of_utc() {
        // As GNU date writes them, with --utc and +%FT%T.%3NZ.
        for (unix_ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (784_111_777_042, "1994-11-06T08:49:37.042Z"),
            (951_782_400_999, "2000-02-29T00:00:00.999Z"),
            (1_735_689_599_001, "2024-12-31T23:59:59.001Z"),
        ] {
            let mut out = Vec::new();
            push_timestamp(&mut out, unix_ms);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
