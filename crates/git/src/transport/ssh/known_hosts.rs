//! The format of `known_hosts`: names, patterns, hashed names, ports, revoked keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use russh::keys::{Algorithm, HashAlg, PublicKey};
use sha1_checked::{Digest as _, Sha1};

/// Host keys.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownHosts(Vec<Line>);

#[derive(Debug, Clone)]
struct Line {
    hosts: String,
    revoked: bool,
    key: PublicKey,
}

/// The form in which a host is named: with its port only where that is not SSH's own.
pub(super) fn address(host: &str, port: u16) -> String {
    let host = host.trim_matches(['[', ']']);
    if port == 22 { host.to_owned() } else { format!("[{host}]:{port}") }
}

impl KnownHosts {
    /// Reads all lines that hold a key; others, such as those of certificate authorities, do not count.
    pub(super) fn parse(text: &str) -> Self {
        KnownHosts(text.lines().filter_map(parse_line).collect())
    }

    /// The keys of one host.
    pub(super) fn for_host(&self, host: &str, port: u16) -> Self {
        let address = address(host, port);
        KnownHosts(self.0.iter().filter(|line| matches(&line.hosts, &address)).cloned().collect())
    }

    /// Whether there is no key to accept.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|line| line.revoked)
    }

    /// The algorithms by which the server may prove to have one of the keys.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        let mut keys: Vec<Algorithm> =
            self.0.iter().filter(|l| !l.revoked).map(|l| l.key.algorithm()).collect();
        keys.sort_by_key(super::rank);
        keys.dedup();
        keys.iter().flat_map(super::signing_algorithms).collect()
    }

    /// Accepts a key that is listed and not revoked; else tells why not.
    pub(super) fn check(&self, key: &PublicKey) -> Result<(), String> {
        let fingerprint = key.fingerprint(HashAlg::Sha256);
        let same = |line: &&Line| line.key.key_data() == key.key_data();
        match self.0.iter().filter(same).map(|line| line.revoked).max() {
            Some(false) => Ok(()),
            Some(true) => Err(format!("knownhosts: key is revoked: {fingerprint}")),
            None => Err(format!("knownhosts: key mismatch: the server's key is {fingerprint}")),
        }
    }
}

fn parse_line(line: &str) -> Option<Line> {
    let mut words = line.split_whitespace().peekable();
    let marker = words.next_if(|word| word.starts_with('@'));
    if !matches!(marker, None | Some("@revoked")) {
        return None;
    }
    let hosts = words.next().filter(|word| !word.starts_with('#'))?.to_owned();
    let (kind, key) = (words.next()?, words.next()?);
    let key = PublicKey::from_openssh(&format!("{kind} {key}")).ok()?;
    Some(Line { hosts, revoked: marker.is_some(), key })
}

/// Whether a comma-separated list of patterns names the address. A negated match rules it out.
fn matches(hosts: &str, address: &str) -> bool {
    if let Some(hashed) = hosts.strip_prefix("|1|") {
        return hashed_matches(hashed, address).unwrap_or(false);
    }
    let mut found = false;
    for pattern in hosts.split(',') {
        let (negated, pattern) = match pattern.strip_prefix('!') {
            Some(pattern) => (true, pattern),
            None => (false, pattern),
        };
        // `host:22` and `[host]:22` mean the host itself.
        let plain = pattern.strip_suffix("]:22").and_then(|p| p.strip_prefix('['));
        let pattern = plain.unwrap_or(pattern);
        if wildcard(pattern.to_lowercase().as_bytes(), address.to_lowercase().as_bytes()) {
            if negated {
                return false;
            }
            found = true;
        }
    }
    found
}

/// `salt|hash`: HMAC-SHA1 of the address under the salt.
fn hashed_matches(text: &str, address: &str) -> Option<bool> {
    let (salt, hash) = text.split_once('|')?;
    let (salt, hash) = (STANDARD.decode(salt).ok()?, STANDARD.decode(hash).ok()?);
    Some(hmac(&salt, address.as_bytes()) == hash)
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 64;
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..20].copy_from_slice(&Sha1::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let pad = |byte: u8| block.map(|b| b ^ byte);
    let inner = Sha1::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha1::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
}

/// `*` is any text, `?` any character.
fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p + 1, t));
            p += 1;
        } else if pattern.get(p).is_some_and(|c| *c == b'?' || *c == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((after, taken)) = star {
            star = Some((after, taken + 1));
            (p, t) = (after, taken + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9dG4kjRhQTtWTVzd2t27+t0DEHBPW7iOD23TUiYLio";

    fn accepts(text: &str, host: &str, port: u16) -> bool {
        let known = KnownHosts::parse(text).for_host(host, port);
        known.check(&PublicKey::from_openssh(KEY).unwrap()).is_ok()
    }

    #[test]
    fn hosts_are_found_by_name_pattern_port_and_hash() {
        assert!(accepts(&format!("# comment\n\ngithub.com,192.0.2.1 {KEY} comment\n"), "github.com", 22));
        assert!(accepts(&format!("[host]:2222 {KEY}"), "host", 2222));
        assert!(!accepts(&format!("host {KEY}"), "host", 2222));
        assert!(accepts(&format!("*.example.com,!bad.example.com {KEY}"), "git.example.com", 22));
        assert!(!accepts(&format!("*.example.com,!bad.example.com {KEY}"), "bad.example.com", 22));
        // The hash that ssh-keygen -H makes of "git.example.com" under this salt.
        let salt = STANDARD.encode([7; 20]);
        let hash = STANDARD.encode(hmac(&[7; 20], b"git.example.com"));
        assert!(accepts(&format!("|1|{salt}|{hash} {KEY}"), "git.example.com", 22));
        assert!(!accepts(&format!("|1|{salt}|{hash} {KEY}"), "other", 22));
        let known = STANDARD.encode(hmac(b"key", b"The quick brown fox jumps over the lazy dog"));
        assert_eq!(known, "3nybhbi3iqa8ino29wqQcBydtNk=");
    }

    #[test]
    fn other_and_revoked_keys_are_refused() {
        let key = PublicKey::from_openssh(KEY).unwrap();
        let reason = |text: &str| KnownHosts::parse(text).for_host("h", 22).check(&key).unwrap_err();
        assert!(reason(&format!("h {OTHER}")).starts_with("knownhosts: key mismatch"));
        assert!(reason(&format!("h {KEY}\n@revoked h {KEY}")).starts_with("knownhosts: key is revoked"));
        assert!(reason(&format!("@cert-authority h {KEY}")).starts_with("knownhosts: key mismatch"));
        for garbage in ["h", "h ssh-ed25519", "h ssh-ed25519 !!!", "@x", "|1| ssh"] {
            assert!(KnownHosts::parse(garbage).is_empty(), "{garbage}");
        }
    }
}
