use super::*;
use crate::read::read_strict;

/// The reader's answer, if the fast way has one it must be the same.
fn same(text: &str) -> bool {
    let mut out = b"before".to_vec();
    let fast = transcode(text, &mut out).is_some();
    if fast {
        let whole = read_strict(text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
        let whole = serde_json::to_string(&serde_json::Value::from(whole)).unwrap();
        assert_eq!(std::str::from_utf8(&out[6..]).unwrap(), whole, "{text}");
    } else {
        assert_eq!(out, b"before");
    }
    fast
}

#[test]
fn what_programs_write_needs_no_reader() {
    for text in [
        "- annotations:\n    category: Database\n    images: |\n      - name: a\n\n        image: b \"c\"\n  apiVersion: v2\n  created: \"2026-01-01T00:00:00Z\"\n  keywords:\n  - one\n  - two\n  urls:\n  - a-1.0.0.tgz\n",
        "a: 2026-01-01T00:00:00Z\nb: true\nc: 12\nd: ~\ne:\nf: {}\ng: []\nh: 1.2.3\n",
        "  - description: words that\n      go on, with \"quotes\",\n      and end\n    name: 'it''s \"x\\y\"' # c\n\n  # between\n  - name: b\n",
        "a: |-\n  x\n\n\nb: |\n    y\n      z\n\nc: x#y\nd: http://x/?a=b\ne: \"a\\\"b\\\\c\\n\" # d\n",
        "-\n  a: b\n-\n- c\n- \"d: e\"\n",
        "a:\n  - b: ^1.2\n    c: '>= 1'\n",
        "\"a b\": x\n'c': ä\n",
        "a: 1.0\nb: 1.25e+300\nc: 0001234567890123456789\nd: -0.0\ne: 1e3\nf: 99999999999999999999\n",
    ] {
        assert!(same(text), "{text}");
    }
}

#[test]
fn what_may_be_something_else_is_left_to_the_reader() {
    for text in [
        "",
        "text",
        "b: 1\na: 2\n",
        "a: 1\na: 2\n",
        "a: x\n\n  y\n",
        "a: x # c\n  y\n",
        "a: x\n  # c\n  y\n",
        "a: b: c\n",
        "a: x\n  b: c\n",
        "a: |\n   x\n  y\n",
        "a: |\n",
        "a: |+\n  x\n\n",
        "a: >\n  x\n",
        "a: |\n  x",
        "a: |\n    \n  x\n",
        "a: &x b\n",
        "a: *x\n",
        "a: !!str 1\n",
        "? a\n: b\n",
        "a: [b]\n",
        "<<: {}\n",
        "a: \"x\n  y\"\n",
        "a: 'x\n  y'\n",
        "a: \"\\x41\"\n",
        "a:\tb\n",
        "a: x\r\n",
        "--- a\n",
        "a: b\n...\n",
        "a: b\n- c\n",
        "- a\nb: c\n",
        "- - a\n",
        "a:\n    b: c\n  d: e\n",
        "yes: x\n",
        "a: \"x\" y\n",
        "a: .inf\n",
        "a: x\n---\nb: y\n",
        "a: - b\n",
        "a: ? b\n",
        "a: @b\n",
        "a: `b`\n",
        "a: %b\n",
        "a: |\n  x\n   \n",
    ] {
        assert!(!same(text), "{text}");
    }
}

/// Lines of all sorts put together at random: whatever is accepted is what the reader reads.
#[test]
fn random_documents_are_read_alike() {
    let pieces: &[&str] = &[
        "a:",
        "b: x",
        "c: |",
        "d: |-",
        "- e",
        "- f: g",
        "-",
        "h: \"i\"",
        "'j': 'k'",
        "# l",
        "",
        "m: 1",
        "n: ~",
        "text",
        "more text: x",
        "o: {}",
        "p: []",
        "q: p # c",
        "r: x:y",
        "s: \"t",
        "- |",
        "- \"u\"",
        "v: yes",
        "w: 2001-01-01",
        "- - x",
        "y: z",
        "k: a  ",
        "l: --x",
        "m: - x",
        "n: |+",
        "o: >",
        "   ",
        "- # c",
        "- 'x': y",
        "p: ''",
        "q: ''''",
        "r: \"\\\\\"",
        "s: 0x1F",
        "t: 1_000",
        "u: 1e3",
        "- !x y",
        "w: &a b",
        "x: *a",
        "z: <<",
        "a.b/c: =",
        "d: ä€",
        "e: a\\b",
        "f: a\"b",
    ];
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 16) as usize % below
    };
    let mut accepted = 0;
    for _ in 0..20_000 {
        let mut text = String::new();
        let mut indent = 0_usize;
        for _ in 0..=random(7) {
            indent = match random(8) {
                0..=3 => indent,
                4 | 5 => indent + 2,
                6 => indent.saturating_sub(2),
                _ => random(5),
            };
            text.push_str(&" ".repeat(indent));
            text.push_str(pieces[random(pieces.len())]);
            text.push('\n');
        }
        if random(8) == 0 {
            text.pop();
        }
        accepted += usize::from(same(&text));
    }
    assert!(accepted > 1_000, "{accepted}");
}
