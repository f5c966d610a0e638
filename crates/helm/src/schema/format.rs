//! The formats that drafts up to 7 insist on.

/// What is wrong with a text of a format; unknown formats take all.
pub(super) fn problem(format: &str, text: &str) -> Option<String> {
    let result = match format {
        "ipv4" => ipv4(text),
        "ipv6" => ipv6(text),
        "hostname" => hostname(text),
        "email" => email(text),
        "date" => date(text),
        "time" => time(text),
        "date-time" => date_time(text),
        "uuid" => uuid(text),
        "uri" | "iri" => uri(text, true),
        "uri-reference" | "iri-reference" => uri(text, false),
        "json-pointer" => json_pointer(text),
        "duration" => duration(text),
        "semver" => semver(text),
        "regex" => sluice_regexp::Regexp::new(text).map(|_| ()).map_err(|error| error.to_string()),
        _ => Ok(()),
    };
    result.err()
}

type Verdict = Result<(), String>;

fn fail(reason: impl Into<String>) -> Verdict {
    Err(reason.into())
}

fn ipv4(text: &str) -> Verdict {
    let parts: Vec<&str> = text.split('.').collect();
    if parts.len() != 4 {
        return fail("expected four decimals");
    }
    for part in parts {
        if part.len() > 1 && part.starts_with('0') {
            return fail("leading zeros");
        }
        if part.parse::<u8>().is_err() || part.starts_with('+') {
            return fail(format!("{part:?} is not a number from 0 to 255"));
        }
    }
    Ok(())
}

fn ipv6(text: &str) -> Verdict {
    match text.parse::<std::net::Ipv6Addr>() {
        Ok(_) => Ok(()),
        Err(_) => fail("not an ipv6 address"),
    }
}

fn hostname(text: &str) -> Verdict {
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.len() > 253 {
        return fail("more than 253 characters long");
    }
    for label in text.split('.') {
        if label.is_empty() || label.len() > 63 {
            return fail("label must be 1 to 63 characters long");
        }
        if label.starts_with('-') {
            return fail("label starts with hyphen");
        }
        if label.ends_with('-') {
            return fail("label ends with hyphen");
        }
        if let Some(bad) = label.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-') {
            return fail(format!("invalid character '{bad}'"));
        }
    }
    Ok(())
}

fn email(text: &str) -> Verdict {
    if text.len() > 254 {
        return fail("more than 255 characters long");
    }
    let Some((local, domain)) = text.rsplit_once('@') else { return fail("missing @") };
    if local.is_empty() || local.len() > 64 {
        return fail("local part more than 64 characters long");
    }
    if let Some(quoted) = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        if quoted.contains(['\\', '"']) {
            return fail("backslash and quote are not allowed within quoted local part");
        }
    } else {
        if local.starts_with('.') || local.ends_with('.') {
            return fail("starts or ends with dot");
        }
        if local.contains("..") {
            return fail("consecutive dots");
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || ".!#$%&'*+-/=?^_`{|}~".contains(c);
        if let Some(bad) = local.chars().find(|c| !allowed(*c)) {
            return fail(format!("invalid character '{bad}'"));
        }
    }
    if let Some(address) = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return match address.strip_prefix("IPv6:") {
            Some(address) => ipv6(address),
            None => ipv4(address),
        };
    }
    hostname(domain).map_err(|reason| format!("invalid domain: {reason}"))
}

fn date(text: &str) -> Verdict {
    if text.len() != 10 || text.parse::<jiff::civil::Date>().is_err() {
        return fail("must be yyyy-mm-dd");
    }
    Ok(())
}

fn time(text: &str) -> Verdict {
    let bytes = text.as_bytes();
    let number = |from: usize| -> Option<u32> { text.get(from..from + 2)?.parse().ok() };
    let colons = bytes.get(2) == Some(&b':') && bytes.get(5) == Some(&b':');
    let (Some(hour), Some(minute), Some(second), true) = (number(0), number(3), number(6), colons) else {
        return fail("must be hh:mm:ss");
    };
    if hour > 23 || minute > 59 || second > 60 {
        return fail("hour, minute or second out of range");
    }
    let mut rest = &text[8..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return fail("no digits in second fraction");
        }
        rest = &fraction[digits..];
    }
    if rest.eq_ignore_ascii_case("z") {
        return Ok(());
    }
    let valid = rest.len() == 6
        && rest.starts_with(['+', '-'])
        && rest.as_bytes()[3] == b':'
        && rest.get(1..3).and_then(|hours| hours.parse::<u8>().ok()).is_some_and(|hours| hours < 24)
        && rest.get(4..6).and_then(|minutes| minutes.parse::<u8>().ok()).is_some_and(|minutes| minutes < 60);
    if valid { Ok(()) } else { fail("offset must be Z or +hh:mm") }
}

fn date_time(text: &str) -> Verdict {
    let (Some(day), Some(rest)) = (text.get(..10), text.get(11..)) else {
        return fail("less than 20 characters long");
    };
    if !matches!(text.as_bytes()[10], b'T' | b't') {
        return fail("11th character must be t or T");
    }
    date(day).map_err(|reason| format!("invalid date element: {reason}"))?;
    time(rest).map_err(|reason| format!("invalid time element: {reason}"))
}

fn uuid(text: &str) -> Verdict {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    if lengths != [8, 4, 4, 4, 12] {
        return fail("must have 5 elements");
    }
    if text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()) {
        Ok(())
    } else {
        fail("non-hex character")
    }
}

fn uri(text: &str, absolute: bool) -> Verdict {
    let parse = |reason: &str| fail(format!("parse {}: {reason}", crate::go::quote(text)));
    if text.contains('\\') {
        return fail("contains \\");
    }
    if text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
        return parse("net/url: invalid control character in URL");
    }
    let scheme = text.find(':').filter(|colon| {
        text[..*colon].bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    });
    if scheme == Some(0) {
        return parse("missing protocol scheme");
    }
    let has_scheme = scheme.is_some_and(|_| text.as_bytes()[0].is_ascii_alphabetic());
    if absolute && !has_scheme {
        return fail("relative url");
    }
    if let Some(at) = text.find("://") {
        let authority = &text[at + 3..];
        let authority = &authority[..authority.find(['/', '?', '#']).unwrap_or(authority.len())];
        let host = authority.rsplit('@').next().unwrap_or(authority);
        if host.contains([' ', '<', '>', '"']) {
            return parse("invalid character in host name");
        }
        if let Some((_, port)) = host.rsplit_once(':')
            && !host.ends_with(']')
            && !port.bytes().all(|byte| byte.is_ascii_digit())
        {
            return parse(&format!("invalid port {} after host", crate::go::quote(&format!(":{port}"))));
        }
    }
    let bytes = text.as_bytes();
    for (index, _) in text.match_indices('%') {
        if !bytes.get(index + 1..index + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) {
            let end = (index + 3).min(text.len());
            let part = text.get(index..end).unwrap_or("%");
            return parse(&format!("invalid URL escape {}", crate::go::quote(part)));
        }
    }
    Ok(())
}

fn json_pointer(text: &str) -> Verdict {
    if text.is_empty() {
        return Ok(());
    }
    if !text.starts_with('/') {
        return fail("not starting with /");
    }
    let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if escapes { Ok(()) } else { fail("~ not followed by 0 or 1") }
}

fn duration(text: &str) -> Verdict {
    let Some(rest) = text.strip_prefix('P') else { return fail("must start with P") };
    let (date, time) = rest.split_once('T').map_or((rest, None), |(date, time)| (date, Some(time)));
    if time.is_some_and(str::is_empty) {
        return fail("no time elements");
    }
    if date.is_empty() && time.is_none() {
        return fail("nothing after P");
    }
    let in_order = |part: &str, units: &str| -> bool {
        let mut left = units;
        let mut digits = 0;
        for c in part.chars() {
            if c.is_ascii_digit() {
                digits += 1;
            } else {
                let Some(at) = left.find(c).filter(|_| digits > 0) else { return false };
                left = &left[at + 1..];
                digits = 0;
            }
        }
        digits == 0
    };
    let valid =
        if date.ends_with('W') { in_order(date, "W") && time.is_none() } else { in_order(date, "YMD") };
    if valid && time.is_none_or(|time| in_order(time, "HMS")) { Ok(()) } else { fail("invalid duration") }
}

fn semver(text: &str) -> Verdict {
    sluice_semver::Version::parse_strict(text).map(|_| ()).map_err(|error| error.to_string())
}
