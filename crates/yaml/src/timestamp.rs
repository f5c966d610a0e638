//! The timestamps that the Go libraries recognise, and how they print.

/// A point in time as it was written, checked and ready to print in RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timestamp {
    year: u16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    nanosecond: u32,
    /// Offset from UTC in minutes.
    offset: i32,
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    /// One or two digits, as Go reads a field such as `1` or `15`.
    fn number(&mut self, minimum: u8, maximum: u8) -> Option<u8> {
        let first = self.0.first().filter(|byte| byte.is_ascii_digit())? - b'0';
        let value = match self.0.get(1) {
            Some(second) if second.is_ascii_digit() => {
                self.0 = &self.0[2..];
                first * 10 + (second - b'0')
            }
            _ => {
                self.0 = &self.0[1..];
                first
            }
        };
        (minimum..=maximum).contains(&value).then_some(value)
    }

    fn literal(&mut self, byte: u8) -> Option<()> {
        (self.0.first() == Some(&byte)).then(|| self.0 = &self.0[1..])
    }

    fn fraction(&mut self) -> u32 {
        if self.0.len() < 2 || !matches!(self.0[0], b'.' | b',') || !self.0[1].is_ascii_digit() {
            return 0;
        }
        let count = self.0[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut value = 0;
        for place in 0..9 {
            value = value * 10 + if place < count { u32::from(self.0[1 + place] - b'0') } else { 0 };
        }
        self.0 = &self.0[1 + count..];
        value
    }

    /// `Z` or `+hh:mm`.
    fn zone(&mut self) -> Option<i32> {
        if self.literal(b'Z').is_some() {
            return Some(0);
        }
        let [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2, rest @ ..] = self.0 else { return None };
        let digits = [h1, h2, m1, m2];
        if !digits.iter().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let [h1, h2, m1, m2] = digits.map(|byte| i32::from(byte - b'0'));
        let (hours, minutes) = (h1 * 10 + h2, m1 * 10 + m2);
        if hours > 24 || minutes > 60 {
            return None;
        }
        self.0 = rest;
        let offset = hours * 60 + minutes;
        Some(if *sign == b'-' { -offset } else { offset })
    }
}

fn days_in(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

impl Timestamp {
    /// `2020-1-2`, with a time after `T`, `t` (then with a zone) or blanks (then without).
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() < 5 || !bytes[..4].iter().all(u8::is_ascii_digit) || bytes[4] != b'-' {
            return None;
        }
        let year = text[..4].parse().ok()?;
        let mut at = Cursor(&bytes[5..]);
        let month = at.number(1, 12)?;
        at.literal(b'-')?;
        let day = at.number(1, 31).filter(|day| *day <= days_in(year, month))?;
        let mut time = Self { year, month, day, hour: 0, minute: 0, second: 0, nanosecond: 0, offset: 0 };
        if at.0.is_empty() {
            return Some(time);
        }
        let zoned = match at.0[0] {
            b'T' | b't' => {
                at.0 = &at.0[1..];
                true
            }
            b' ' => {
                while at.literal(b' ').is_some() {}
                false
            }
            _ => return None,
        };
        time.hour = at.number(0, 23)?;
        at.literal(b':')?;
        time.minute = at.number(0, 59)?;
        at.literal(b':')?;
        time.second = at.number(0, 59)?;
        time.nanosecond = at.fraction();
        if zoned {
            time.offset = at.zone()?;
        }
        at.0.is_empty().then_some(time)
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { year, month, day, hour, minute, second, nanosecond, offset } = self;
        write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if *nanosecond > 0 {
            write!(out, ".{}", format!("{nanosecond:09}").trim_end_matches('0'))?;
        }
        if *offset == 0 {
            return out.write_str("Z");
        }
        let sign = if *offset < 0 { '-' } else { '+' };
        write!(out, "{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60)
    }
}
