//! Times under Go layouts.

use super::{DAYS, MONTHS, Time};

/// A part of a layout that stands for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    LongMonth,
    Month,
    NumMonth,
    ZeroMonth,
    LongWeekDay,
    WeekDay,
    Day,
    UnderDay,
    ZeroDay,
    UnderYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    UpperPm,
    LowerPm,
    ZoneName,
    /// An offset: with `Z` for none, with colons, how many of hour, minute and second.
    Offset {
        iso: bool,
        colon: bool,
        fields: u8,
    },
    /// Digits of the second: how many, whether trailing zeros go, and the separator.
    Fraction {
        digits: usize,
        trim: bool,
        separator: char,
    },
}

/// The layout's parts, longest first where one begins another.
const PARTS: &[(&str, Part)] = &[
    ("January", Part::LongMonth),
    ("Jan", Part::Month),
    ("Monday", Part::LongWeekDay),
    ("MST", Part::ZoneName),
    ("Mon", Part::WeekDay),
    ("002", Part::ZeroYearDay),
    ("01", Part::ZeroMonth),
    ("02", Part::ZeroDay),
    ("03", Part::ZeroHour12),
    ("04", Part::ZeroMinute),
    ("05", Part::ZeroSecond),
    ("06", Part::Year),
    ("15", Part::Hour),
    ("1", Part::NumMonth),
    ("2006", Part::LongYear),
    ("2", Part::Day),
    ("__2", Part::UnderYearDay),
    ("_2", Part::UnderDay),
    ("3", Part::Hour12),
    ("4", Part::Minute),
    ("5", Part::Second),
    ("PM", Part::UpperPm),
    ("pm", Part::LowerPm),
    ("-07:00:00", Part::Offset { iso: false, colon: true, fields: 3 }),
    ("-070000", Part::Offset { iso: false, colon: false, fields: 3 }),
    ("-07:00", Part::Offset { iso: false, colon: true, fields: 2 }),
    ("-0700", Part::Offset { iso: false, colon: false, fields: 2 }),
    ("-07", Part::Offset { iso: false, colon: false, fields: 1 }),
    ("Z07:00:00", Part::Offset { iso: true, colon: true, fields: 3 }),
    ("Z070000", Part::Offset { iso: true, colon: false, fields: 3 }),
    ("Z07:00", Part::Offset { iso: true, colon: true, fields: 2 }),
    ("Z0700", Part::Offset { iso: true, colon: false, fields: 2 }),
    ("Z07", Part::Offset { iso: true, colon: false, fields: 1 }),
];

/// The text before the first part, the part with its text, and the rest.
pub(super) fn next_part(layout: &str) -> Option<(&str, Part, &str, &str)> {
    for (at, _) in layout.char_indices() {
        let rest = &layout[at..];
        if let Some(year) = rest.strip_prefix('_')
            && let Some(after) = year.strip_prefix("2006")
        {
            // The underscore is literal here.
            return Some((&layout[..=at], Part::LongYear, &year[..4], after));
        }
        for (text, part) in PARTS {
            if !rest.starts_with(text) {
                continue;
            }
            let lower_follows = rest[text.len()..].starts_with(|c: char| c.is_ascii_lowercase());
            // "Jan" in "January" or "Janet" is no month.
            if matches!(part, Part::Month | Part::WeekDay) && lower_follows {
                continue;
            }
            return Some((&layout[..at], *part, &rest[..text.len()], &rest[text.len()..]));
        }
        if let Some(separator @ ('.' | ',')) = rest.chars().next()
            && let Some(digit @ ('0' | '9')) = rest.chars().nth(1)
        {
            let digits = rest.chars().skip(1).take_while(|c| *c == digit).count();
            let (element, after) = rest.split_at(1 + digits);
            if !after.starts_with(|c: char| c.is_ascii_digit()) {
                let part = Part::Fraction { digits, trim: digit == '9', separator };
                return Some((&layout[..at], part, element, after));
            }
        }
    }
    None
}

/// Formats a time under a layout.
pub(crate) fn format(time: &Time, layout: &str) -> String {
    let civil = time.civil();
    let info = time.zone.to_offset_info(time.at);
    let offset = info.offset().seconds();
    let (year, month, day) = (i32::from(civil.year()), civil.month(), civil.day());
    let hour = civil.hour();
    let hour12 = if hour % 12 == 0 { 12 } else { hour % 12 };
    let weekday = DAYS[civil.weekday().to_sunday_zero_offset() as usize];
    let month_name = MONTHS[(month - 1) as usize];
    let mut out = String::with_capacity(layout.len() + 8);
    let mut rest = layout;
    while let Some((before, part, _, after)) = next_part(rest) {
        out.push_str(before);
        rest = after;
        match part {
            Part::LongMonth => out.push_str(month_name),
            Part::Month => out.push_str(&month_name[..3]),
            Part::NumMonth => out.push_str(&month.to_string()),
            Part::ZeroMonth => out.push_str(&format!("{month:02}")),
            Part::LongWeekDay => out.push_str(weekday),
            Part::WeekDay => out.push_str(&weekday[..3]),
            Part::Day => out.push_str(&day.to_string()),
            Part::UnderDay => out.push_str(&format!("{day:2}")),
            Part::ZeroDay => out.push_str(&format!("{day:02}")),
            Part::UnderYearDay => out.push_str(&format!("{:3}", civil.day_of_year())),
            Part::ZeroYearDay => out.push_str(&format!("{:03}", civil.day_of_year())),
            Part::Hour => out.push_str(&format!("{hour:02}")),
            Part::Hour12 => out.push_str(&hour12.to_string()),
            Part::ZeroHour12 => out.push_str(&format!("{hour12:02}")),
            Part::Minute => out.push_str(&civil.minute().to_string()),
            Part::ZeroMinute => out.push_str(&format!("{:02}", civil.minute())),
            Part::Second => out.push_str(&civil.second().to_string()),
            Part::ZeroSecond => out.push_str(&format!("{:02}", civil.second())),
            Part::LongYear if year < 0 => out.push_str(&format!("-{:04}", -year)),
            Part::LongYear => out.push_str(&format!("{year:04}")),
            Part::Year => out.push_str(&format!("{:02}", year.rem_euclid(100))),
            Part::UpperPm => out.push_str(if hour >= 12 { "PM" } else { "AM" }),
            Part::LowerPm => out.push_str(if hour >= 12 { "pm" } else { "am" }),
            Part::ZoneName => out.push_str(&time.abbreviation()),
            Part::Offset { iso, colon, fields } => push_offset(&mut out, offset, iso, colon, fields),
            Part::Fraction { digits, trim, separator } => {
                push_fraction(&mut out, civil.subsec_nanosecond(), digits, trim, separator);
            }
        }
    }
    out.push_str(rest);
    out
}

fn push_offset(out: &mut String, offset: i32, iso: bool, colon: bool, fields: u8) {
    if iso && offset == 0 {
        out.push('Z');
        return;
    }
    out.push(if offset < 0 { '-' } else { '+' });
    let seconds = offset.abs();
    let colon = if colon { ":" } else { "" };
    out.push_str(&format!("{:02}", seconds / 3600));
    if fields > 1 {
        out.push_str(&format!("{colon}{:02}", seconds / 60 % 60));
    }
    if fields > 2 {
        out.push_str(&format!("{colon}{:02}", seconds % 60));
    }
}

fn push_fraction(out: &mut String, nanosecond: i32, digits: usize, trim: bool, separator: char) {
    let all = format!("{nanosecond:09}");
    let digits = digits.min(9);
    let mut shown = &all[..digits];
    if trim {
        shown = shown.trim_end_matches('0');
        if shown.is_empty() {
            return;
        }
    }
    out.push(separator);
    out.push_str(shown);
}
