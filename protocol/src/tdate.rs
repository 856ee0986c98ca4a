//! Times as documents write them: `YYYY-MM-DDTHH:MM:SSZ`, 20 characters, UTC.
//!
//! The same form stands in the `signed` tags 91 and 92 of AUTH1 (`docs/PROTOCOL.md` sections 7 and 10.1).

use crate::ids::UnixTime;

/// The length of the text form.
pub const LEN: usize = 20;

/// Seconds in a day.
pub(crate) const DAY: u32 = 86_400;

/// Reads a time; `None` unless it is exactly a valid `YYYY-MM-DDTHH:MM:SSZ` between 1970 and 2106.
pub fn parse(text: &[u8]) -> Option<UnixTime> {
    let &[y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', n0, n1, b':', s0, s1, b'Z'] = text else {
        return None;
    };
    let year = two(y0, y1)? * 100 + two(y2, y3)?;
    seconds(year, two(m0, m1)?, two(d0, d1)?, two(h0, h1)?, two(n0, n1)?, two(s0, s1)?)
}

/// Writes a time.
pub fn format(time: UnixTime) -> [u8; LEN] {
    let (year, month, day) = civil(time.0 / DAY);
    let (hour, minute, second) = (time.0 / 3600 % 24, time.0 / 60 % 60, time.0 % 60);
    let [y0, y1] = digits(year / 100);
    let [y2, y3] = digits(year % 100);
    let [m0, m1] = digits(month);
    let [d0, d1] = digits(day);
    let [h0, h1] = digits(hour);
    let [n0, n1] = digits(minute);
    let [s0, s1] = digits(second);
    [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', n0, n1, b':', s0, s1, b'Z']
}

/// The number two ASCII digits stand for.
pub(crate) fn two(tens: u8, ones: u8) -> Option<u32> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| u32::from(tens - b'0') * 10 + u32::from(ones - b'0'))
}

/// Two ASCII digits of a number below 100.
pub(crate) fn digits(value: u32) -> [u8; 2] {
    #[allow(clippy::cast_possible_truncation)] // each is below ten
    [b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8]
}

/// Unix seconds of a civil date and time; `None` when it does not exist or does not fit.
pub(crate) fn seconds(year: u32, month: u32, day: u32, hour: u32, minute: u32, second: u32) -> Option<UnixTime> {
    if !(1970..=2106).contains(&year) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let longest = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => return None,
    };
    if day == 0 || day > longest {
        return None;
    }
    // Days since 0000-03-01 in a calendar whose year begins in March, so that a leap day is the last of its year.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
    let total = u64::from(days - EPOCH_DAYS) * u64::from(DAY) + u64::from(hour * 3600 + minute * 60 + second);
    u32::try_from(total).ok().map(UnixTime)
}

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: u32 = 719_468;

/// Year, month and day of a day counted from 1970-01-01.
pub(crate) fn civil(days: u32) -> (u32, u32, u32) {
    let days = days + EPOCH_DAYS;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u32::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_times() {
        for (text, time) in [
            (b"1970-01-01T00:00:00Z", 0),
            (b"2000-02-29T12:00:00Z", 951_825_600),
            (b"2030-01-01T09:45:00Z", 1_893_491_100),
            (b"2106-02-07T06:28:15Z", u32::MAX),
        ] {
            assert_eq!(parse(text), Some(UnixTime(time)));
            assert_eq!(&format(UnixTime(time)), text);
        }
    }

    #[test]
    fn what_does_not_exist_is_refused() {
        for text in [
            &b"2030-02-29T00:00:00Z"[..],
            b"2030-13-01T00:00:00Z",
            b"2030-00-01T00:00:00Z",
            b"2030-01-32T00:00:00Z",
            b"2030-01-01T24:00:00Z",
            b"2030-01-01T00:60:00Z",
            b"2030-01-01T00:00:60Z",
            b"2030-01-01 00:00:00Z",
            b"2030-01-01T00:00:00+",
            b"1969-12-31T23:59:59Z",
            b"2106-02-07T06:28:16Z",
            b"2030-01-01T00:00:00",
            b"",
        ] {
            assert_eq!(parse(text), None);
        }
    }

    proptest! {
        #[test]
        fn every_time_round_trips(time in any::<u32>()) {
            prop_assert_eq!(parse(&format(UnixTime(time))), Some(UnixTime(time)));
        }

        #[test]
        fn any_bytes_are_judged_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
            let _ = parse(&bytes);
        }
    }
}
