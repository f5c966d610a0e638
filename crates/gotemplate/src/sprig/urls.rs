//! URLs as Go's `net/url` takes them apart and joins them.

use crate::args::text;
use crate::error::Failure;
use crate::exec::Ctx;
use crate::func::Func;
use crate::value::{Map, Type, Value, decode};

pub(super) static FUNCS: &[Func] = &[
    Func::new("urlParse", &[Type::STRING], Type::MAP, |_, args| {
        let all = text(&args[0]).to_text();
        let url = Url::parse(&all).map_err(|error| format!("unable to parse url: {error}"))?;
        let host_name = url.host_name().to_owned();
        Ok(Value::map([
            ("scheme", Value::from(url.scheme)),
            ("host", url.host.into()),
            ("hostname", host_name.into()),
            ("path", url.path.into()),
            ("query", url.query.into()),
            ("opaque", url.opaque.into()),
            ("fragment", url.fragment.into()),
            ("userinfo", url.user.unwrap_or_default().into()),
        ]))
    }),
    Func::new("urlJoin", &[Type::MAP], Type::STRING, join),
    Func::new("getHostByName", &[Type::STRING], Type::STRING, |ctx, args| {
        let name = text(&args[0]).to_text().into_owned();
        Ok(ctx.host().resolve_host(&name).into())
    }),
];

#[derive(Default)]
struct Url {
    scheme: String,
    opaque: String,
    /// As it is written in a URL.
    user: Option<String>,
    host: String,
    path: String,
    raw_path: String,
    query: String,
    force_query: bool,
    fragment: String,
}

/// Which part a text is of: they differ in what must be escaped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    User,
    Host,
    Zone,
    Fragment,
}

impl Url {
    fn parse(all: &str) -> Result<Self, String> {
        let wrap = |message: String| format!("parse {}: {message}", crate::fmt::quoted(all.as_bytes()));
        let (before, fragment) = all.split_once('#').unwrap_or((all, ""));
        let mut url = Self::parse_reference(before).map_err(wrap)?;
        url.fragment = unescape(fragment, Part::Fragment).map_err(wrap)?;
        Ok(url)
    }

    fn parse_reference(all: &str) -> Result<Self, String> {
        let mut url = Self::default();
        if all.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
            return Err("net/url: invalid control character in URL".to_owned());
        }
        if all == "*" {
            "*".clone_into(&mut url.path);
            return Ok(url);
        }
        let (scheme, mut rest) = split_scheme(all)?;
        url.scheme = scheme.to_ascii_lowercase();
        if rest.ends_with('?') && rest.matches('?').count() == 1 {
            url.force_query = true;
            rest = &rest[..rest.len() - 1];
        } else if let Some((before, query)) = rest.split_once('?') {
            query.clone_into(&mut url.query);
            rest = before;
        }
        if !rest.starts_with('/') {
            if !url.scheme.is_empty() {
                rest.clone_into(&mut url.opaque);
                return Ok(url);
            }
            let segment = rest.split('/').next().unwrap_or_default();
            if segment.contains(':') {
                return Err("first path segment in URL cannot contain colon".to_owned());
            }
        }
        if let Some(after) = rest.strip_prefix("//")
            && (!url.scheme.is_empty() || !rest.starts_with("///"))
        {
            let end = after.find('/').unwrap_or(after.len());
            let (authority, path) = after.split_at(end);
            url.authority(authority)?;
            rest = path;
        }
        url.path = unescape(rest, Part::Path)?;
        if rest != escape(&url.path, Part::Path) {
            rest.clone_into(&mut url.raw_path);
        }
        Ok(url)
    }

    fn authority(&mut self, authority: &str) -> Result<(), String> {
        let Some((user, host)) = authority.rsplit_once('@') else {
            self.host = parse_host(authority)?;
            return Ok(());
        };
        self.host = parse_host(host)?;
        let valid = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
        if !user.chars().all(valid) {
            return Err("net/url: invalid userinfo".to_owned());
        }
        let shown = match user.split_once(':') {
            None => escape(&unescape(user, Part::User)?, Part::User),
            Some((name, password)) => {
                let name = escape(&unescape(name, Part::User)?, Part::User);
                let password = escape(&unescape(password, Part::User)?, Part::User);
                format!("{name}:{password}")
            }
        };
        self.user = Some(shown);
        Ok(())
    }

    /// The host without its port and brackets.
    fn host_name(&self) -> &str {
        let mut host = self.host.as_str();
        if let Some(colon) = host.rfind(':')
            && host[colon + 1..].bytes().all(|byte| byte.is_ascii_digit())
            && (!host[..colon].contains(':') || host[..colon].ends_with(']'))
        {
            host = &host[..colon];
        }
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.scheme.is_empty() {
            write!(f, "{}:", self.scheme)?;
        }
        if self.opaque.is_empty() {
            if !self.scheme.is_empty() || !self.host.is_empty() || self.user.is_some() {
                if !self.host.is_empty() || !self.path.is_empty() || self.user.is_some() {
                    f.write_str("//")?;
                }
                if let Some(user) = &self.user {
                    write!(f, "{user}@")?;
                }
                f.write_str(&escape(&self.host, Part::Host))?;
            }
            let path = escape(&self.path, Part::Path);
            if !path.is_empty() && !path.starts_with('/') && !self.host.is_empty() {
                f.write_str("/")?;
            }
            let is_start = self.scheme.is_empty() && self.host.is_empty() && self.user.is_none();
            if is_start && path.split('/').next().is_some_and(|segment| segment.contains(':')) {
                f.write_str("./")?;
            }
            f.write_str(&path)?;
        } else {
            f.write_str(&self.opaque)?;
        }
        if self.force_query || !self.query.is_empty() {
            write!(f, "?{}", self.query)?;
        }
        if !self.fragment.is_empty() {
            write!(f, "#{}", escape(&self.fragment, Part::Fragment))?;
        }
        Ok(())
    }
}

fn split_scheme(all: &str) -> Result<(&str, &str), String> {
    for (at, c) in all.char_indices() {
        match c {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if at > 0 => {}
            ':' if at == 0 => return Err("missing protocol scheme".to_owned()),
            ':' => return Ok((&all[..at], &all[at + 1..])),
            _ => break,
        }
    }
    Ok(("", all))
}

fn parse_host(host: &str) -> Result<String, String> {
    let check_port = |port: &str| {
        let valid = port.is_empty()
            || port.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
        if valid {
            return Ok(());
        }
        Err(format!("invalid port {} after host", crate::fmt::quoted(port.as_bytes())))
    };
    if let Some(open) = host.rfind('[') {
        if open > 0 {
            return Err("invalid IP-literal".to_owned());
        }
        let close = host.rfind(']').ok_or("missing ']' in host")?;
        check_port(&host[close + 1..])?;
        if let Some(zone) = host[..close].find("%25") {
            let (address, rest) = host.split_at(zone);
            let (zone, rest) = rest.split_at(close - zone);
            let parts =
                [unescape(address, Part::Host)?, unescape(zone, Part::Zone)?, unescape(rest, Part::Host)?];
            return Ok(parts.concat());
        }
    } else if let Some(colon) = host.rfind(':') {
        check_port(&host[colon..])?;
    }
    unescape(host, Part::Host)
}

fn unescape(text: &str, part: Part) -> Result<String, String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        if byte == b'%' {
            let digits = bytes.get(at + 1..at + 3).and_then(|digits| {
                let high = char::from(digits[0]).to_digit(16)?;
                let low = char::from(digits[1]).to_digit(16)?;
                Some((high * 16 + low) as u8)
            });
            let shown = &bytes[at..bytes.len().min(at + 3)];
            let invalid = || format!("invalid URL escape {}", crate::fmt::quoted(shown));
            let value = digits.ok_or_else(invalid)?;
            if part == Part::Host && value < 0x80 && shown != b"%25" {
                return Err(invalid());
            }
            out.push(value);
            at += 3;
            continue;
        }
        if matches!(part, Part::Host | Part::Zone) && byte < 0x80 && must_escape(byte, part) {
            let shown = crate::fmt::quoted(&[byte]);
            return Err(format!("invalid character {shown} in host name"));
        }
        out.push(byte);
        at += 1;
    }
    Ok(decode(&out).into_owned())
}

fn escape(text: &str, part: Part) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if must_escape(byte, part) {
            out.push_str(&format!("%{byte:02X}"));
        } else {
            out.push(char::from(byte));
        }
    }
    out
}

fn must_escape(byte: u8, part: Part) -> bool {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => false,
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'[' | b']'
        | b'<' | b'>' | b'"'
            if matches!(part, Part::Host | Part::Zone) =>
        {
            false
        }
        b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'?' | b'@' => match part {
            Part::Path => byte == b'?',
            Part::User => matches!(byte, b'@' | b'/' | b'?' | b':'),
            Part::Fragment => false,
            Part::Host | Part::Zone => true,
        },
        b'!' | b'(' | b')' | b'*' if part == Part::Fragment => false,
        _ => true,
    }
}

fn join(_: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let empty = Map::new();
    let map = args[0].as_map().unwrap_or(&empty);
    let get = |key: &str| match map.get(key) {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.to_text().into_owned()),
        Some(value) if value.is_nil() => Err(Failure::from(crate::args::NIL_DEREFERENCE)),
        Some(other) => Err(Failure::new(format!(
            "unable to parse {key} key, must be of type string, but {} found",
            other.kind_name()
        ))),
    };
    let mut url = Url {
        scheme: get("scheme")?,
        host: get("host")?,
        path: get("path")?,
        query: get("query")?,
        opaque: get("opaque")?,
        fragment: get("fragment")?,
        ..Url::default()
    };
    let user = get("userinfo")?;
    if !user.is_empty() {
        let parsed = Url::parse(&format!("proto://{user}@host"))
            .map_err(|error| format!("unable to parse userinfo in dict: {error}"))?;
        url.user = parsed.user;
    }
    Ok(url.to_string().into())
}
