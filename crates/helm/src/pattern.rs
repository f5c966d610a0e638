//! The patterns of `.Files.Glob`: `*` and `?` within a segment, `**` across, `[a-z]`, `[!abc]`, `{a,b*}`.

/// A pattern, as steps of an automaton: its cost is bounded by pattern times text.
#[derive(Debug)]
pub(crate) struct Pattern {
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    /// One character.
    Char(char),
    /// One character but `/`.
    Any,
    /// One of these, or none of these.
    Class { chars: Vec<(char, char)>, negated: bool },
    /// This step may take characters again and again: all, or all but `/`.
    Repeat { across: bool },
    /// Goes on at each of these places.
    Fork(Vec<usize>),
    /// Goes on at another place.
    Jump(usize),
}

struct Reader<'a> {
    chars: std::iter::Peekable<std::str::Chars<'a>>,
    steps: Vec<Step>,
}

impl Pattern {
    /// Reads a pattern; `None` if it is malformed.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader { chars: text.chars().peekable(), steps: Vec::new() };
        reader.sequence(0)?;
        reader.chars.peek().is_none().then_some(Pattern { steps: reader.steps })
    }

    /// Matches every text.
    pub(crate) fn everything() -> Self {
        Pattern { steps: vec![Step::Repeat { across: true }] }
    }

    /// Whether the whole text matches.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let mut current = Places::new(self.steps.len());
        self.enter(0, &mut current);
        for c in text.chars() {
            let mut next = Places::new(self.steps.len());
            for &place in &current.list {
                match self.steps.get(place) {
                    Some(Step::Char(wanted)) if *wanted == c => self.enter(place + 1, &mut next),
                    Some(Step::Any) if c != '/' => self.enter(place + 1, &mut next),
                    Some(Step::Class { chars, negated })
                        if chars.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated =>
                    {
                        self.enter(place + 1, &mut next);
                    }
                    Some(Step::Repeat { across }) if *across || c != '/' => self.enter(place, &mut next),
                    _ => {}
                }
            }
            current = next;
        }
        current.seen[self.steps.len()]
    }

    fn enter(&self, place: usize, places: &mut Places) {
        let mut waiting = vec![place];
        while let Some(place) = waiting.pop() {
            if std::mem::replace(&mut places.seen[place], true) {
                continue;
            }
            places.list.push(place);
            match self.steps.get(place) {
                Some(Step::Repeat { .. }) => waiting.push(place + 1),
                Some(Step::Fork(branches)) => waiting.extend(branches),
                Some(Step::Jump(target)) => waiting.push(*target),
                _ => {}
            }
        }
    }
}

struct Places {
    list: Vec<usize>,
    seen: Vec<bool>,
}

impl Places {
    fn new(steps: usize) -> Self {
        Places { list: Vec::new(), seen: vec![false; steps + 1] }
    }
}

impl Reader<'_> {
    /// Steps up to the end or, within braces, to `,` or `}`.
    fn sequence(&mut self, depth: usize) -> Option<()> {
        if depth > 32 {
            return None;
        }
        while let Some(&c) = self.chars.peek() {
            if depth > 0 && (c == ',' || c == '}') {
                return Some(());
            }
            self.chars.next();
            match c {
                '\\' => {
                    let escaped = self.chars.next()?;
                    self.steps.push(Step::Char(escaped));
                }
                '*' => {
                    let mut across = false;
                    while self.chars.next_if_eq(&'*').is_some() {
                        across = true;
                    }
                    self.steps.push(Step::Repeat { across });
                }
                '?' => self.steps.push(Step::Any),
                '[' => self.class()?,
                '{' => self.alternatives(depth)?,
                '}' => return None,
                other => self.steps.push(Step::Char(other)),
            }
        }
        (depth == 0).then_some(())
    }

    fn class(&mut self) -> Option<()> {
        let negated = self.chars.next_if_eq(&'!').is_some();
        let mut chars = Vec::new();
        loop {
            let c = match self.chars.next()? {
                ']' if !chars.is_empty() => break,
                '\\' => self.chars.next()?,
                other => other,
            };
            if chars.is_empty() && self.chars.next_if_eq(&'-').is_some() {
                // A range stands alone.
                let high = self.chars.next()?;
                if self.chars.next()? != ']' || high < c {
                    return None;
                }
                chars.push((c, high));
                break;
            }
            chars.push((c, c));
        }
        self.steps.push(Step::Class { chars, negated });
        Some(())
    }

    fn alternatives(&mut self, depth: usize) -> Option<()> {
        let fork = self.steps.len();
        self.steps.push(Step::Fork(Vec::new()));
        let mut branches = Vec::new();
        let mut jumps = Vec::new();
        loop {
            branches.push(self.steps.len());
            self.sequence(depth + 1)?;
            jumps.push(self.steps.len());
            self.steps.push(Step::Jump(0));
            match self.chars.next()? {
                ',' => {}
                _ => break,
            }
        }
        let end = self.steps.len();
        for jump in jumps {
            self.steps[jump] = Step::Jump(end);
        }
        self.steps[fork] = Step::Fork(branches);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn patterns_match_as_in_gobwas() {
        for (pattern, text, expected) in [
            ("*", "a.txt", true),
            ("*", "a/b", false),
            ("**", "a/b", true),
            ("files/*.txt", "files/a.txt", true),
            ("files/*.txt", "files/b/a.txt", false),
            ("files/**.txt", "files/b/a.txt", true),
            ("files/**/*.txt", "files/b/a.txt", true),
            ("files/**/*.txt", "files/a.txt", false),
            ("{a,b*}.y?ml", "bcd.yaml", true),
            ("{a,b*}.y?ml", "cd.yaml", false),
            ("{a,{b,c}}d", "cd", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[abc]", "c", true),
            ("[!abc]", "d", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("?", "/", false),
            ("a,b", "a,b", true),
        ] {
            let parsed = Pattern::parse(pattern).expect(pattern);
            assert_eq!(parsed.matches(text), expected, "{pattern} {text}");
        }
        for bad in ["[", "{a", "[a-", "[a-cx]", "\\"] {
            assert!(Pattern::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn many_stars_stay_cheap() {
        let pattern = Pattern::parse(&"*a".repeat(200)).expect("valid");
        assert!(!pattern.matches(&format!("{}b", "a".repeat(5000))));
    }
}
