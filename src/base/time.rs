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

    /// Reads RFC 3339, `YYYY-mm-dd HH:MM:SS` or `YYYY-mm-dd`; without an offset the time is UTC.
    fn from_str(text: &str) -> Result<Self, ParseTimeError> {
        let bad = || ParseTimeError(text.to_owned());
        let utc = if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            time.with_timezone(&Utc)
        } else if let Ok(time) = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S") {
            time.and_utc()
        } else if let Ok(time) = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S") {
            time.and_utc()
        } else {
            let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| bad())?;
            date.and_hms_opt(0, 0, 0).ok_or_else(bad)?.and_utc()
        };
        utc.timestamp_nanos_opt().map(Self).ok_or_else(bad)
    }
}

/// Reads a time, or how long before `now` it was: `2 weeks`, `36h`, `3 days ago`; a month counts 30
/// days and a year 365.
///
/// # Errors
/// For what is neither.
pub fn moment(text: &str, now: Timestamp) -> Result<Timestamp, ParseTimeError> {
    const HOUR: i64 = 3_600;
    let Some(ago) = span(text.strip_suffix(" ago").unwrap_or(text)) else { return text.parse() };
    fn span(text: &str) -> Option<i64> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = text.split_at(digits);
        let unit = unit.trim();
        let seconds = match unit.strip_suffix('s').filter(|rest| !rest.is_empty()).unwrap_or(unit) {
            "s" | "sec" | "second" => 1,
            "min" | "minute" => 60,
            "h" | "hour" => HOUR,
            "d" | "day" => 24 * HOUR,
            "w" | "week" => 7 * 24 * HOUR,
            "month" => 30 * 24 * HOUR,
            "y" | "year" => 365 * 24 * HOUR,
            _ => return None,
        };
        count.parse::<i64>().ok()?.checked_mul(seconds)?.checked_mul(1_000_000_000)
    }
    Ok(now.plus_nanos(ago.saturating_neg()))
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
            assert_eq!(moment(text, now), then.parse(), "{text}");
        }
        for text in ["weeks", "2 fortnights", "", "99999999999999 years"] {
            assert!(moment(text, now).is_err(), "{text}");
        }
    }
}
