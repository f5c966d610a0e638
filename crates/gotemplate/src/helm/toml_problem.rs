//! What is wrong with a document that is no TOML, in the words of the reader that helm has.

mod number;
mod text;

use toml::de::Error;

/// What is wrong with a document that was refused; none when the words are not known.
pub(super) fn problem(text: &str, refused: &Error) -> Option<String> {
    let mut reader = Reader {
        text: text.chars().collect(),
        at: 0,
        line: 1,
        ended: false,
        context: Vec::new(),
        keys: Vec::new(),
    };
    if let Err(problem) = reader.document() {
        return Some(problem);
    }
    if !refused.message().contains("duplicate key") {
        return None;
    }
    let at = text.get(..refused.span()?.start)?.chars().count();
    let key = reader.keys.iter().rfind(|key| key.from <= at)?;
    let name = key.path.join(".");
    let problem = match key.kind {
        Kind::List => format!("Key '{name}' was already created and cannot be used as an array."),
        Kind::Pair | Kind::Table => format!("Key '{name}' has already been defined."),
    };
    let last = if key.kind == Kind::Pair { &key.path[..] } else { &key.path[..key.path.len() - 1] };
    Some(located(key.line, &last.join("."), &problem))
}

fn located(line: usize, key: &str, problem: &str) -> String {
    if key.is_empty() {
        return format!("toml: line {line}: {problem}");
    }
    format!("toml: line {line} (last key {}): {problem}", quoted(key))
}

fn quoted(text: &str) -> String {
    crate::fmt::quoted(text.as_bytes())
}

/// A character, or the end, as `%q` shows it.
fn shown(c: Option<char>) -> String {
    match c {
        None => r"'\x00'".to_owned(),
        Some('\'') => r"'\''".to_owned(),
        Some('"') => "'\"'".to_owned(),
        Some(c) => {
            let quoted = quoted(c.encode_utf8(&mut [0; 4]));
            format!("'{}'", &quoted[1..quoted.len() - 1])
        }
    }
}

type Read<T = ()> = Result<T, String>;

#[derive(PartialEq)]
enum Kind {
    Pair,
    Table,
    List,
}

/// A key or the name of a table.
struct Key {
    from: usize,
    line: usize,
    path: Vec<String>,
    kind: Kind,
}

struct Reader {
    text: Vec<char>,
    at: usize,
    line: usize,
    /// The last step found the end.
    ended: bool,
    /// The table and the key that are being read.
    context: Vec<String>,
    keys: Vec<Key>,
}

const DEEPEST: usize = 100;

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

impl Reader {
    fn next(&mut self) -> Read<Option<char>> {
        let Some(c) = self.text.get(self.at).copied() else {
            self.ended = true;
            return Ok(None);
        };
        let alone = c == '\r' && self.text.get(self.at + 1) != Some(&'\n');
        if alone || c.is_ascii_control() && !matches!(c, '\t' | '\n' | '\r') {
            let problem = format!("TOML files cannot contain control characters: '0x{:02x}'", u32::from(c));
            return self.fail(&problem);
        }
        if c == '\n' {
            self.line += 1;
        }
        self.at += 1;
        Ok(Some(c))
    }

    fn back(&mut self) {
        if self.ended {
            self.ended = false;
            return;
        }
        self.at -= 1;
        if self.text[self.at] == '\n' {
            self.line -= 1;
        }
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn skip(&mut self, skipped: impl Fn(char) -> bool) {
        while let Some(c) = self.peek().filter(|c| skipped(*c)) {
            self.line += usize::from(c == '\n');
            self.at += 1;
        }
    }

    fn since(&self, start: usize) -> String {
        self.text[start..self.at].iter().collect()
    }

    fn fail<T>(&self, problem: &str) -> Read<T> {
        let newline = self.at > 0 && self.text[self.at - 1] == '\n';
        let line = self.line - usize::from(self.ended && newline);
        Err(located(line, &self.context.join("."), problem))
    }

    /// A problem with a line's end tells the line that ends.
    fn fail_before<T>(&self, problem: &str) -> Read<T> {
        Err(located(self.line - 1, &self.context.join("."), problem))
    }

    fn document(&mut self) -> Read {
        loop {
            self.skip(|c| is_space(c) || c == '\n' || c == '\r');
            match self.peek() {
                None => return Ok(()),
                Some('#') => {
                    self.comment()?;
                    continue;
                }
                Some('[') => self.table()?,
                Some(_) => {
                    self.pair(self.context.len(), 0)?;
                }
            }
            self.skip(is_space);
            match self.next()? {
                None => return Ok(()),
                Some('\n' | '\r') => {}
                Some('#') => self.comment()?,
                other => {
                    return self.fail(&format!(
                        "expected a top-level item to end with a newline, comment, or EOF, but got {} instead",
                        shown(other)
                    ));
                }
            }
        }
    }

    fn comment(&mut self) -> Read {
        while self.peek().is_some_and(|c| c != '\n') {
            self.next()?;
        }
        Ok(())
    }

    fn table(&mut self) -> Read {
        let (from, line) = (self.at, self.line);
        self.next()?;
        let is_list = self.peek() == Some('[');
        if is_list {
            self.next()?;
        }
        let mut path = Vec::new();
        loop {
            self.skip(is_space);
            match self.peek() {
                None | Some(']') => {
                    return self.fail("unexpected end of table name (table names cannot be empty)");
                }
                Some('.') => {
                    return self.fail("unexpected table separator (table names cannot be empty)");
                }
                Some(_) => path.push(self.name()?),
            }
            self.skip(is_space);
            match self.next()? {
                Some('.') => {}
                Some(']') => break,
                other => {
                    let got = shown(other);
                    return self
                        .fail(&format!("expected '.' or ']' to end table name, but got {got} instead"));
                }
            }
        }
        if is_list {
            match self.next()? {
                Some(']') => {}
                other => {
                    let got = shown(other);
                    return self.fail(&format!(
                        "expected end of table array name delimiter ']', but got {got} instead"
                    ));
                }
            }
        }
        self.keys.push(Key {
            from,
            line,
            path: path.clone(),
            kind: if is_list { Kind::List } else { Kind::Table },
        });
        self.context = path;
        Ok(())
    }

    fn name(&mut self) -> Read<String> {
        let start = self.at;
        match self.peek() {
            Some(quote @ ('"' | '\'')) => {
                self.next()?;
                self.line_text(quote)?;
                Ok(self.text[start + 1..self.at - 1].iter().collect())
            }
            _ => {
                self.skip(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
                Ok(self.since(start))
            }
        }
    }

    /// Gives the last part of the key. What of the context lies behind `base` is the key before.
    fn pair(&mut self, base: usize, depth: usize) -> Read<String> {
        self.skip(is_space);
        let from = self.at;
        match self.peek() {
            None | Some('=') => return self.fail("unexpected '=': key name appears blank"),
            Some('.') => return self.fail("unexpected '.': keys cannot start with a '.'"),
            Some(_) => {}
        }
        let mut path = Vec::new();
        loop {
            self.skip(is_space);
            match self.peek() {
                None | Some('=') => return self.fail("unexpected '='"),
                Some('.') => return self.fail("unexpected '.'"),
                Some(_) => path.push(self.name()?),
            }
            self.skip(is_space);
            match self.next()? {
                None => return self.fail("unexpected EOF; expected key separator '='"),
                Some('.') => {}
                Some('=') => break,
                other => {
                    let problem = format!("expected '.' or '=', but got {} instead", shown(other));
                    return if other == Some('\n') {
                        self.fail_before(&problem)
                    } else {
                        self.fail(&problem)
                    };
                }
            }
        }
        let last = path.last().cloned().unwrap_or_default();
        self.context.truncate(base);
        self.context.extend(path);
        self.keys.push(Key { from, line: self.line, path: self.context.clone(), kind: Kind::Pair });
        self.value(depth)?;
        self.context.truncate(base);
        Ok(last)
    }

    fn value(&mut self, depth: usize) -> Read {
        if depth > DEEPEST {
            return self.fail("nested too deeply");
        }
        self.skip(is_space);
        let start = self.at;
        let first = self.next()?;
        match first {
            None => self.fail("unexpected EOF; expected value"),
            Some('0'..='9') => self.number(start),
            Some('[') => self.list(depth),
            Some('{') => self.inline_table(depth),
            Some(quote @ ('"' | '\'')) => {
                if self.peek() == Some(quote) && self.text.get(self.at + 1) == Some(&quote) {
                    self.at += 2;
                    self.long_text(quote)
                } else {
                    self.line_text(quote)
                }
            }
            Some('.') => self.fail("floats must start with a digit, not '.'"),
            Some('-' | '+') => self.signed(start),
            Some('\n') => self.fail_before(r"expected value but found '\n' instead"),
            Some(c) if c.is_alphabetic() => {
                let special: String = self.text[start..self.text.len().min(start + 3)].iter().collect();
                if special == "inf" || special == "nan" {
                    self.at = start + 3;
                    return Ok(());
                }
                // As there: what was tried for `inf` and `nan` stays read.
                let tried = match special.get(..2) {
                    Some("in" | "ia" | "nn" | "na") => 1,
                    _ => 0,
                };
                self.at = start + tried;
                let word = self.at;
                self.skip(char::is_alphabetic);
                match self.since(word).as_str() {
                    "true" | "false" => Ok(()),
                    word => self.fail(&format!("expected value but found {} instead", quoted(word))),
                }
            }
            other => self.fail(&format!("expected value but found {} instead", shown(other))),
        }
    }

    fn list(&mut self, depth: usize) -> Read {
        let blank = |c: char| is_space(c) || c == '\n' || c == '\r';
        loop {
            self.skip(blank);
            match self.next()? {
                Some('#') => {
                    self.comment()?;
                    continue;
                }
                Some(',') => return self.fail("unexpected comma"),
                Some(']') => return Ok(()),
                _ => self.back(),
            }
            self.value(depth + 1)?;
            loop {
                self.skip(blank);
                match self.next()? {
                    Some('#') => self.comment()?,
                    Some(',') => break,
                    Some(']') => return Ok(()),
                    other => {
                        let got = other.map_or("end of file".to_owned(), |c| format!("'{c}'"));
                        let wanted = "expected a comma (',') or array terminator (']')";
                        return self.fail(&format!("{wanted}, but got {got}"));
                    }
                }
            }
        }
    }

    fn inline_table(&mut self, depth: usize) -> Read {
        let blank = |c: char| is_space(c) || c == '\n' || c == '\r';
        let outer = self.context.len();
        loop {
            self.skip(blank);
            match self.next()? {
                Some('#') => {
                    self.comment()?;
                    continue;
                }
                Some(',') => return self.fail("unexpected comma"),
                Some('}') => {
                    self.context.truncate(outer);
                    return Ok(());
                }
                _ => self.back(),
            }
            let key = self.pair(outer, depth + 1)?;
            // The key stays the last one until the next begins.
            self.context.push(key);
            loop {
                self.skip(blank);
                match self.next()? {
                    Some('#') => self.comment()?,
                    Some(',') => break,
                    Some('}') => {
                        self.context.truncate(outer);
                        return Ok(());
                    }
                    other => {
                        let got = other.map_or("end of file".to_owned(), |c| format!("'{c}'"));
                        let wanted = "expected a comma or an inline table terminator '}'";
                        return self.fail(&format!("{wanted}, but got {got} instead"));
                    }
                }
            }
        }
    }
}
