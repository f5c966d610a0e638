//! Times as Go reads them by RFC 3339, with its words for what is wrong.

/// The layout that Go names in errors, part by part.
const LAYOUT: [(&str, usize); 11] = [
    ("2006", 4),
    ("-", 0),
    ("01", 2),
    ("-", 0),
    ("02", 2),
    ("T", 0),
    ("15", 2),
    (":", 0),
    ("04", 2),
    (":", 0),
    ("05", 2),
];

/// Checks a time and returns it without fractions of a second, as Go formats it.
pub(crate) fn normalize(text: &str) -> Result<String, String> {
    let failed = |rest: &str, part: &str| {
        format!(
            "parsing time {} as \"2006-01-02T15:04:05Z07:00\": cannot parse {} as {}",
            quoted(text),
            quoted(rest),
            quoted(part)
        )
    };
    let mut rest = text;
    for (part, digits) in LAYOUT {
        let matched = match digits {
            0 => rest.starts_with(part).then_some(part.len()),
            n => rest.get(..n).is_some_and(|head| head.bytes().all(|b| b.is_ascii_digit())).then_some(n),
        };
        let length = matched.ok_or_else(|| failed(rest, part))?;
        rest = &rest[length..];
    }
    let seconds = text.len() - rest.len();
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            rest = &fraction[digits..];
        }
    }
    let offset = matches!(rest.as_bytes(), [b'+' | b'-', h1, h2, b':', m1, m2]
        if [h1, h2, m1, m2].iter().all(|byte| byte.is_ascii_digit()));
    if rest != "Z" && !offset {
        return Err(failed(rest, "Z07:00"));
    }
    if text.parse::<jiff::Timestamp>().is_err() {
        return Err(format!("parsing time {}: out of range", quoted(text)));
    }
    let zone = if rest == "+00:00" || rest == "-00:00" { "Z" } else { rest };
    Ok(format!("{}{zone}", &text[..seconds]))
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}
