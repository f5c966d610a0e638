//! The emitter of the libyaml family in block style: where to break lines, which quotes a scalar needs.

use crate::read::Dialect;
use crate::scanner::Style;

/// What the surroundings of a node are.
#[derive(Clone, Copy, Default)]
pub(crate) struct Context {
    pub(crate) mapping: bool,
    pub(crate) simple_key: bool,
}

/// Which styles the characters of a scalar permit.
struct Analysis {
    multiline: bool,
    plain: bool,
    /// Not to be plain in a flow collection.
    flow_indicators: bool,
    single_quoted: bool,
    block: bool,
}

pub(crate) struct Emitter<'o> {
    out: &'o mut String,
    pub(crate) column: usize,
    whitespace: bool,
    indention: bool,
    /// Where a comment below a node stood: a line at the same indentation is set off from it.
    pub(crate) foot_indent: Option<usize>,
    /// Inside of brackets or braces.
    pub(crate) in_flow: bool,
    /// The comment that a scalar takes on its line.
    pub(crate) line_comment: String,
    width: usize,
    dialect: Dialect,
    /// Whether sequences are flush with their key.
    compact: bool,
}

impl<'o> Emitter<'o> {
    /// Writes one document: width 80 for sigs, none for yaml.v3.
    pub(crate) fn new(out: &'o mut String, dialect: Dialect) -> Self {
        let width = match dialect {
            Dialect::Sigs => 80,
            Dialect::V3 => usize::MAX,
        };
        Self {
            out,
            column: 0,
            whitespace: true,
            indention: true,
            foot_indent: None,
            in_flow: false,
            line_comment: String::new(),
            width,
            dialect,
            compact: true,
        }
    }

    /// Indents sequences below their key, as yaml.v3 does unless told otherwise.
    pub(crate) fn with_indented_sequences(mut self) -> Self {
        self.compact = false;
        self
    }

    pub(crate) fn indents_sequences(&self) -> bool {
        !self.compact
    }

    pub(crate) fn finish(&mut self) {
        self.write_indent(-1);
    }

    pub(crate) fn increased(indent: isize, in_flow: bool) -> isize {
        match indent {
            ..0 if in_flow => 2,
            ..0 => 0,
            _ => indent + 2,
        }
    }

    /// The indentation of a block sequence; flush with its key inside a mapping.
    pub(crate) fn sequence_indent(&self, indent: isize, context: Context) -> isize {
        let at_key = match self.dialect {
            Dialect::Sigs => !self.indention,
            Dialect::V3 => self.column == 0 || !self.indention,
        };
        if self.compact && context.mapping && at_key { indent.max(0) } else { Self::increased(indent, false) }
    }

    #[inline]
    fn put(&mut self, character: char) {
        self.out.push(character);
        self.column += 1;
    }

    pub(crate) fn put_break(&mut self) {
        self.out.push('\n');
        self.column = 0;
        if self.dialect == Dialect::V3 {
            self.indention = true;
        }
    }

    /// A break of the text: the separators of Unicode are kept.
    fn put_text_break(&mut self, character: char) {
        if character == '\n' {
            self.put_break();
        } else {
            self.out.push(character);
            self.column = 0;
            if self.dialect == Dialect::V3 {
                self.indention = true;
            }
        }
    }

    pub(crate) fn write_indent(&mut self, indent: isize) {
        let indent = indent.max(0) as usize;
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.put_break();
        }
        if self.foot_indent.take() == Some(indent) {
            self.put_break();
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    pub(crate) fn indicator(
        &mut self,
        text: &str,
        need_whitespace: bool,
        is_whitespace: bool,
        is_indention: bool,
    ) {
        if need_whitespace && !self.whitespace {
            self.put(' ');
        }
        self.out.push_str(text);
        self.column += text.len();
        self.whitespace = is_whitespace;
        self.indention = self.indention && is_indention;
    }

    /// A tag or an anchor before a node, or an alias in its place.
    pub(crate) fn tag(&mut self, tag: &str) {
        if !self.whitespace {
            self.put(' ');
        }
        self.out.push_str(tag);
        self.column += tag.len();
        self.whitespace = false;
        self.indention = false;
    }

    /// Whether a key can stand before a colon without `?`.
    pub(crate) fn is_simple_key(text: &str) -> bool {
        text.len() <= 128 && !text.chars().any(is_break)
    }

    pub(crate) fn scalar(&mut self, text: &str, wanted: Style, context: Context, indent: isize) {
        let analysis = self.analyze(text);
        let mut style = wanted;
        if context.simple_key && analysis.multiline {
            style = Style::Double;
        }
        if style == Style::Plain
            && (!analysis.plain
                || (self.in_flow && (analysis.flow_indicators || text.is_empty()))
                || (text.is_empty() && context.simple_key))
        {
            style = Style::Single;
        }
        if style == Style::Single && !analysis.single_quoted {
            style = Style::Double;
        }
        if matches!(style, Style::Literal | Style::Folded)
            && (!analysis.block || self.in_flow || context.simple_key)
        {
            style = Style::Double;
        }
        let indent = Self::increased(indent, true);
        let breaks = !context.simple_key;
        match style {
            Style::Plain => self.plain(text, breaks, indent),
            Style::Single => self.single_quoted(text, breaks, indent),
            Style::Double => self.double_quoted(text, breaks, indent),
            Style::Literal => self.literal(text, indent),
            Style::Folded => self.folded(text, indent),
        }
    }

    fn analyze(&self, text: &str) -> Analysis {
        let (mut flow_indicators, mut indicators, mut line_breaks, mut special, mut tabs) =
            (false, false, false, false, false);
        let (mut leading, mut trailing_space, mut trailing_break) = (false, false, false);
        let (mut break_space, mut space_break) = (false, false);
        let (mut previous_space, mut previous_break) = (false, false);
        let mut after_white = true;
        if text.starts_with("---") || text.starts_with("...") {
            indicators = true;
        }
        let mut characters = text.char_indices().peekable();
        while let Some((index, character)) = characters.next() {
            let next = characters.peek().map(|(_, next)| *next);
            let before_white = next.is_none_or(|next| {
                matches!(next, ' ' | '\t') || (self.dialect == Dialect::V3 && is_break(next))
            });
            match character {
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
                | '`'
                    if index == 0 =>
                {
                    indicators = true;
                }
                '?' | '-' if index == 0 && before_white => indicators = true,
                ':' if before_white => indicators = true,
                '#' if after_white => indicators = true,
                _ => {}
            }
            flow_indicators |= matches!(character, ',' | '?' | '[' | ']' | '{' | '}' | ':');
            if character == '\t' && self.dialect == Dialect::V3 {
                tabs = true;
            } else if !is_printable(character) {
                special = true;
            }
            if character == ' ' {
                leading |= index == 0;
                trailing_space |= next.is_none();
                break_space |= previous_break;
                (previous_space, previous_break) = (true, false);
            } else if is_break(character) {
                line_breaks = true;
                leading |= index == 0;
                trailing_break |= next.is_none();
                space_break |= previous_space;
                (previous_space, previous_break) = (false, true);
            } else {
                (previous_space, previous_break) = (false, false);
            }
            after_white = matches!(character, ' ' | '\t' | '\0') || is_break(character);
        }
        let outer_white = leading || trailing_space || trailing_break;
        let unprintable = space_break || special;
        Analysis {
            multiline: line_breaks,
            plain: !(outer_white || break_space || unprintable || tabs || line_breaks || indicators),
            flow_indicators,
            single_quoted: !(break_space || unprintable || tabs),
            block: !(trailing_space || unprintable || (text.is_empty() && self.dialect == Dialect::V3)),
        }
    }

    fn plain(&mut self, text: &str, allow_breaks: bool, indent: isize) {
        if (!text.is_empty() || self.dialect == Dialect::Sigs) && !self.whitespace {
            self.put(' ');
        }
        // Nothing to fold: the usual case.
        if !allow_breaks || self.column + text.len() <= self.width {
            self.out.push_str(text);
            self.column += text.chars().count();
        } else {
            let mut spaces = false;
            let mut characters = text.chars().peekable();
            while let Some(character) = characters.next() {
                if character == ' ' {
                    if !spaces && self.column > self.width && characters.peek() != Some(&' ') {
                        self.write_indent(indent);
                    } else {
                        self.put(' ');
                    }
                    spaces = true;
                } else {
                    self.put(character);
                    self.indention = false;
                    spaces = false;
                }
            }
        }
        if !text.is_empty() || self.dialect == Dialect::Sigs {
            self.whitespace = false;
        }
        self.indention = false;
    }

    fn single_quoted(&mut self, text: &str, allow_breaks: bool, indent: isize) {
        self.indicator("'", true, false, false);
        let (mut spaces, mut breaks) = (false, false);
        let mut characters = text.char_indices().peekable();
        while let Some((index, character)) = characters.next() {
            let next = characters.peek().map(|(_, next)| *next);
            if character == ' ' {
                if allow_breaks
                    && !spaces
                    && self.column > self.width
                    && index > 0
                    && next.is_some_and(|next| next != ' ')
                {
                    self.write_indent(indent);
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else if is_break(character) {
                if !breaks && character == '\n' {
                    self.put_break();
                }
                self.put_text_break(character);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.write_indent(indent);
                }
                if character == '\'' {
                    self.put('\'');
                }
                self.put(character);
                self.indention = false;
                (spaces, breaks) = (false, false);
            }
        }
        self.indicator("'", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn double_quoted(&mut self, text: &str, allow_breaks: bool, indent: isize) {
        self.indicator("\"", true, false, false);
        // A slip of the reference: it looks for the byte order mark at the start whatever the position.
        let escape_all = text.starts_with('\u{FEFF}');
        let mut spaces = false;
        let mut characters = text.char_indices().peekable();
        while let Some((index, character)) = characters.next() {
            let next = characters.peek().map(|(_, next)| *next);
            if escape_all
                || !is_printable(character)
                || is_break(character)
                || matches!(character, '"' | '\\')
            {
                self.escape(character);
                spaces = false;
            } else if character == ' ' {
                if allow_breaks && !spaces && self.column > self.width && index > 0 && next.is_some() {
                    self.write_indent(indent);
                    if next == Some(' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else {
                self.put(character);
                spaces = false;
            }
        }
        self.indicator("\"", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn escape(&mut self, character: char) {
        self.put('\\');
        let short = match character {
            '\0' => '0',
            '\x07' => 'a',
            '\x08' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\x0B' => 'v',
            '\x0C' => 'f',
            '\r' => 'r',
            '\x1B' => 'e',
            '"' => '"',
            '\\' => '\\',
            '\u{85}' => 'N',
            '\u{A0}' => '_',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            _ => {
                let code = u32::from(character);
                let text = match code {
                    0..=0xFF => format!("x{code:02X}"),
                    0x100..=0xFFFF => format!("u{code:04X}"),
                    _ => format!("U{code:08X}"),
                };
                self.out.push_str(&text);
                self.column += text.len();
                return;
            }
        };
        self.put(short);
    }

    fn end_block_header(&mut self, indent: isize) {
        if self.line_comment.is_empty() {
            self.put_break();
        } else {
            let comment = std::mem::take(&mut self.line_comment);
            self.comment_beside(&comment, indent);
        }
    }

    /// A comment behind something.
    pub(crate) fn comment_beside(&mut self, comment: &str, indent: isize) {
        if !self.whitespace {
            self.put(' ');
        }
        self.comment(comment, indent);
    }

    /// A comment, here and on following lines; a break ends it.
    pub(crate) fn comment(&mut self, comment: &str, indent: isize) {
        let (mut breaks, mut pound) = (false, false);
        for character in comment.chars() {
            if is_break(character) {
                self.put_text_break(character);
                (breaks, pound) = (true, false);
                continue;
            }
            if breaks {
                self.write_indent(indent);
            }
            if !pound {
                if character != '#' {
                    self.put('#');
                    self.put(' ');
                }
                pound = true;
            }
            self.put(character);
            self.indention = false;
            breaks = false;
        }
        if !breaks {
            self.put_break();
        }
        self.whitespace = true;
    }

    /// The indicator of a block, with the hints for its indentation and its end.
    fn block_header(&mut self, indicator: &str, text: &str) {
        self.indicator(indicator, true, false, false);
        if text.starts_with(|first| first == ' ' || is_break(first)) {
            self.indicator("2", false, false, false);
        }
        let mut ends = text.chars().rev();
        match ends.next() {
            Some(last) if is_break(last) => {
                if ends.next().is_none_or(is_break) {
                    self.indicator("+", false, false, false);
                }
            }
            _ => self.indicator("-", false, false, false),
        }
    }

    /// A folded block as the reference writes it: reading it back may give another text, because it doubles the
    /// break after a line even where an empty line follows.
    fn folded(&mut self, text: &str, indent: isize) {
        self.block_header(">", text);
        self.end_block_header(indent);
        self.indention = true;
        self.whitespace = true;
        let after_breaks = text.trim_start_matches(is_break).chars().next();
        let may_double = after_breaks.is_some_and(|next| !matches!(next, ' ' | '\t' | '\0'));
        let (mut breaks, mut leading_spaces) = (true, true);
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            if is_break(character) {
                if !breaks && !leading_spaces && character == '\n' && may_double {
                    self.put_break();
                }
                self.put_text_break(character);
                self.indention = true;
                breaks = true;
                continue;
            }
            if breaks {
                self.write_indent(indent);
                leading_spaces = matches!(character, ' ' | '\t');
            }
            if !breaks && character == ' ' && characters.peek() != Some(&' ') && self.column > self.width {
                self.write_indent(indent);
            } else {
                self.put(character);
            }
            self.indention = false;
            breaks = false;
        }
    }

    fn literal(&mut self, text: &str, indent: isize) {
        self.block_header("|", text);
        self.end_block_header(indent);
        self.indention = true;
        self.whitespace = true;
        let mut breaks = true;
        for character in text.chars() {
            if is_break(character) {
                self.put_text_break(character);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.write_indent(indent);
                }
                self.put(character);
                self.indention = false;
                breaks = false;
            }
        }
    }
}

pub(crate) fn is_break(character: char) -> bool {
    matches!(character, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_printable(character: char) -> bool {
    matches!(character, '\n' | ' '..='~' | '\u{A0}'..='\u{FFFD}') && character != '\u{FEFF}'
}
