//! Moments and spans as people of Kubernetes read them.

use jiff::Timestamp;

/// A span as kubectl prints an age: `45s`, `3m`, `2m10s`, `5h`, `3d`, `2y`.
pub(crate) fn human(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    let two = |large: i64, unit: &str, small: i64, small_unit: &str| {
        if small == 0 { format!("{large}{unit}") } else { format!("{large}{unit}{small}{small_unit}") }
    };
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

/// How long ago a moment in RFC 3339 was; a question mark where it is none.
pub(crate) fn age(moment: &str, now: Timestamp) -> String {
    moment
        .parse::<Timestamp>()
        .map_or_else(|_| "?".to_owned(), |then| human(now.as_second() - then.as_second()))
}

/// The time of day in UTC and seconds, as the API server writes it.
pub(crate) fn rfc3339(moment: &str) -> String {
    moment
        .parse::<Timestamp>()
        .map_or_else(|_| moment.to_owned(), |then| then.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_those_of_kubectl() {
        let cases = [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (600, "10m"),
            (659, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (11_100, "3h5m"),
            (28_800, "8h"),
            (172_800, "2d"),
            (180_000, "2d2h"),
            (691_200, "8d"),
            (63_072_000, "2y"),
            (64_000_000, "2y10d"),
            (-5, "0s"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(human(seconds), expected, "{seconds}");
        }
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        assert_eq!(age("2026-01-01T00:00:00Z", now), "60s");
        assert_eq!(age("", now), "?");
    }
}
