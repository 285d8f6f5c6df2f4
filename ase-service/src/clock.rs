//! The wall clock: the one place that asks it, and its text form in logs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ase_core::time::UnixMillis;

const MILLIS_PER_DAY: u64 = 86_400_000;

/// Now, by the wall clock; 1970 when the clock stands before it.
#[must_use]
pub fn now() -> UnixMillis {
    of(SystemTime::now())
}

/// A time of the system, such as a file's; 1970 when it is before that.
#[must_use]
pub fn of(time: SystemTime) -> UnixMillis {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// RFC 3339 in UTC with milliseconds: `2026-11-22T01:02:03.004Z`.
#[must_use]
pub fn rfc3339(at: UnixMillis) -> String {
    let (year, month, day) = civil(at.0 / MILLIS_PER_DAY);
    let millis = at.0 % MILLIS_PER_DAY;
    let (hour, minute) = (millis / 3_600_000, millis / 60_000 % 60);
    let (second, milli) = (millis / 1000 % 60, millis % 1000);
    let mut text = String::with_capacity("2026-11-22T01:02:03.004Z".len());
    push_pair(&mut text, year / 100);
    push_pair(&mut text, year % 100);
    for (start, number) in [
        ('-', month),
        ('-', day),
        ('T', hour),
        (':', minute),
        (':', second),
    ] {
        text.push(start);
        push_pair(&mut text, number);
    }
    text.push('.');
    text.push(digit(milli / 100));
    push_pair(&mut text, milli % 100);
    text.push('Z');
    text
}

/// As HTTP has it (RFC 9110 §5.6.7): `Sun, 22 Nov 2026 01:02:03 GMT`.
#[must_use]
pub fn http_date(at: UnixMillis) -> String {
    // The last instant that the format can name.
    let named = at.0.min(253_402_300_799_999);
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(named))
}

/// Two digits. Every line of the access log has a time: the formatting machinery would cost several times as much.
fn push_pair(text: &mut String, number: u64) {
    text.push(digit(number / 10));
    text.push(digit(number));
}

/// The last digit.
fn digit(number: u64) -> char {
    char::from(b'0' + u8::try_from(number % 10).unwrap_or_default())
}

/// Reads what [`rfc3339`] writes; fractions of a second may be missing.
///
/// # Errors
/// When the text is anything else, or before 1970.
pub fn parse_rfc3339(text: &str) -> Result<UnixMillis, &'static str> {
    const RULE: &str = "must be a UTC time such as 2026-11-22T01:02:03.004Z";
    parsed(text).ok_or(RULE)
}

fn parsed(text: &str) -> Option<UnixMillis> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let number = |text: &str, digits: usize| {
        let fits = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| text.parse::<u64>().ok()).flatten()
    };
    let mut parts = date.splitn(3, '-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let (year, month, day) = (number(year, 4)?, number(month, 2)?, number(day, 2)?);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "000"));
    let mut parts = time.splitn(3, ':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    let (hour, minute, second) = (number(hour, 2)?, number(minute, 2)?, number(second, 2)?);
    let millis = number(fraction, 3)?;
    if hour > 23 || minute > 59 || second > 59 || !(1..=12).contains(&month) {
        return None;
    }
    // Years from March on, as in `civil`.
    let (march_year, march_month) = match month {
        3.. => (year, month - 3),
        _ => (year.checked_sub(1)?, month + 9),
    };
    let day_of_year = (153 * march_month + 2) / 5 + day.checked_sub(1)?;
    let leap_days = march_year / 4 - march_year / 100 + march_year / 400;
    let days = (march_year * 365 + leap_days + day_of_year).checked_sub(719_468)?;
    let at = ((days * 24 + hour) * 60 + minute) * 60 + second;
    // The day of another month is none.
    (civil(days) == (year, month, day)).then_some(UnixMillis(at * 1000 + millis))
}

/// Year, month and day of a day counted from 1970-01-01. Years start in March here, so that the leap day is the last one;
/// 400 years always have 146,097 days.
fn civil(days: u64) -> (u64, u64, u64) {
    // Days from 0000-03-01 to 1970-01-01.
    let days = days.saturating_add(719_468);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected texts by GNU `date -u -d @SECONDS`.
    #[test]
    fn days_around_leap_years_are_named_right() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.007Z"),
            (951_782_400, "2000-02-29T00:00:00.007Z"),
            (951_868_799, "2000-02-29T23:59:59.007Z"),
            (951_868_800, "2000-03-01T00:00:00.007Z"),
            (1_735_689_599, "2024-12-31T23:59:59.007Z"),
            (4_107_542_400, "2100-03-01T00:00:00.007Z"),
        ] {
            assert_eq!(rfc3339(UnixMillis(seconds * 1000 + 7)), text);
        }
    }
}
