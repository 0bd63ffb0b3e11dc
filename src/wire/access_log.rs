//! A line of the access log.

use std::io::{self, Write};

use serde::Serialize;

/// One request and its answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AccessLogLine<'a> {
    /// When the request's head had come: RFC 3339, UTC, to the millisecond.
    pub time: String,
    /// The client's IP address.
    pub client_ip: &'a str,
    /// The IP address of the trusted proxy that asked for the client; left out
    /// when the client has connected itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_ip: Option<core::net::IpAddr>,
    /// The request's method.
    pub method: &'a str,
    /// Its path and query.
    pub path: &'a str,
    /// The answer's status.
    pub status: u16,
    /// Bytes of the answer's body that were passed on.
    pub bytes: u64,
    /// Milliseconds until the answer began.
    pub head_ms: f64,
    /// Milliseconds until it had ended.
    pub total_ms: f64,
    /// The server that answered; `null` if the proxy did.
    pub server: Option<&'a str>,
    /// How many servers were tried; 0 if none answered.
    pub attempts: usize,
    /// The id under which the request was forwarded; `null` if it was refused.
    pub request_id: Option<&'a str>,
}

impl AccessLogLine<'_> {
    /// Writes the line with its end.
    ///
    /// # Errors
    /// When `sink` has one.
    pub fn write_to(&self, sink: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *sink, self).map_err(io::Error::from)?;
        sink.write_all(b"\n")
    }
}

/// A time, given in milliseconds since the UNIX epoch, by RFC 3339.
pub fn rfc3339(epoch_millis: u64) -> String {
    let (year, month, day) = date(epoch_millis);
    let (hour, minute, second) = time_of_day(epoch_millis);
    let millis = epoch_millis % 1000;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// The same as common log format has it, in UTC: `10/Oct/2025:13:55:36 +0000`.
pub fn common_log_time(epoch_millis: u64) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (year, month, day) = date(epoch_millis);
    let (hour, minute, second) = time_of_day(epoch_millis);
    let month = MONTHS[month as usize - 1];
    format!("{day:02}/{month}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000")
}

fn time_of_day(epoch_millis: u64) -> (u64, u64, u64) {
    let second = epoch_millis / 1000 % 86_400;
    (second / 3600, second / 60 % 60, second % 60)
}

/// Year, month from 1 and day.
///
/// The calendar is Howard Hinnant's `civil_from_days`
/// (<https://howardhinnant.github.io/date_algorithms.html>).
fn date(epoch_millis: u64) -> (u64, u64, u64) {
    let days = epoch_millis / 1000 / 86_400;
    // Years begin in March here, so that the leap day is their last one.
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = (march_month + 2) % 12 + 1;
    let year = 400 * era + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_calendar_has_them() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_001, "2000-03-01T00:00:00.001Z"),
            (1_735_689_599_000, "2024-12-31T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(millis), text);
        }
    }
}
