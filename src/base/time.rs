//! Instants. Stored as nanoseconds since 1970 UTC; shown in UTC as RFC 3339.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};
use chrono::{
    DateTime, Datelike as _, NaiveDate, NaiveDateTime, SecondsFormat, Timelike as _, Utc,
};

/// The text is not a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a time (like 2026-03-01, 2026-03-01T12:30:00Z)")]
pub struct ParseTimeError(pub String);

/// An instant, in nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// `YYYYmmdd_HHMMSS`, the form used in names of folders.
    pub fn compact(self) -> String {
        self.to_utc().format("%Y%m%d_%H%M%S").to_string()
    }

    /// `YYYY-mm-dd HH:MM:SS`, the form used in tables.
    pub fn human(self) -> String {
        let t = self.to_utc();
        let (date, time) = (t.date_naive(), t.time());
        // Digit by digit: lists have thousands of them, and a format string takes most of their
        // time.
        let mut text = String::with_capacity(19);
        let year = u32::try_from(date.year()).unwrap_or(0);
        for (before, value) in [
            ("", year / 100),
            ("", year % 100),
            ("-", date.month()),
            ("-", date.day()),
            (" ", time.hour()),
            (":", time.minute()),
            (":", time.second()),
        ] {
            text.push_str(before);
            text.extend(
                [value / 10, value % 10].map(|d| char::from_digit(d % 10, 10).unwrap_or('?')),
            );
        }
        text
    }

    /// RFC 3339 in UTC with nine decimals: the order of texts is the order of times.
    pub fn sortable(self) -> String {
        self.to_utc().to_rfc3339_opts(SecondsFormat::Nanos, true)
    }

    /// `YYYY-mm-dd`.
    pub fn date(self) -> String {
        self.to_utc().format("%Y-%m-%d").to_string()
    }

    /// This instant `nanos` later.
    pub fn plus_nanos(self, nanos: i64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// Seconds from `earlier` to this instant; negative when it lies before.
    pub fn seconds_since(self, earlier: Self) -> f64 {
        (self.0.saturating_sub(earlier.0)) as f64 / 1e9
    }

    fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_nanos(self.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({self})")
    }
}

impl FromStr for Timestamp {
    type Err = ParseTimeError;

    /// Reads RFC 3339, `YYYY-mm-dd HH:MM[:SS]` or `YYYY-mm-dd`, each as its first instant; without
    /// an offset the time is UTC.
    fn from_str(text: &str) -> Result<Self, ParseTimeError> {
        TimeSpan::written(text).map(|span| span.start)
    }
}

/// The instants that a written time stands for: a date is a whole day, `18:50` a whole minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeSpan {
    /// The first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
}

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

impl TimeSpan {
    /// Reads a date, a time to the minute, second or fraction, `today`, `yesterday`, or how long
    /// before `now` it was: `2 weeks`, `36h`, `3 days ago`; a month counts 30 days and a year 365.
    ///
    /// # Errors
    /// For any other text.
    pub fn parse(text: &str, now: Timestamp) -> Result<Self, ParseTimeError> {
        let midnight = Timestamp(now.0 - now.0.rem_euclid(DAY));
        match text.trim() {
            "today" => Ok(Self::new(midnight, DAY)),
            "yesterday" => Ok(Self::new(midnight.plus_nanos(-DAY), DAY)),
            text => match ago(text.strip_suffix(" ago").unwrap_or(text)) {
                Some(nanos) => Ok(Self::new(now.plus_nanos(nanos.saturating_neg()), 1)),
                None => Self::written(text),
            },
        }
    }

    /// Whether it is one instant, as precise as the log records.
    pub fn is_instant(self) -> bool {
        self.end == self.start.plus_nanos(1)
    }

    fn new(start: Timestamp, nanos: i64) -> Self {
        Self { start, end: start.plus_nanos(nanos) }
    }

    fn written(text: &str) -> Result<Self, ParseTimeError> {
        let text = text.trim();
        let bad = || ParseTimeError(text.to_owned());
        let local = |format: &str| NaiveDateTime::parse_from_str(text, format).ok();
        let (utc, nanos) = if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            (time.with_timezone(&Utc), if text.contains('.') { 1 } else { SECOND })
        } else if let Some(time) = local("%Y-%m-%d %H:%M:%S").or_else(|| local("%Y-%m-%dT%H:%M:%S"))
        {
            (time.and_utc(), SECOND)
        } else if let Some(time) = local("%Y-%m-%d %H:%M").or_else(|| local("%Y-%m-%dT%H:%M")) {
            (time.and_utc(), MINUTE)
        } else {
            let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| bad())?;
            (date.and_hms_opt(0, 0, 0).ok_or_else(bad)?.and_utc(), DAY)
        };
        let start = utc.timestamp_nanos_opt().map(Timestamp).ok_or_else(bad)?;
        Ok(Self::new(start, nanos))
    }
}

/// Nanoseconds of a count with a unit, such as `2 weeks`.
fn ago(text: &str) -> Option<i64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at(digits);
    let unit = unit.trim();
    let nanos = match unit.strip_suffix('s').filter(|rest| !rest.is_empty()).unwrap_or(unit) {
        "s" | "sec" | "second" => SECOND,
        "min" | "minute" => MINUTE,
        "h" | "hour" => HOUR,
        "d" | "day" => DAY,
        "w" | "week" => 7 * DAY,
        "month" => 30 * DAY,
        "y" | "year" => 365 * DAY,
        _ => return None,
    };
    count.parse::<i64>().ok()?.checked_mul(nanos)
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date-time"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_their_text_form() {
        let time: Timestamp = "2026-03-01T12:30:00.123456789Z".parse().unwrap();
        assert_eq!(time.to_string().parse(), Ok(time));
        assert_eq!(time.compact(), "20260301_123000");
        assert_eq!("2026-03-01".parse::<Timestamp>().unwrap().human(), "2026-03-01 00:00:00");
        assert!("yesterday".parse::<Timestamp>().is_err());
    }

    #[test]
    fn spans_count_back_from_now() {
        let now: Timestamp = "2026-03-15".parse().unwrap();
        for (text, then) in [
            ("2 weeks", "2026-03-01"),
            ("14d ago", "2026-03-01"),
            ("1 month", "2026-02-13"),
            ("36 hours", "2026-03-13T12:00:00Z"),
            ("2026-03-02", "2026-03-02"),
        ] {
            let start = TimeSpan::parse(text, now).map(|span| span.start);
            assert_eq!(start, then.parse(), "{text}");
        }
        for text in ["weeks", "2 fortnights", "", "99999999999999 years"] {
            assert!(TimeSpan::parse(text, now).is_err(), "{text}");
        }
    }

    #[test]
    fn a_written_time_is_as_long_as_its_precision() {
        let now: Timestamp = "2026-03-15T10:20:30.5Z".parse().unwrap();
        for (text, start, end) in [
            ("2026-03-02", "2026-03-02", "2026-03-03"),
            ("today", "2026-03-15", "2026-03-16"),
            ("yesterday", "2026-03-14", "2026-03-15"),
            ("2026-03-02 18:50", "2026-03-02T18:50:00Z", "2026-03-02T18:51:00Z"),
            ("2026-03-02T18:50", "2026-03-02T18:50:00Z", "2026-03-02T18:51:00Z"),
            ("2026-03-02 18:50:12", "2026-03-02T18:50:12Z", "2026-03-02T18:50:13Z"),
            ("2026-03-02T18:50:12+01:00", "2026-03-02T17:50:12Z", "2026-03-02T17:50:13Z"),
            ("2026-03-02T18:50:12.5Z", "2026-03-02T18:50:12.5Z", "2026-03-02T18:50:12.500000001Z"),
            ("1 hour", "2026-03-15T09:20:30.5Z", "2026-03-15T09:20:30.500000001Z"),
        ] {
            let span = TimeSpan::parse(text, now).unwrap();
            assert_eq!((span.start, span.end), (start.parse().unwrap(), end.parse().unwrap()));
        }
    }
}
