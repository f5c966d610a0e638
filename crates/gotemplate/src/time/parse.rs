//! Times from text under Go layouts.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

use super::format::{Part, next_part};
use super::{DAYS, MONTHS, Time};

/// What was read so far.
struct Fields {
    year: i32,
    month: Option<i32>,
    day: Option<i32>,
    year_day: Option<i32>,
    hour: i32,
    minute: i32,
    second: i32,
    nanosecond: i32,
    pm: Option<bool>,
    offset: Option<i32>,
    zone_name: Option<String>,
}

/// Reads a time; one without an offset is in `zone`. Errors are Go's.
pub(crate) fn parse(layout: &str, value: &str, zone: &TimeZone) -> Result<Time, String> {
    let whole_layout = layout;
    let mut layout = layout;
    let mut rest = value;
    let mut fields = Fields {
        year: 0,
        month: None,
        day: None,
        year_day: None,
        hour: 0,
        minute: 0,
        second: 0,
        nanosecond: 0,
        pm: None,
        offset: None,
        zone_name: None,
    };
    let quoted = |text: &str| crate::fmt::quoted(text.as_bytes());
    let mismatch = |rest: &str, element: &str| {
        format!(
            "parsing time {} as {}: cannot parse {} as {}",
            quoted(value),
            quoted(whole_layout),
            quoted(rest),
            quoted(element)
        )
    };
    let out_of_range = |what: &str| format!("parsing time {}: {what} out of range", quoted(value));
    loop {
        let next = next_part(layout);
        let before = next.map_or(layout, |(before, ..)| before);
        rest = skip(rest, before).ok_or_else(|| mismatch(rest, before))?;
        let Some((_, part, element, after)) = next else {
            if !rest.is_empty() {
                return Err(format!("parsing time {}: extra text: {}", quoted(value), quoted(rest)));
            }
            break;
        };
        layout = after;
        let hold = rest;
        rest = fields.read(part, rest, after).map_err(|problem| match problem {
            Problem::Mismatch => mismatch(hold, element),
            Problem::Range(what) => out_of_range(what),
        })?;
    }
    fields.finish(zone).map_err(out_of_range)
}

enum Problem {
    Mismatch,
    Range(&'static str),
}

/// Skips the literal text; a run of spaces stands for any number of them.
fn skip<'v>(mut value: &'v str, mut prefix: &str) -> Option<&'v str> {
    while let Some(c) = prefix.chars().next() {
        if c == ' ' {
            if !value.is_empty() && !value.starts_with(' ') {
                return None;
            }
            prefix = prefix.trim_start_matches(' ');
            value = value.trim_start_matches(' ');
            continue;
        }
        value = value.strip_prefix(c)?;
        prefix = &prefix[c.len_utf8()..];
    }
    Some(value)
}

fn number(text: &str, most: usize, exact: bool) -> Result<(i32, &str), Problem> {
    let digits = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if digits == 0 || exact && digits < most {
        return Err(Problem::Mismatch);
    }
    let value = text[..digits].parse().map_err(|_| Problem::Mismatch)?;
    Ok((value, &text[digits..]))
}

fn in_range(value: i32, low: i32, high: i32, what: &'static str) -> Result<i32, Problem> {
    if (low..=high).contains(&value) { Ok(value) } else { Err(Problem::Range(what)) }
}

fn name<'v>(names: &[&str], length: Option<usize>, text: &'v str) -> Result<(i32, &'v str), Problem> {
    for (index, name) in names.iter().enumerate() {
        let name = &name[..length.unwrap_or(name.len())];
        if let Some(start) = text.get(..name.len())
            && start.eq_ignore_ascii_case(name)
        {
            return Ok((index as i32, &text[name.len()..]));
        }
    }
    Err(Problem::Mismatch)
}

impl Fields {
    fn read<'v>(&mut self, part: Part, text: &'v str, layout: &str) -> Result<&'v str, Problem> {
        let (value, rest) = match part {
            Part::LongYear => number(text, 4, true)?,
            Part::Year
            | Part::ZeroMonth
            | Part::ZeroDay
            | Part::ZeroHour12
            | Part::ZeroMinute
            | Part::ZeroSecond => number(text, 2, true)?,
            Part::Hour | Part::NumMonth | Part::Day | Part::Hour12 | Part::Minute | Part::Second => {
                number(text, 2, false)?
            }
            Part::UnderDay => number(text.strip_prefix(' ').unwrap_or(text), 2, false)?,
            Part::UnderYearDay => number(text.trim_start_matches(' '), 3, false)?,
            Part::ZeroYearDay => number(text, 3, true)?,
            Part::LongMonth => name(&MONTHS, None, text)?,
            Part::Month => name(&MONTHS, Some(3), text)?,
            Part::LongWeekDay => name(&DAYS, None, text)?,
            Part::WeekDay => name(&DAYS, Some(3), text)?,
            Part::UpperPm => name(&["AM", "PM"], None, text)?,
            Part::LowerPm => name(&["am", "pm"], None, text)?,
            Part::ZoneName => return self.read_zone_name(text),
            Part::Offset { iso, colon, fields } => return self.read_offset(text, iso, colon, fields),
            Part::Fraction { digits, trim, .. } => return self.read_fraction(text, digits, trim),
        };
        match part {
            Part::LongYear => self.year = value,
            Part::Year => self.year = if value >= 69 { value + 1900 } else { value + 2000 },
            Part::ZeroMonth | Part::NumMonth => self.month = Some(in_range(value, 1, 12, "month")?),
            Part::LongMonth | Part::Month => self.month = Some(value + 1),
            Part::Day | Part::UnderDay | Part::ZeroDay => self.day = Some(value),
            Part::UnderYearDay | Part::ZeroYearDay => self.year_day = Some(value),
            Part::Hour => self.hour = in_range(value, 0, 23, "hour")?,
            Part::Hour12 | Part::ZeroHour12 => self.hour = in_range(value, 0, 12, "hour")?,
            Part::Minute | Part::ZeroMinute => self.minute = in_range(value, 0, 59, "minute")?,
            Part::UpperPm | Part::LowerPm => self.pm = Some(value == 1),
            Part::Second | Part::ZeroSecond => {
                self.second = in_range(value, 0, 59, "second")?;
                // A fraction may follow even if the layout has none.
                let next_is_fraction =
                    next_part(layout).is_some_and(|(_, part, ..)| matches!(part, Part::Fraction { .. }));
                if rest.starts_with(['.', ',']) && !next_is_fraction {
                    let digits = rest[1..].bytes().take_while(u8::is_ascii_digit).count();
                    if digits > 0 {
                        self.nanosecond = fraction(&rest[1..=digits]);
                        return Ok(&rest[1 + digits..]);
                    }
                }
            }
            _ => {}
        }
        Ok(rest)
    }

    fn read_zone_name<'v>(&mut self, text: &'v str) -> Result<&'v str, Problem> {
        if let Some(rest) = text.strip_prefix("UTC") {
            self.offset = Some(0);
            return Ok(rest);
        }
        let signed = text.starts_with(['+', '-']);
        let length = if signed {
            1 + text[1..].bytes().take_while(u8::is_ascii_digit).count()
        } else {
            text.bytes().take(6).take_while(u8::is_ascii_uppercase).count()
        };
        if !(3..=5).contains(&length) {
            return Err(Problem::Mismatch);
        }
        self.zone_name = Some(text[..length].to_owned());
        Ok(&text[length..])
    }

    fn read_offset<'v>(
        &mut self,
        text: &'v str,
        iso: bool,
        colon: bool,
        count: u8,
    ) -> Result<&'v str, Problem> {
        if iso && let Some(rest) = text.strip_prefix('Z') {
            self.offset = Some(0);
            return Ok(rest);
        }
        let sign = match text.chars().next() {
            Some('+') => 1,
            Some('-') => -1,
            _ => return Err(Problem::Mismatch),
        };
        let mut rest = &text[1..];
        let mut seconds = 0;
        for (index, unit, most, what) in [
            (0, 3600, 24, "time zone offset hour"),
            (1, 60, 60, "time zone offset minute"),
            (2, 1, 60, "time zone offset second"),
        ] {
            if index >= count {
                break;
            }
            if index > 0 && colon {
                rest = rest.strip_prefix(':').ok_or(Problem::Mismatch)?;
            }
            let (value, after) = number(rest, 2, true)?;
            seconds += unit * in_range(value, 0, most, what)?;
            rest = after;
        }
        self.offset = Some(sign * seconds);
        Ok(rest)
    }

    fn read_fraction<'v>(&mut self, text: &'v str, digits: usize, trim: bool) -> Result<&'v str, Problem> {
        let available = text.get(1..).map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
        let separated = text.starts_with(['.', ',']);
        if trim {
            if !separated || available == 0 {
                return Ok(text);
            }
            self.nanosecond = fraction(&text[1..=available]);
            return Ok(&text[1 + available..]);
        }
        if !separated || available < digits {
            return Err(Problem::Mismatch);
        }
        self.nanosecond = fraction(&text[1..=digits]);
        Ok(&text[1 + digits..])
    }

    fn finish(mut self, zone: &TimeZone) -> Result<Time, &'static str> {
        match self.pm {
            Some(true) if self.hour < 12 => self.hour += 12,
            Some(false) if self.hour == 12 => self.hour = 0,
            _ => {}
        }
        let year = i16::try_from(self.year).map_err(|_| "year")?;
        if let Some(year_day) = self.year_day {
            let date = jiff::civil::Date::new(year, 1, 1)
                .ok()
                .filter(|date| (1..=i32::from(date.days_in_year())).contains(&year_day))
                .and_then(|date| date.checked_add(jiff::Span::new().days(year_day - 1)).ok())
                .ok_or("day-of-year")?;
            self.month = Some(i32::from(date.month()));
            self.day = Some(i32::from(date.day()));
        }
        let civil = DateTime::new(
            year,
            self.month.unwrap_or(1) as i8,
            i8::try_from(self.day.unwrap_or(1)).map_err(|_| "day")?,
            self.hour as i8,
            self.minute as i8,
            self.second as i8,
            self.nanosecond,
        )
        .map_err(|_| "day")?;
        let zone = match (self.offset, self.zone_name) {
            (Some(0), _) => TimeZone::UTC,
            (Some(offset), _) => {
                let offset = Offset::from_seconds(offset).map_err(|_| "time zone offset hour")?;
                TimeZone::fixed(offset)
            }
            (None, None) => zone.clone(),
            (None, Some(name)) => return Self::in_named_zone(civil, zone, name),
        };
        let zoned = civil.to_zoned(zone).map_err(|_| "year")?;
        Ok(Time::new(zoned.timestamp(), zoned.time_zone().clone()))
    }
}

impl Fields {
    /// An abbreviation is of the given zone, or else of one made up for it.
    fn in_named_zone(civil: DateTime, zone: &TimeZone, name: String) -> Result<Time, &'static str> {
        let zoned = civil.to_zoned(zone.clone()).map_err(|_| "year")?;
        let time = Time::new(zoned.timestamp(), zone.clone());
        if zone.to_offset_info(time.at).abbreviation() == name {
            return Ok(time);
        }
        let hours = name.strip_prefix("GMT").and_then(|hours| hours.parse::<i32>().ok()).unwrap_or(0);
        let offset = Offset::from_seconds(hours * 3600).map_err(|_| "time zone offset hour")?;
        let zoned = civil.to_zoned(TimeZone::fixed(offset)).map_err(|_| "year")?;
        Ok(Time { at: zoned.timestamp(), zone: TimeZone::fixed(offset), zone_name: Some(name.into()) })
    }
}

fn fraction(digits: &str) -> i32 {
    let digits = &digits[..digits.len().min(9)];
    format!("{digits:0<9}").parse().unwrap_or(0)
}
