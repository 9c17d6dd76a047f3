//! Dates on the wire: written as an IMF-fixdate, read in all three forms
//! (RFC 9110 section 5.6.7).

mod parse;

pub use parse::parse;

/// Length of an IMF-fixdate.
pub const LEN: usize = 29;

/// The last second a four-digit year can name: 9999-12-31T23:59:59Z.
const LAST_SECOND: u64 = 253_402_300_799;

/// `unix_s`, seconds since 1970, as `Sun, 06 Nov 1994 08:49:37 GMT`.
///
/// Times after the year 9999 are shown as its last second.
pub fn format(unix_s: u64) -> [u8; LEN] {
    let time = DateTime::of(unix_s);
    let mut out = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    copy(&mut out, 0, WEEKDAYS[time.weekday]);
    copy_two(&mut out, 5, time.day);
    copy(&mut out, 8, MONTHS[time.month - 1]);
    copy_two(&mut out, 12, time.year / 100);
    copy_two(&mut out, 14, time.year % 100);
    copy_two(&mut out, 17, time.hour);
    copy_two(&mut out, 20, time.minute);
    copy_two(&mut out, 23, time.second);
    out
}

/// `unix_s`, seconds since 1970, as `1994-11-06T08:49:37Z` (RFC 3339).
///
/// Times after the year 9999 are shown as its last second.
pub fn format_iso(unix_s: u64) -> String {
    let time = DateTime::of(unix_s);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        time.year, time.month, time.day, time.hour, time.minute, time.second
    )
}

/// A moment in UTC, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DateTime {
    pub(crate) year: usize,
    /// 1 to 12.
    pub(crate) month: usize,
    pub(crate) day: usize,
    pub(crate) hour: usize,
    pub(crate) minute: usize,
    pub(crate) second: usize,
    /// 0 is Sunday.
    pub(crate) weekday: usize,
}

impl DateTime {
    /// From seconds since 1970, at most [`LAST_SECOND`].
    ///
    /// The calendar is counted in years that start in March, so that the leap day
    /// comes last, and in eras of 400 such years, 146 097 days each (Howard
    /// Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    #[expect(
        clippy::cast_possible_truncation,
        reason = "no part of a date below 10000 is large"
    )]
    pub(crate) const fn of(unix_s: u64) -> Self {
        let unix_s = if unix_s > LAST_SECOND {
            LAST_SECOND
        } else {
            unix_s
        };
        let days = unix_s / 86_400;
        let clock = (unix_s % 86_400) as usize;
        // Day 0 of the calendar is 0000-03-01, 719 468 days before 1970-01-01.
        let shifted = days + 719_468;
        let era = shifted / 146_097;
        let day_of_era = shifted % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let is_next_year = month_from_march >= 10;
        let month = if is_next_year {
            month_from_march - 9
        } else {
            month_from_march + 3
        };
        Self {
            year: (year_of_era + era * 400) as usize + is_next_year as usize,
            month: month as usize,
            day: day as usize,
            hour: clock / 3600,
            minute: clock / 60 % 60,
            second: clock % 60,
            weekday: ((days + 4) % 7) as usize,
        }
    }
}

pub(crate) const MONTHS: [[u8; 3]; 12] = [
    *b"Jan", *b"Feb", *b"Mar", *b"Apr", *b"May", *b"Jun", *b"Jul", *b"Aug", *b"Sep", *b"Oct",
    *b"Nov", *b"Dec",
];
const WEEKDAYS: [[u8; 3]; 7] = [
    *b"Sun", *b"Mon", *b"Tue", *b"Wed", *b"Thu", *b"Fri", *b"Sat",
];

fn copy(out: &mut [u8; LEN], at: usize, name: [u8; 3]) {
    out[at..at + 3].copy_from_slice(&name);
}

#[expect(clippy::cast_possible_truncation, reason = "two digits")]
fn copy_two(out: &mut [u8; LEN], at: usize, number: usize) {
    out[at] = b'0' + (number / 10 % 10) as u8;
    out[at + 1] = b'0' + (number % 10) as u8;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_are_imf_fixdates() {
        let cases = [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ];
        for (unix_s, expected) in cases {
            assert_eq!(str::from_utf8(&format(unix_s)), Ok(expected));
        }
    }

    proptest! {
        #[test]
        fn a_day_later_is_the_next_weekday(unix_s in 0u64..253_000_000_000) {
            let (today, tomorrow) = (DateTime::of(unix_s), DateTime::of(unix_s + 86_400));
            prop_assert_eq!((today.weekday + 1) % 7, tomorrow.weekday);
            prop_assert!(tomorrow.day == today.day + 1 || tomorrow.day == 1);
            prop_assert!((1..=12).contains(&today.month) && (1..=31).contains(&today.day));
        }
    }
}
