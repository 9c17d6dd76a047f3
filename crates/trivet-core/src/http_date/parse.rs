//! Reading an HTTP-date.

use super::{DateTime, MONTHS, WEEKDAYS};

/// The seconds since 1970 that `value` names, in any of the three forms of an
/// HTTP-date (RFC 9110 section 5.6.7):
///
/// ```text
/// Sun, 06 Nov 1994 08:49:37 GMT    IMF-fixdate
/// Sunday, 06-Nov-94 08:49:37 GMT   RFC 850
/// Sun Nov  6 08:49:37 1994         asctime
/// ```
///
/// `now_s`, also in seconds since 1970, is asked for a year of two digits alone: one
/// that seems to lie more than 50 years ahead is the latest such year in the past.
///
/// `None` for anything else: another zone, letters of another case, a day that its
/// month does not have, a weekday that is not that of the date, a time before 1970.
/// A leap second is read as the second after it, as POSIX time has none.
pub fn parse(value: &[u8], now_s: u64) -> Option<u64> {
    if let Some((b", ", rest)) = value.get(3..).and_then(|tail| tail.split_at_checked(2)) {
        return imf_fixdate(value.get(..3)?, rest);
    }
    if value.get(3) == Some(&b' ') {
        return asctime(value.get(..3)?, value.get(4..)?);
    }
    rfc850(value, now_s)
}

/// `06 Nov 1994 08:49:37 GMT`, after the weekday.
fn imf_fixdate(weekday: &[u8], rest: &[u8]) -> Option<u64> {
    let rest: &[u8; 24] = rest.try_into().ok()?;
    let [
        d1,
        d2,
        b' ',
        m1,
        m2,
        m3,
        b' ',
        y1,
        y2,
        y3,
        y4,
        b' ',
        time @ ..,
        b' ',
        b'G',
        b'M',
        b'T',
    ] = rest
    else {
        return None;
    };
    let year = two(*y1, *y2)? * 100 + two(*y3, *y4)?;
    let date = Date {
        year,
        month: month([*m1, *m2, *m3])?,
        day: two(*d1, *d2)?,
    };
    date.at(clock(time)?, short_weekday(weekday)?)
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`.
fn rfc850(value: &[u8], now_s: u64) -> Option<u64> {
    let comma = value.iter().position(|&byte| byte == b',')?;
    let (name, rest) = value.split_at(comma);
    let weekday = LONG_WEEKDAYS
        .iter()
        .position(|long| long.as_bytes() == name)?;
    let rest: &[u8; 24] = rest.try_into().ok()?;
    let [
        b',',
        b' ',
        d1,
        d2,
        b'-',
        m1,
        m2,
        m3,
        b'-',
        y1,
        y2,
        b' ',
        time @ ..,
        b' ',
        b'G',
        b'M',
        b'T',
    ] = rest
    else {
        return None;
    };
    let (month, day, clock) = (month([*m1, *m2, *m3])?, two(*d1, *d2)?, clock(time)?);
    let this_year = DateTime::of(now_s).year as u64;
    let mut year = this_year - this_year % 100 + two(*y1, *y2)?;
    // The century that puts it at most 50 years ahead, and less than 50 behind.
    if year + 50 <= this_year {
        year += 100;
    }
    let date = Date { year, month, day };
    let unix_s = date.since_1970_s(clock);
    let latest = Date {
        year: this_year + 50,
        ..Date::of(now_s)
    };
    if unix_s? > latest.since_1970_s(now_s % 86_400)? {
        let date = Date {
            year: year.checked_sub(100)?,
            ..date
        };
        return date.at(clock, weekday);
    }
    date.at(clock, weekday)
}

/// `Nov  6 08:49:37 1994`, after the weekday; the day has a space for a leading zero.
fn asctime(weekday: &[u8], rest: &[u8]) -> Option<u64> {
    let rest: &[u8; 20] = rest.try_into().ok()?;
    let [m1, m2, m3, b' ', d1, d2, b' ', tail @ ..] = rest else {
        return None;
    };
    let [time @ .., b' ', y1, y2, y3, y4] = tail else {
        return None;
    };
    let tens = if *d1 == b' ' { b'0' } else { *d1 };
    let date = Date {
        year: two(*y1, *y2)? * 100 + two(*y3, *y4)?,
        month: month([*m1, *m2, *m3])?,
        day: two(tens, *d2)?,
    };
    date.at(clock(time)?, short_weekday(weekday)?)
}

/// A day of the calendar. `month` is 1 to 12; `day` may be one too many.
#[derive(Clone, Copy)]
struct Date {
    year: u64,
    month: u64,
    day: u64,
}

impl Date {
    const fn of(unix_s: u64) -> Self {
        let time = DateTime::of(unix_s);
        Self {
            year: time.year as u64,
            month: time.month as u64,
            day: time.day as u64,
        }
    }

    /// Seconds since 1970 at `clock_s` of this day, if it is a `weekday`.
    fn at(self, clock_s: u64, weekday: usize) -> Option<u64> {
        let unix_s = self.since_1970_s(clock_s)?;
        // Without the clock: a leap second at midnight would show the next day.
        let found = DateTime::of(unix_s - clock_s);
        let is_real = found.day as u64 == self.day && found.month as u64 == self.month;
        (is_real && found.weekday == weekday).then_some(unix_s)
    }

    /// The inverse of [`DateTime::of`], after the same source. A day that the month
    /// does not have runs over into the next one.
    const fn since_1970_s(self, clock_s: u64) -> Option<u64> {
        if self.year < 1970 || self.day == 0 || self.day > 31 {
            return None;
        }
        let (year, month_from_march) = if self.month > 2 {
            (self.year, self.month - 3)
        } else {
            (self.year - 1, self.month + 9)
        };
        let (era, year_of_era) = (year / 400, year % 400);
        let day_of_year = (153 * month_from_march + 2) / 5 + self.day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * 146_097 + day_of_era - 719_468;
        Some(days * 86_400 + clock_s)
    }
}

const LONG_WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

fn short_weekday(name: &[u8]) -> Option<usize> {
    WEEKDAYS.iter().position(|short| short == name)
}

fn month(name: [u8; 3]) -> Option<u64> {
    let index = MONTHS.iter().position(|&month| month == name)?;
    Some(index as u64 + 1)
}

/// `08:49:37` as seconds; 60 is a leap second's.
fn clock(time: &[u8]) -> Option<u64> {
    let &[h1, h2, b':', m1, m2, b':', s1, s2] = time else {
        return None;
    };
    let (hour, minute, second) = (two(h1, h2)?, two(m1, m2)?, two(s1, s2)?);
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second)
}

/// Two digits.
fn two(tens: u8, ones: u8) -> Option<u64> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    Some(digit(tens)? * 10 + digit(ones)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http_date::format;
    use proptest::prelude::*;

    /// 2026-01-01T00:00:00Z.
    const NOW_S: u64 = 1_767_225_600;

    #[test]
    fn the_three_forms_of_the_rfc_name_the_same_second() {
        for value in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse(value.as_bytes(), NOW_S), Some(784_111_777), "{value}");
        }
    }

    #[test]
    fn dates_at_the_edges_of_the_calendar_are_read() {
        let cases = [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Tue, 29 Feb 2000 00:00:00 GMT", 951_782_400),
            ("Sat, 31 Dec 2016 23:59:60 GMT", 1_483_228_800),
            ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
            ("Thu Dec 31 23:59:59 2099", 4_102_444_799),
        ];
        for (value, unix_s) in cases {
            assert_eq!(parse(value.as_bytes(), NOW_S), Some(unix_s), "{value}");
        }
    }

    #[test]
    fn what_is_no_date_is_not_read() {
        for value in [
            "",
            "0",
            "784111777",
            "Sun",
            "Sun, ",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 06 Nov 1994 08:49:37 GMT ",
            "sun, 06 nov 1994 08:49:37 gmt",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 32 Nov 1994 08:49:37 GMT",
            "Wed, 31 Nov 1994 08:49:37 GMT",
            "Wed, 29 Feb 2023 00:00:00 GMT",
            "Mon, 29 Feb 2100 00:00:00 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:60:00 GMT",
            "Sun, 06 Nov 1994 08:49:61 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "Wed, 31 Dec 1969 23:59:59 GMT",
            "Sat, 01 Jan 0000 00:00:00 GMT",
            "Sunday, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
            "Monday, 06-Nov-94 08:49:37 GMT",
            "Sun, 06-Nov-94 08:49:37 GMT",
            "Sun Nov 06 08:49:37 94",
            "Sun Nov 6 08:49:37 1994",
            "Mon Nov  6 08:49:37 1994",
            "Sun Nov  6 08:49:37 1994 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
            "\u{0}\u{0}\u{0}, ",
        ] {
            assert_eq!(parse(value.as_bytes(), NOW_S), None, "{value}");
        }
    }

    #[test]
    fn a_year_of_two_digits_is_at_most_50_years_ahead() {
        let cases = [
            // Exactly 50 years from now is not more than 50 years ahead.
            ("Wednesday, 01-Jan-76 00:00:00 GMT", 3_345_062_400),
            // A second later would be, so it is 1976.
            ("Thursday, 01-Jan-76 00:00:01 GMT", 189_302_401),
            ("Friday, 31-Dec-76 00:00:00 GMT", 220_838_400),
            ("Saturday, 01-Jan-77 00:00:00 GMT", 220_924_800),
            ("Tuesday, 31-Dec-75 00:00:00 GMT", 3_344_976_000),
            ("Saturday, 01-Jan-00 00:00:00 GMT", 946_684_800),
        ];
        for (value, unix_s) in cases {
            assert_eq!(parse(value.as_bytes(), NOW_S), Some(unix_s), "{value}");
        }
        // 2080: what is 99 now lies ahead, in 2099.
        let later = 3_471_292_800;
        assert_eq!(
            parse(b"Thursday, 31-Dec-99 23:59:59 GMT", later),
            Some(4_102_444_799)
        );
        // The calendar repeats after 8000 years.
        assert_eq!(
            parse(b"Sunday, 06-Nov-94 08:49:37 GMT", u64::MAX),
            Some(253_239_727_777)
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(unix_s in 0..=253_402_300_799_u64, now_s: u64) {
            prop_assert_eq!(parse(&format(unix_s), now_s), Some(unix_s));
        }

        #[test]
        fn every_form_of_a_second_is_read_alike(ago in 0..1_500_000_000_u64) {
            let unix_s = NOW_S - ago;
            let fixdate = String::from_utf8_lossy(&format(unix_s)).into_owned();
            let time = DateTime::of(unix_s);
            let (month, clock) = (&fixdate[8..11], &fixdate[17..25]);
            let rfc850 = format!(
                "{}, {:02}-{month}-{:02} {clock} GMT",
                LONG_WEEKDAYS[time.weekday], time.day, time.year % 100
            );
            let asctime = format!("{} {month} {:2} {clock} {}", &fixdate[..3], time.day, time.year);
            prop_assert_eq!(parse(rfc850.as_bytes(), NOW_S), Some(unix_s));
            prop_assert_eq!(parse(asctime.as_bytes(), NOW_S), Some(unix_s));
        }

        #[test]
        fn any_bytes_are_survived(value: Vec<u8>, now_s: u64) {
            let _ = parse(&value, now_s);
        }
    }
}
