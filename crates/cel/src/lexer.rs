//! From text to tokens.

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    Identifier(String),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    /// Operators and punctuation.
    Symbol(&'static str),
    End,
}

const SYMBOLS: [&str; 28] = [
    "&&", "||", "==", "!=", "<=", ">=", ".?", "[?", "(", ")", "[", "]", "{", "}", ".", ",", "?", ":", "<",
    ">", "+", "-", "*", "/", "%", "!", "&", "|",
];

/// Tokens with the place of each, in characters from 1.
pub(crate) fn tokens(text: &str) -> Result<Vec<(Token, usize)>, String> {
    let mut lexer = Lexer { rest: text, text, counted: 0, column: 1 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_space();
        lexer.count();
        let at = lexer.column;
        let token = lexer.token()?;
        let end = token == Token::End;
        tokens.push((token, at));
        if end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    rest: &'a str,
    /// How many bytes are counted in `column`.
    counted: usize,
    /// Of the token that is read.
    column: usize,
}

impl<'a> Lexer<'a> {
    fn count(&mut self) {
        let at = self.text.len() - self.rest.len();
        self.column += self.text[self.counted..at].chars().count();
        self.counted = at;
    }

    fn skip_space(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            match self.rest.strip_prefix("//") {
                Some(comment) => self.rest = comment.split_once('\n').map_or("", |(_, rest)| rest),
                None => return,
            }
        }
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|character| !wanted(character)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn token(&mut self) -> Result<Token, String> {
        let Some(first) = self.rest.chars().next() else { return Ok(Token::End) };
        let second = self.rest.chars().nth(1);
        if let Some((prefix, quote_at)) = string_prefix(self.rest) {
            self.rest = &self.rest[quote_at..];
            return self.string(prefix);
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let name = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
            return Ok(Token::Identifier(name.to_owned()));
        }
        if first.is_ascii_digit() || first == '.' && second.is_some_and(|c| c.is_ascii_digit()) {
            return self.number();
        }
        for symbol in SYMBOLS {
            if let Some(rest) = self.rest.strip_prefix(symbol) {
                self.rest = rest;
                return Ok(Token::Symbol(symbol));
            }
        }
        Err(format!("Syntax error at column {}: unexpected {first:?}", self.column))
    }

    fn number(&mut self) -> Result<Token, String> {
        let column = self.column;
        let fault = move |text: &str| format!("Syntax error at column {column}: invalid number {text:?}");
        if let Some(hex) = self.rest.strip_prefix("0x").or_else(|| self.rest.strip_prefix("0X")) {
            self.rest = hex;
            let digits = self.take_while(|c| c.is_ascii_hexdigit());
            if self.take_suffix() {
                return u64::from_str_radix(digits, 16).map(Token::Uint).map_err(|_| fault(digits));
            }
            return i64::from_str_radix(digits, 16).map(Token::Int).map_err(|_| fault(digits));
        }
        let start = self.rest;
        self.take_while(|c| c.is_ascii_digit());
        let mut float = false;
        if self.rest.starts_with('.') && self.rest[1..].starts_with(|c: char| c.is_ascii_digit()) {
            float = true;
            self.rest = &self.rest[1..];
            self.take_while(|c| c.is_ascii_digit());
        }
        if self.rest.starts_with(['e', 'E']) {
            let behind = self.rest[1..].trim_start_matches(['+', '-']);
            if self.rest.len() - behind.len() <= 2 && behind.starts_with(|c: char| c.is_ascii_digit()) {
                float = true;
                self.rest = behind;
                self.take_while(|c| c.is_ascii_digit());
            }
        }
        let text = &start[..start.len() - self.rest.len()];
        if float {
            return text.parse().map(Token::Double).map_err(|_| fault(text));
        }
        if self.take_suffix() {
            return text.parse().map(Token::Uint).map_err(|_| fault(text));
        }
        // The smallest integer is written with a minus in front, and has no positive twin.
        match text.parse::<u64>() {
            Ok(number) if number == 1 << 63 => Ok(Token::Int(i64::MIN)),
            Ok(number) => i64::try_from(number).map(Token::Int).map_err(|_| fault(text)),
            Err(_) => Err(fault(text)),
        }
    }

    fn take_suffix(&mut self) -> bool {
        match self.rest.strip_prefix(['u', 'U']) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// A literal behind its prefix: the rest begins with the quote.
    fn string(&mut self, prefix: Prefix) -> Result<Token, String> {
        let column = self.column;
        let fault = move |what: &str| format!("Syntax error at column {column}: {what}");
        let quote = &self.rest[..1];
        let tripled = quote.repeat(3);
        let quote = if self.rest.starts_with(&tripled) { tripled.as_str() } else { quote };
        self.rest = &self.rest[quote.len()..];
        let mut bytes = Vec::new();
        loop {
            if let Some(rest) = self.rest.strip_prefix(quote) {
                self.rest = rest;
                break;
            }
            let Some(next) = self.rest.chars().next() else { return Err(fault("unterminated string")) };
            self.rest = &self.rest[next.len_utf8()..];
            if next == '\n' && quote.len() == 1 {
                return Err(fault("line break in string"));
            }
            if next == '\\' && !prefix.raw {
                self.escape(prefix.bytes, &mut bytes).ok_or_else(|| fault("invalid escape"))?;
            } else {
                bytes.extend_from_slice(next.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        if prefix.bytes {
            return Ok(Token::Bytes(bytes));
        }
        String::from_utf8(bytes).map(Token::Text).map_err(|_| fault("string is not UTF-8"))
    }

    fn escape(&mut self, as_bytes: bool, out: &mut Vec<u8>) -> Option<()> {
        let kind = self.rest.chars().next()?;
        self.rest = &self.rest[kind.len_utf8()..];
        let plain = match kind {
            'n' => Some(b'\n'),
            't' => Some(b'\t'),
            'r' => Some(b'\r'),
            'a' => Some(7),
            'b' => Some(8),
            'f' => Some(12),
            'v' => Some(11),
            '\\' | '\'' | '"' | '`' | '?' => Some(kind as u8),
            _ => None,
        };
        if let Some(plain) = plain {
            out.push(plain);
            return Some(());
        }
        let (digits, radix) = match kind {
            'x' | 'X' => (2, 16),
            'u' => (4, 16),
            'U' => (8, 16),
            '0'..='3' => {
                let code = format!("{kind}{}", self.rest.get(..2)?);
                self.rest = &self.rest[2..];
                return push_code(u32::from_str_radix(&code, 8).ok()?, as_bytes, out);
            }
            _ => return None,
        };
        let code = u32::from_str_radix(self.rest.get(..digits)?, radix).ok()?;
        self.rest = &self.rest[digits..];
        push_code(code, as_bytes && digits == 2, out)
    }
}

fn push_code(code: u32, as_byte: bool, out: &mut Vec<u8>) -> Option<()> {
    if as_byte {
        out.push(u8::try_from(code).ok()?);
    } else {
        out.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Some(())
}

#[derive(Clone, Copy)]
struct Prefix {
    raw: bool,
    bytes: bool,
}

/// Whether a string literal begins here: its prefix, and where the quote is.
fn string_prefix(text: &str) -> Option<(Prefix, usize)> {
    // Never looked for further on: that would be done for each token, and so take quadratic time.
    let letters = text.bytes().take(3).position(|byte| matches!(byte, b'"' | b'\''))?;
    let (mut raw, mut bytes) = (false, false);
    for letter in text[..letters].chars() {
        match letter {
            'r' | 'R' if !raw => raw = true,
            'b' | 'B' if !bytes => bytes = true,
            _ => return None,
        }
    }
    Some((Prefix { raw, bytes }, letters))
}
