//! Addresses of schemas: joining them, and the two kinds of fragments.

/// An address in front of its fragment, and the fragment as it stands.
pub(super) fn split(url: &str) -> (&str, &str) {
    url.split_once('#').unwrap_or((url, ""))
}

/// A reference relative to a base, neither with a fragment.
pub(super) fn join(base: &str, reference: &str) -> String {
    if is_absolute(reference) {
        return reference.to_owned();
    }
    let Some(authority) = base.find("://").map(|at| at + 3) else {
        return if is_absolute(base) { base.to_owned() } else { reference.to_owned() };
    };
    if reference.is_empty() {
        return base.to_owned();
    }
    let path = base[authority..].find('/').map_or(base.len(), |at| authority + at);
    if let Some(rest) = reference.strip_prefix("//") {
        return format!("{}{rest}", &base[..authority]);
    }
    let (reference_path, query) = reference.split_at(reference.find('?').unwrap_or(reference.len()));
    let merged = if reference_path.starts_with('/') {
        reference_path.to_owned()
    } else {
        let folder = base[path..].rfind('/').map_or("/", |at| &base[path..=path + at]);
        format!("{folder}{reference_path}")
    };
    let mut segments: Vec<&str> = Vec::new();
    let mut ends_in_folder = false;
    for segment in merged.split('/').skip(1) {
        ends_in_folder = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    if ends_in_folder {
        segments.push("");
    }
    format!("{}/{}{query}", &base[..path], segments.join("/"))
}

fn is_absolute(url: &str) -> bool {
    let end = url.find(':').unwrap_or(0);
    end > 0
        && url.as_bytes()[0].is_ascii_alphabetic()
        && url[..end].bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Undoes `%xx`; an escape that is none comes back.
pub(super) fn decode(text: &str) -> Result<String, &str> {
    if !text.contains('%') {
        return Ok(text.to_owned());
    }
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        if bytes[index] != b'%' {
            plain.push(bytes[index]);
            index += 1;
            continue;
        }
        let hex =
            text.get(index + 1..index + 3).filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let Some(value) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) else {
            return Err(text.get(index..(index + 3).min(text.len())).unwrap_or("%"));
        };
        plain.push(value);
        index += 3;
    }
    Ok(String::from_utf8_lossy(&plain).into_owned())
}

/// A pointer as it stands in an address: all but a few marks and the slashes are escaped.
pub(super) fn encode(pointer: &str) -> String {
    let mut text = String::with_capacity(pointer.len());
    for byte in pointer.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/$&+:=@".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// A name as a token of a pointer.
pub(super) fn escape(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

/// A token's name; none when a tilde stands for nothing.
pub(super) fn unescape(token: &str) -> Option<String> {
    let mut parts = token.split('~');
    let mut name = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.as_bytes().first() {
            Some(b'0') => name.push('~'),
            Some(b'1') => name.push('/'),
            _ => return None,
        }
        name.push_str(&part[1..]);
    }
    Some(name)
}
