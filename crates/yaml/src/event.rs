//! Tokens to events: the structure of documents, with marks. Comments are the gaps between events.

use std::borrow::Cow;

use crate::error::{Error, Origin, Problem};
use crate::read::{Dialect, check_characters};
use crate::scanner::{Comments, Mark, Scanner, Style, Token, TokenKind};

/// More of them in a document are refused: each is looked at for each tag.
const MOST_TAG_DIRECTIVES: usize = 64;

/// One step through a stream of documents.
#[derive(Debug)]
pub struct Event<'a> {
    /// What it is.
    pub kind: EventKind<'a>,
    /// Where it starts.
    pub start: Mark,
    /// Where it ends.
    pub end: Mark,
    /// What belongs to it of the comments, if they are kept.
    pub comments: Option<Box<Comments>>,
}

/// Anchor and tag of a node.
#[derive(Debug, Default)]
pub struct Properties<'a> {
    /// The name after `&`.
    pub anchor: Option<&'a str>,
    /// The tag in its long form; `!` alone stays.
    pub tag: Option<Cow<'a, str>>,
}

/// What an event tells.
#[derive(Debug)]
pub enum EventKind<'a> {
    /// The stream begins.
    StreamStart,
    /// The stream is over.
    StreamEnd,
    /// A document begins, perhaps without `---`.
    DocumentStart {
        /// Whether `---` or a directive opened it.
        explicit: bool,
    },
    /// A document is over.
    DocumentEnd {
        /// Whether `...` closed it.
        explicit: bool,
    },
    /// A reference to an anchor.
    Alias(&'a str),
    /// A scalar.
    Scalar {
        /// Anchor and tag.
        properties: Properties<'a>,
        /// The text, unescaped and unfolded.
        value: Cow<'a, str>,
        /// How it was written.
        style: Style,
    },
    /// A sequence begins.
    SequenceStart {
        /// Anchor and tag.
        properties: Properties<'a>,
        /// Whether it is in flow style (`[]`).
        flow: bool,
    },
    /// A sequence is over.
    SequenceEnd,
    /// A mapping begins.
    MappingStart {
        /// Anchor and tag.
        properties: Properties<'a>,
        /// Whether it is in flow style (`{}`).
        flow: bool,
    },
    /// A mapping is over.
    MappingEnd,
}

#[derive(Clone, Copy)]
enum State {
    StreamStart,
    ImplicitDocumentStart,
    DocumentStart,
    DocumentContent,
    DocumentEnd,
    BlockNode,
    BlockSequence { first: bool },
    IndentlessSequence,
    BlockMappingKey { first: bool },
    BlockMappingValue,
    FlowSequence { first: bool },
    FlowSequenceMappingKey,
    FlowSequenceMappingValue,
    FlowSequenceMappingEnd,
    FlowMappingKey { first: bool },
    FlowMappingValue { empty: bool },
    End,
}

/// Reads events one by one. After an error or the end of the stream there are no more.
pub struct Events<'a> {
    scanner: Scanner<'a>,
    dialect: Dialect,
    state: State,
    states: Vec<State>,
    marks: Vec<Mark>,
    tag_directives: Vec<(&'a str, Cow<'a, str>)>,
    /// The text, until it is known to be free of characters that YAML forbids.
    unchecked: Option<&'a str>,
}

impl<'a> Events<'a> {
    /// Events of `text`. If it has a character that YAML forbids, there are none but an error.
    pub fn new(text: &'a str, dialect: Dialect) -> Self {
        Self { unchecked: Some(text), ..Self::of_decoded(text, dialect) }
    }

    /// Events of what [`crate::read::decode`] has looked through.
    pub(crate) fn of_decoded(text: &'a str, dialect: Dialect) -> Self {
        Self {
            scanner: Scanner::new(text, dialect),
            dialect,
            state: State::StreamStart,
            states: Vec::new(),
            marks: Vec::new(),
            tag_directives: Vec::new(),
            unchecked: None,
        }
    }

    /// Hands out comments with the events, as yaml.v3 associates them.
    #[must_use]
    pub fn with_comments(mut self) -> Self {
        self.scanner.keep_comments();
        self
    }

    /// The next event; `None` after the end of the stream.
    pub fn next_event(&mut self) -> Result<Option<Event<'a>>, Error> {
        if matches!(self.state, State::End) {
            return Ok(None);
        }
        match self.step() {
            Ok(event) => Ok(Some(event)),
            Err(problem) => {
                self.state = State::End;
                Err(problem.worded(self.dialect))
            }
        }
    }

    fn step(&mut self) -> Result<Event<'a>, Problem> {
        match self.state {
            State::StreamStart => {
                if let Some(text) = self.unchecked.take() {
                    check_characters(text)?;
                }
                let token = self.scanner.next()?;
                self.state = State::ImplicitDocumentStart;
                Ok(Event { kind: EventKind::StreamStart, start: token.start, end: token.end, comments: None })
            }
            State::ImplicitDocumentStart => self.document_start(true),
            State::DocumentStart => self.document_start(false),
            State::DocumentContent => self.document_content(),
            State::DocumentEnd => self.document_end(),
            State::BlockNode => self.node(true, false),
            State::BlockSequence { first } => self.block_sequence(first),
            State::IndentlessSequence => self.indentless_sequence(),
            State::BlockMappingKey { first } => self.block_mapping_key(first),
            State::BlockMappingValue => self.block_mapping_value(),
            State::FlowSequence { first } => self.flow_sequence(first),
            State::FlowSequenceMappingKey => self.flow_sequence_mapping_key(),
            State::FlowSequenceMappingValue => self.flow_sequence_mapping_value(),
            State::FlowSequenceMappingEnd => {
                let mark = self.scanner.peek()?.start;
                self.state = State::FlowSequence { first: false };
                Ok(Event { kind: EventKind::MappingEnd, start: mark, end: mark, comments: None })
            }
            State::FlowMappingKey { first } => self.flow_mapping_key(first),
            State::FlowMappingValue { empty } => self.flow_mapping_value(empty),
            State::End => Err(Problem::reader("attempted to go past the end of stream")),
        }
    }

    fn pop_state(&mut self) {
        self.state = self.states.pop().unwrap_or(State::End);
    }

    fn problem(&mut self, context: Option<Mark>, problem: &'static str) -> Problem {
        let mark = self.scanner.peek().ok().map(|token| token.start);
        Problem { origin: Origin::Parser, problem: problem.into(), context, mark }
    }

    fn document_start(&mut self, implicit: bool) -> Result<Event<'a>, Problem> {
        if !implicit {
            while matches!(self.scanner.peek()?.kind, TokenKind::DocumentEnd) {
                self.scanner.next()?;
            }
        }
        let token = self.scanner.peek()?;
        let (start, end) = (token.start, token.end);
        match token.kind {
            TokenKind::StreamEnd => {
                self.state = State::End;
                let token = self.scanner.next()?;
                Ok(Event { kind: EventKind::StreamEnd, start: token.start, end: token.end, comments: None })
            }
            TokenKind::VersionDirective { .. }
            | TokenKind::TagDirective { .. }
            | TokenKind::DocumentStart => self.explicit_document_start(),
            _ if implicit => {
                self.process_directives()?;
                self.states.push(State::DocumentEnd);
                self.state = State::BlockNode;
                let comments = self.scanner.take_document_head();
                Ok(Event { kind: EventKind::DocumentStart { explicit: false }, start, end, comments })
            }
            _ => self.explicit_document_start(),
        }
    }

    fn explicit_document_start(&mut self) -> Result<Event<'a>, Problem> {
        let start = self.scanner.peek()?.start;
        self.process_directives()?;
        if !matches!(self.scanner.peek()?.kind, TokenKind::DocumentStart) {
            return Err(self.problem(None, "did not find expected <document start>"));
        }
        self.states.push(State::DocumentEnd);
        self.state = State::DocumentContent;
        let token = self.scanner.next()?;
        Ok(Event { kind: EventKind::DocumentStart { explicit: true }, start, end: token.end, comments: None })
    }

    fn document_content(&mut self) -> Result<Event<'a>, Problem> {
        let token = self.scanner.peek()?;
        let mark = token.start;
        match token.kind {
            TokenKind::VersionDirective { .. }
            | TokenKind::TagDirective { .. }
            | TokenKind::DocumentStart
            | TokenKind::DocumentEnd
            | TokenKind::StreamEnd => {
                self.pop_state();
                Ok(empty_scalar(mark))
            }
            _ => self.node(true, false),
        }
    }

    fn document_end(&mut self) -> Result<Event<'a>, Problem> {
        let token = self.scanner.peek()?;
        let start = token.start;
        let mut end = token.start;
        let mut explicit = false;
        if matches!(token.kind, TokenKind::DocumentEnd) {
            end = token.end;
            explicit = true;
            self.scanner.next()?;
        }
        self.tag_directives.clear();
        self.state = State::DocumentStart;
        let mut comments = self.scanner.take_comments();
        if let Some(comments) = &mut comments
            && comments.foot.is_empty()
        {
            comments.foot = std::mem::take(&mut comments.head);
        }
        Ok(Event { kind: EventKind::DocumentEnd { explicit }, start, end, comments })
    }

    fn process_directives(&mut self) -> Result<(), Problem> {
        let mut seen_version = false;
        loop {
            match &self.scanner.peek()?.kind {
                TokenKind::VersionDirective { major, minor } => {
                    let supported = (*major, *minor) == (1, 1);
                    if seen_version {
                        return Err(self.problem(None, "found duplicate %YAML directive"));
                    }
                    if !supported {
                        return Err(self.problem(None, "found incompatible YAML document"));
                    }
                    seen_version = true;
                    self.scanner.next()?;
                }
                TokenKind::TagDirective { handle, .. } => {
                    let handle = *handle;
                    if self.tag_directives.iter().any(|(known, _)| *known == handle) {
                        return Err(self.problem(None, "found duplicate %TAG directive"));
                    }
                    if self.tag_directives.len() >= MOST_TAG_DIRECTIVES {
                        return Err(self.problem(None, "found too many %TAG directives"));
                    }
                    if let TokenKind::TagDirective { handle, prefix } = self.scanner.next()?.kind {
                        self.tag_directives.push((handle, prefix));
                    }
                }
                _ => break,
            }
        }
        for (handle, prefix) in [("!", "!"), ("!!", "tag:yaml.org,2002:")] {
            if !self.tag_directives.iter().any(|(known, _)| *known == handle) {
                self.tag_directives.push((handle, Cow::Borrowed(prefix)));
            }
        }
        Ok(())
    }

    fn resolve_tag(
        &mut self,
        handle: &str,
        suffix: Cow<'a, str>,
        start: Mark,
        mark: Mark,
    ) -> Result<Cow<'a, str>, Problem> {
        if handle.is_empty() {
            return Ok(suffix);
        }
        for (known, prefix) in &self.tag_directives {
            if *known == handle {
                return Ok(Cow::Owned(format!("{prefix}{suffix}")));
            }
        }
        Err(Problem {
            origin: Origin::Parser,
            problem: "found undefined tag handle".into(),
            context: Some(start),
            mark: Some(mark),
        })
    }

    fn node(&mut self, block: bool, indentless: bool) -> Result<Event<'a>, Problem> {
        let token = self.scanner.peek()?;
        let mut start = token.start;
        let mut end = token.start;
        let mut properties = Properties::default();
        let mut found_properties = false;
        let mut has_anchor = false;
        let mut has_tag = false;
        loop {
            match self.scanner.peek()?.kind {
                TokenKind::Alias(_) if !found_properties => {
                    self.pop_state();
                    let Token { kind: TokenKind::Alias(name), start, end } = self.scanner.next()? else {
                        return Err(Problem::reader("attempted to go past the end of stream"));
                    };
                    let comments = self.scanner.take_comments();
                    return Ok(Event { kind: EventKind::Alias(name), start, end, comments });
                }
                TokenKind::Anchor(_) if !has_anchor => {
                    has_anchor = true;
                    let token = self.scanner.next()?;
                    if !found_properties {
                        start = token.start;
                    }
                    end = token.end;
                    if let TokenKind::Anchor(name) = token.kind {
                        properties.anchor = Some(name);
                    }
                }
                TokenKind::Tag { .. } if !has_tag => {
                    has_tag = true;
                    let token = self.scanner.next()?;
                    if !found_properties {
                        start = token.start;
                    }
                    end = token.end;
                    if let TokenKind::Tag { handle, suffix } = token.kind {
                        // Checked below in the reference; nothing in between can fail.
                        let tag = self.resolve_tag(handle, suffix, start, token.start)?;
                        properties.tag = Some(tag).filter(|tag| !tag.is_empty());
                    }
                }
                _ => break,
            }
            found_properties = true;
        }
        let token = self.scanner.peek()?;
        if found_properties {
            // A node's own mark is that of its properties.
        } else {
            start = token.start;
        }
        match token.kind {
            TokenKind::BlockEntry if indentless => {
                let end = token.end;
                self.state = State::IndentlessSequence;
                Ok(Event {
                    kind: EventKind::SequenceStart { properties, flow: false },
                    start,
                    end,
                    comments: None,
                })
            }
            TokenKind::Scalar { .. } => {
                self.pop_state();
                let token = self.scanner.next()?;
                let TokenKind::Scalar { value, style } = token.kind else {
                    return Err(Problem::reader("attempted to go past the end of stream"));
                };
                let kind = EventKind::Scalar { properties, value, style };
                let comments = self.scanner.take_comments();
                Ok(Event { kind, start, end: token.end, comments })
            }
            TokenKind::FlowSequenceStart => {
                let end = token.end;
                self.state = State::FlowSequence { first: true };
                let comments = self.scanner.take_comments();
                Ok(Event { kind: EventKind::SequenceStart { properties, flow: true }, start, end, comments })
            }
            TokenKind::FlowMappingStart => {
                let end = token.end;
                self.state = State::FlowMappingKey { first: true };
                let comments = self.scanner.take_comments();
                Ok(Event { kind: EventKind::MappingStart { properties, flow: true }, start, end, comments })
            }
            TokenKind::BlockSequenceStart if block => {
                let end = token.end;
                self.state = State::BlockSequence { first: true };
                let comments = self.scanner.take_stem();
                Ok(Event { kind: EventKind::SequenceStart { properties, flow: false }, start, end, comments })
            }
            TokenKind::BlockMappingStart if block => {
                let end = token.end;
                self.state = State::BlockMappingKey { first: true };
                let comments = self.scanner.take_stem();
                Ok(Event { kind: EventKind::MappingStart { properties, flow: false }, start, end, comments })
            }
            _ if properties.anchor.is_some() || properties.tag.is_some() => {
                self.pop_state();
                let kind = EventKind::Scalar { properties, value: Cow::Borrowed(""), style: Style::Plain };
                Ok(Event { kind, start, end, comments: None })
            }
            _ => Err(self.problem(Some(start), "did not find expected node content")),
        }
    }

    fn first_mark(&mut self, first: bool) -> Result<(), Problem> {
        if first {
            let token = self.scanner.next()?;
            self.marks.push(token.start);
        }
        Ok(())
    }

    fn end_collection(&mut self, kind: EventKind<'a>) -> Result<Event<'a>, Problem> {
        self.pop_state();
        self.marks.pop();
        let token = self.scanner.next()?;
        // The end of a block sequence leaves its comments to what follows.
        let leaves = matches!(kind, EventKind::SequenceEnd) && matches!(token.kind, TokenKind::BlockEnd);
        let comments = if leaves { None } else { self.scanner.take_comments() };
        Ok(Event { kind, start: token.start, end: token.end, comments })
    }

    fn block_sequence(&mut self, first: bool) -> Result<Event<'a>, Problem> {
        self.first_mark(first)?;
        let token = self.scanner.peek()?;
        match token.kind {
            TokenKind::BlockEntry => {
                let mark = token.end;
                let head_length = self.scanner.head_length();
                self.scanner.next()?;
                self.scanner.split_stem(head_length);
                self.state = State::BlockSequence { first: false };
                if matches!(self.scanner.peek()?.kind, TokenKind::BlockEntry | TokenKind::BlockEnd) {
                    return Ok(empty_scalar(mark));
                }
                self.states.push(self.state);
                self.node(true, false)
            }
            TokenKind::BlockEnd => self.end_collection(EventKind::SequenceEnd),
            _ => {
                let context = self.marks.pop();
                Err(self.problem(context, "did not find expected '-' indicator"))
            }
        }
    }

    fn indentless_sequence(&mut self) -> Result<Event<'a>, Problem> {
        let token = self.scanner.peek()?;
        if !matches!(token.kind, TokenKind::BlockEntry) {
            let mark = token.start;
            self.pop_state();
            return Ok(Event { kind: EventKind::SequenceEnd, start: mark, end: mark, comments: None });
        }
        let mark = token.end;
        let head_length = self.scanner.head_length();
        self.scanner.next()?;
        self.scanner.split_stem(head_length);
        self.state = State::IndentlessSequence;
        match self.scanner.peek()?.kind {
            TokenKind::BlockEntry | TokenKind::Key | TokenKind::Value | TokenKind::BlockEnd => {
                Ok(empty_scalar(mark))
            }
            _ => {
                self.states.push(self.state);
                self.node(true, false)
            }
        }
    }

    fn block_mapping_key(&mut self, first: bool) -> Result<Event<'a>, Problem> {
        self.first_mark(first)?;
        let token = self.scanner.peek()?;
        match token.kind {
            TokenKind::Key => {
                let mark = token.end;
                self.scanner.next()?;
                self.state = State::BlockMappingValue;
                self.block_mapping_node(mark)
            }
            TokenKind::BlockEnd => self.end_collection(EventKind::MappingEnd),
            _ => {
                let context = self.marks.pop();
                Err(self.problem(context, "did not find expected key"))
            }
        }
    }

    fn block_mapping_value(&mut self) -> Result<Event<'a>, Problem> {
        let token = self.scanner.peek()?;
        self.state = State::BlockMappingKey { first: false };
        if !matches!(token.kind, TokenKind::Value) {
            return Ok(empty_scalar(token.start));
        }
        let mark = token.end;
        self.scanner.next()?;
        self.block_mapping_node(mark)
    }

    /// A key or value of a block mapping, `self.state` being what comes after it.
    fn block_mapping_node(&mut self, mark: Mark) -> Result<Event<'a>, Problem> {
        match self.scanner.peek()?.kind {
            TokenKind::Key | TokenKind::Value | TokenKind::BlockEnd => Ok(empty_scalar(mark)),
            _ => {
                self.states.push(self.state);
                self.node(true, true)
            }
        }
    }

    fn flow_sequence(&mut self, first: bool) -> Result<Event<'a>, Problem> {
        self.first_mark(first)?;
        if !first {
            match self.scanner.peek()?.kind {
                TokenKind::FlowSequenceEnd => {}
                TokenKind::FlowEntry => {
                    self.scanner.next()?;
                }
                _ => {
                    let context = self.marks.pop();
                    return Err(self.problem(context, "did not find expected ',' or ']'"));
                }
            }
        }
        let token = self.scanner.peek()?;
        match token.kind {
            TokenKind::FlowSequenceEnd => self.end_collection(EventKind::SequenceEnd),
            TokenKind::Key => {
                self.state = State::FlowSequenceMappingKey;
                let token = self.scanner.next()?;
                let kind = EventKind::MappingStart { properties: Properties::default(), flow: true };
                Ok(Event { kind, start: token.start, end: token.end, comments: None })
            }
            _ => {
                self.states.push(State::FlowSequence { first: false });
                self.node(false, false)
            }
        }
    }

    fn flow_sequence_mapping_key(&mut self) -> Result<Event<'a>, Problem> {
        let token = self.scanner.peek()?;
        match token.kind {
            TokenKind::Value | TokenKind::FlowEntry | TokenKind::FlowSequenceEnd => {
                let mark = token.end;
                self.scanner.next()?;
                self.state = State::FlowSequenceMappingValue;
                Ok(empty_scalar(mark))
            }
            _ => {
                self.states.push(State::FlowSequenceMappingValue);
                self.node(false, false)
            }
        }
    }

    fn flow_sequence_mapping_value(&mut self) -> Result<Event<'a>, Problem> {
        let token = self.scanner.peek()?;
        let mut mark = token.start;
        if matches!(token.kind, TokenKind::Value) {
            self.scanner.next()?;
            let token = self.scanner.peek()?;
            if !matches!(token.kind, TokenKind::FlowEntry | TokenKind::FlowSequenceEnd) {
                self.states.push(State::FlowSequenceMappingEnd);
                return self.node(false, false);
            }
            mark = token.start;
        }
        self.state = State::FlowSequenceMappingEnd;
        Ok(empty_scalar(mark))
    }

    fn flow_mapping_key(&mut self, first: bool) -> Result<Event<'a>, Problem> {
        self.first_mark(first)?;
        if !first {
            match self.scanner.peek()?.kind {
                TokenKind::FlowMappingEnd => {}
                TokenKind::FlowEntry => {
                    self.scanner.next()?;
                }
                _ => {
                    let context = self.marks.pop();
                    return Err(self.problem(context, "did not find expected ',' or '}'"));
                }
            }
        }
        match self.scanner.peek()?.kind {
            TokenKind::FlowMappingEnd => self.end_collection(EventKind::MappingEnd),
            TokenKind::Key => {
                self.scanner.next()?;
                let token = self.scanner.peek()?;
                self.state = State::FlowMappingValue { empty: false };
                if matches!(token.kind, TokenKind::Value | TokenKind::FlowEntry | TokenKind::FlowMappingEnd) {
                    return Ok(empty_scalar(token.start));
                }
                self.states.push(self.state);
                self.node(false, false)
            }
            _ => {
                self.states.push(State::FlowMappingValue { empty: true });
                self.node(false, false)
            }
        }
    }

    fn flow_mapping_value(&mut self, empty: bool) -> Result<Event<'a>, Problem> {
        let token = self.scanner.peek()?;
        let mut mark = token.start;
        self.state = State::FlowMappingKey { first: false };
        if !empty && matches!(token.kind, TokenKind::Value) {
            self.scanner.next()?;
            let token = self.scanner.peek()?;
            if !matches!(token.kind, TokenKind::FlowEntry | TokenKind::FlowMappingEnd) {
                self.states.push(self.state);
                return self.node(false, false);
            }
            mark = token.start;
        }
        Ok(empty_scalar(mark))
    }
}

fn empty_scalar<'a>(mark: Mark) -> Event<'a> {
    let kind = EventKind::Scalar {
        properties: Properties::default(),
        value: Cow::Borrowed(""),
        style: Style::Plain,
    };
    Event { kind, start: mark, end: mark, comments: None }
}
