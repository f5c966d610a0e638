//! Texts in quotes.

use super::{Read, Reader, quoted};

impl Reader {
    /// From behind the first quote on.
    pub(super) fn line_text(&mut self, quote: char) -> Read {
        loop {
            match self.next()? {
                None if quote == '"' => return self.fail("unexpected EOF; expected '\"'"),
                None => return self.fail("unexpected EOF; expected \"'\""),
                Some('\n' | '\r') => return self.fail_before("strings cannot contain newlines"),
                Some('\\') if quote == '"' => self.escape()?,
                Some(c) if c == quote => return Ok(()),
                Some(_) => {}
            }
        }
    }

    /// From behind three quotes on.
    pub(super) fn long_text(&mut self, quote: char) -> Read {
        loop {
            match self.next()? {
                None if quote == '"' => return self.fail("unexpected EOF; expected '\"\"\"'"),
                None => return self.fail("unexpected EOF; expected \"'''\""),
                Some('\\') if quote == '"' => match self.peek() {
                    Some('\n' | '\r') => {}
                    _ => self.escape()?,
                },
                Some(c) if c == quote && self.text[self.at..].starts_with(&[quote, quote]) => {
                    self.skip(|c| c == quote);
                    return Ok(());
                }
                Some(_) => {}
            }
        }
    }

    fn escape(&mut self) -> Read {
        let start = self.at - 1;
        let (digits, word) = match self.next()? {
            Some('e' | 'b' | 't' | 'n' | 'f' | 'r' | '"' | ' ' | '\t' | '\\') => return Ok(()),
            Some('x') => (2, "two hexadecimal digits after '\\x'"),
            Some('u') => (4, "four hexadecimal digits after '\\u'"),
            Some('U') => (8, "eight hexadecimal digits after '\\U'"),
            other => {
                let c = other.unwrap_or('\0');
                return self.fail(&format!("invalid escape in string '\\{c}'"));
            }
        };
        let from = self.text[..start].iter().rposition(|c| *c == '"').map_or(start, |at| at + 1);
        for _ in 0..digits {
            if !self.next()?.is_some_and(|c| c.is_ascii_hexdigit()) {
                return self.fail(&format!("expected {word}, but got {} instead", quoted(&self.since(from))));
            }
        }
        Ok(())
    }
}
