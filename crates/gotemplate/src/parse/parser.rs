//! From tokens to trees.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use smol_str::SmolStr;

use super::known::{Actions, Known, Word};
use super::lexer::Lexer;
use super::token::{Keyword, Kind, Token};
use super::tree::{Action, At, Branch, Call, Expr, Node, Placed, ROOT, Source, Template, Text, Variable};
use super::unquote;
use crate::error::Error;
use crate::func::Functions;
use crate::limits::{here, stack_floor};
use crate::value::{Str, decode};

/// Nested parentheses, and nested control structures: bounds the stack that a tree needs.
pub(super) const DEEPEST: u32 = 1000;

/// Parses a text into the template `name` and those that it defines; the former is the last. Which actions are known is
/// shared by texts that have the same functions.
pub(crate) fn parse(
    name: &str,
    text: Arc<[u8]>,
    left: &str,
    right: &str,
    functions: &Functions,
    actions: &mut Actions,
) -> Result<Vec<Template>, Error> {
    let source = Arc::new(Source { name: name.to_owned(), text: text.clone() });
    if u32::try_from(text.len()).is_err() {
        return Err(Error::parse(format!("template: {name}:1: template is too large")));
    }
    let mut lexer = Lexer::new(&text, left.as_bytes(), right.as_bytes());
    lexer.break_is_keyword = functions.get("break").is_none();
    lexer.continue_is_keyword = functions.get("continue").is_none();
    let mut parser = Parser {
        lexer,
        source,
        functions,
        actions,
        base: At { id: 0, pos: 0 },
        has_variables: false,
        tree: Tree::new(),
        trees: Vec::new(),
        last_id: 0,
        variable_ids: [(SmolStr::new_static("$"), ROOT)].into_iter().collect(),
        nesting: 0,
        open: Vec::new(),
        args: Vec::new(),
        names: Vec::new(),
        floor: stack_floor(),
    };
    parser.top_level(name)?;
    Ok(parser.trees)
}

/// What belongs to one template of the text; tokens that were looked at wait here.
pub(super) struct Tree<'t> {
    tokens: [Token<'t>; 3],
    waiting: usize,
    pub(super) variables: Vec<u32>,
    /// Where the action at work begins.
    action: Option<usize>,
    ranges: u32,
    pub(super) parens: u32,
}

impl Tree<'_> {
    fn new() -> Self {
        Self {
            tokens: [Token::NONE, Token::NONE, Token::NONE],
            waiting: 0,
            variables: vec![ROOT],
            action: None,
            ranges: 0,
            parens: 0,
        }
    }
}

pub(super) struct Parser<'t> {
    lexer: Lexer<'t>,
    source: Arc<Source>,
    pub(super) functions: &'t Functions,
    actions: &'t mut Actions,
    /// Where the action at work begins.
    base: At,
    /// Whether a variable was met in it.
    pub(super) has_variables: bool,
    pub(super) tree: Tree<'t>,
    trees: Vec<Template>,
    last_id: u32,
    pub(super) variable_ids: HashMap<SmolStr, u32, RandomState>,
    nesting: u32,
    /// The nodes of lists whose end was not met, so that each list takes the room that it needs and no more.
    open: Vec<Node>,
    /// The same for the arguments of commands and the names of chains.
    pub(super) args: Vec<Expr>,
    pub(super) names: Vec<SmolStr>,
    /// The address below which the stack must not grow.
    pub(super) floor: usize,
}

/// What ends a list of nodes.
enum Ending {
    End,
    Else,
}

impl Ending {
    const fn show(&self) -> &'static str {
        match self {
            Self::End => "{{end}}",
            Self::Else => "{{else}}",
        }
    }
}

enum Item {
    Node(Node),
    Ending(Ending),
}

/// An action up to its right delimiter.
enum Opening {
    /// Its text may be known.
    Plain(Known),
    Other(Item),
}

pub(super) type Parsed<T> = Result<T, Error>;

impl<'t> Parser<'t> {
    pub(super) fn next(&mut self) -> Token<'t> {
        if self.tree.waiting > 0 {
            self.tree.waiting -= 1;
        } else {
            self.tree.tokens[0] = self.lexer.next_token();
        }
        self.tree.tokens[self.tree.waiting]
    }

    pub(super) fn back(&mut self) {
        self.tree.waiting += 1;
    }

    pub(super) fn back_two(&mut self, first: Token<'t>) {
        self.tree.tokens[1] = first;
        self.tree.waiting = 2;
    }

    pub(super) fn back_three(&mut self, first: Token<'t>, second: Token<'t>) {
        self.tree.tokens[1] = second;
        self.tree.tokens[2] = first;
        self.tree.waiting = 3;
    }

    pub(super) fn peek(&mut self) -> Token<'t> {
        if self.tree.waiting > 0 {
            return self.tree.tokens[self.tree.waiting - 1];
        }
        self.tree.waiting = 1;
        self.tree.tokens[0] = self.lexer.next_token();
        self.tree.tokens[0]
    }

    pub(super) fn next_non_space(&mut self) -> Token<'t> {
        loop {
            let token = self.next();
            if token.kind != Kind::Space {
                return token;
            }
        }
    }

    pub(super) fn peek_non_space(&mut self) -> Token<'t> {
        let token = self.next_non_space();
        self.back();
        token
    }

    pub(super) fn at(&mut self, pos: usize) -> At {
        self.last_id += 1;
        At { id: self.last_id, pos: pos as u32 }
    }

    /// The place of what belongs to a pipeline.
    pub(super) fn at_within(&mut self, pos: usize) -> At {
        self.last_id += 1;
        At { id: self.last_id - self.base.id, pos: pos as u32 - self.base.pos }
    }

    /// The line of an offset, from 1.
    fn line(&self, pos: usize) -> usize {
        1 + memchr::memchr_iter(b'\n', &self.source.text[..pos]).count()
    }

    pub(super) fn error<T>(&self, message: impl std::fmt::Display) -> Parsed<T> {
        let line = self.line(self.tree.tokens[0].pos);
        Err(Error::parse(format!("template: {}:{line}: {message}", self.source.name)))
    }

    pub(super) fn unexpected<T>(&self, token: &Token<'_>, context: &str) -> Parsed<T> {
        if token.kind != Kind::Error {
            return self.error(format_args!("unexpected {} in {context}", token.show()));
        }
        let mut extra = String::new();
        if let Some(action) = self.tree.action.map(|pos| self.line(pos))
            && action != self.line(token.pos)
        {
            extra = format!(" in action started at {}:{action}", self.source.name);
            if self.lexer.message.ends_with(" action") {
                // Not "action in action".
                extra.drain(.." in action".len());
            }
        }
        self.error(format_args!("{}{extra}", self.lexer.message))
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Parsed<Token<'t>> {
        let token = self.next_non_space();
        if token.kind == kind { Ok(token) } else { self.unexpected(&token, context) }
    }

    fn top_level(&mut self, name: &str) -> Parsed<()> {
        let id = self.at(0).id;
        let mut body = Vec::new();
        while self.peek().kind != Kind::End {
            if self.peek().kind == Kind::LeftDelimiter && self.lexer.may_define() {
                let delimiter = self.next();
                if self.next_non_space().is(Keyword::Define) {
                    self.definition()?;
                    continue;
                }
                self.back_two(delimiter);
            }
            match self.text_or_action()? {
                Item::Node(node) => body.push(node),
                Item::Ending(ending) => return self.error(format_args!("unexpected {}", ending.show())),
            }
        }
        self.add(name.into(), body, id, Place::Last)
    }

    /// `{{define "name"}}…{{end}}`; the keyword is read.
    fn definition(&mut self) -> Parsed<()> {
        const CONTEXT: &str = "define clause";
        let outer = std::mem::replace(&mut self.tree, Tree::new());
        let token = self.next_non_space();
        if !matches!(token.kind, Kind::String | Kind::RawString) {
            return self.unexpected(&token, CONTEXT);
        }
        let name = self.unquote(token.text)?;
        self.expect(Kind::RightDelimiter, CONTEXT)?;
        let id = self.at(token.pos).id;
        let (body, ending) = self.items()?;
        if matches!(ending, Ending::Else) {
            return self.error(format_args!("unexpected {} in {CONTEXT}", ending.show()));
        }
        self.add(name, body, id, Place::Any)?;
        self.tree = outer;
        Ok(())
    }

    pub(super) fn unquote(&self, text: &[u8]) -> Parsed<Str> {
        match unquote::string(text) {
            Ok(content) => Ok(content.into()),
            Err(message) => self.error(message),
        }
    }

    fn add(&mut self, name: Str, body: Vec<Node>, id: u32, place: Place) -> Parsed<()> {
        let is_blank = body.iter().all(|node| match node {
            Node::Text(text) => {
                decode(self.source.bytes(*text)).trim_matches(crate::unicode::is_space).is_empty()
            }
            _ => false,
        });
        let known = self.trees.iter().position(|tree| tree.name == name);
        let shown = crate::fmt::quoted(&name);
        let template = Template { name, source: self.source.clone(), body, id, is_blank };
        match known {
            Some(known) if self.trees[known].is_blank => {
                self.trees.remove(known);
            }
            Some(known) if template.is_blank => {
                if matches!(place, Place::Last) {
                    let template = self.trees.remove(known);
                    self.trees.push(template);
                }
                return Ok(());
            }
            Some(_) => return self.error(format_args!("template: multiple definition of template {shown}")),
            None => {}
        }
        self.trees.push(template);
        Ok(())
    }

    fn items(&mut self) -> Parsed<(Vec<Node>, Ending)> {
        let first = self.open.len();
        self.nesting += 1;
        if self.nesting > DEEPEST || here() < self.floor {
            return self.error("max nesting depth exceeded");
        }
        while self.peek_non_space().kind != Kind::End {
            match self.text_or_action()? {
                Item::Node(node) => self.open.push(node),
                Item::Ending(ending) => {
                    self.nesting -= 1;
                    return Ok((self.open.drain(first..).collect(), ending));
                }
            }
        }
        self.error("unexpected EOF")
    }

    fn text_or_action(&mut self) -> Parsed<Item> {
        let token = self.next_non_space();
        match token.kind {
            Kind::Text => {
                let end = token.pos + token.text.len();
                Ok(Item::Node(Node::Text(Text { start: token.pos as u32, end: end as u32 })))
            }
            Kind::LeftDelimiter => {
                self.tree.action = Some(token.pos);
                let item = self.action(&token)?;
                self.tree.action = None;
                Ok(item)
            }
            _ => self.unexpected(&token, "input"),
        }
    }

    /// The left delimiter is read.
    fn action(&mut self, delimiter: &Token<'_>) -> Parsed<Item> {
        let visible = self.tree.variables.len();
        let known = match self.opening(delimiter)? {
            Opening::Plain(known) => known,
            Opening::Other(item) => return Ok(item),
        };
        let Some(pipe) = known.pipe else { return Ok(Item::Ending(Ending::End)) };
        let base = self.base;
        let placed = Placed { base, pipe };
        Ok(Item::Node(match known.word {
            Word::If => Node::If(self.branch(known.word, placed, visible)?),
            Word::Range => Node::Range(self.branch(known.word, placed, visible)?),
            Word::With => Node::With(self.branch(known.word, placed, visible)?),
            Word::Command | Word::End => {
                Node::Action(Action { at: self.at((base.pos + known.first) as usize), placed })
            }
        }))
    }

    fn opening(&mut self, delimiter: &Token<'_>) -> Parsed<Opening> {
        // Nothing of the action was looked at, unless this is about a definition.
        let is_next = self.tree.waiting == 0;
        let start = if is_next { self.lexer.position() } else { delimiter.pos };
        let upcoming = if is_next { self.lexer.upcoming() } else { None };
        self.base = At { id: self.last_id, pos: start as u32 };
        if let Some(text) = upcoming
            && let Some(known) = self.actions.get(text)
        {
            let known = known.clone();
            self.tree.tokens[0] = self.lexer.pass(text);
            self.last_id += known.ids;
            return Ok(Opening::Plain(known));
        }
        self.has_variables = false;
        let opening = self.new_opening()?;
        if let Opening::Plain(known) = &opening
            && let Some(text) = upcoming
            && !self.has_variables
            && self.tree.waiting == 0
            && self.tree.tokens[0].pos == start + text.len()
        {
            self.actions.insert(&self.source.text, start as u32, text.len(), known.clone());
        }
        Ok(opening)
    }

    fn new_opening(&mut self) -> Parsed<Opening> {
        let token = self.next_non_space();
        if let Kind::Keyword(keyword) = token.kind {
            let item = match keyword {
                Keyword::Block => Item::Node(self.block()?),
                Keyword::Break => {
                    self.leave("{{break}}")?;
                    Item::Node(Node::Break(self.at(token.pos)))
                }
                Keyword::Continue => {
                    self.leave("{{continue}}")?;
                    Item::Node(Node::Continue(self.at(token.pos)))
                }
                Keyword::Else => {
                    let next = self.peek_non_space();
                    if !next.is(Keyword::If) && !next.is(Keyword::With) {
                        self.expect(Kind::RightDelimiter, "else")?;
                    }
                    Item::Ending(Ending::Else)
                }
                Keyword::End => {
                    self.expect(Kind::RightDelimiter, "end")?;
                    return Ok(Opening::Plain(Known { word: Word::End, pipe: None, ids: 0, first: 0 }));
                }
                Keyword::Template => Item::Node(self.template()?),
                Keyword::Define => return self.unexpected(&token, "command"),
                Keyword::If | Keyword::Range | Keyword::With => {
                    let word = match keyword {
                        Keyword::If => Word::If,
                        Keyword::Range => Word::Range,
                        _ => Word::With,
                    };
                    return self.plain_opening(word, token.pos);
                }
            };
            return Ok(Opening::Other(item));
        }
        self.back();
        let pos = self.peek().pos;
        self.plain_opening(Word::Command, pos)
    }

    fn plain_opening(&mut self, word: Word, first: usize) -> Parsed<Opening> {
        let pipe = Some(Arc::new(self.pipeline(word.context(), Kind::RightDelimiter)?));
        let ids = self.last_id - self.base.id;
        Ok(Opening::Plain(Known { word, pipe, ids, first: first as u32 - self.base.pos }))
    }

    /// `break` or `continue`.
    fn leave(&mut self, context: &str) -> Parsed<()> {
        let token = self.next_non_space();
        if token.kind != Kind::RightDelimiter {
            return self.unexpected(&token, context);
        }
        if self.tree.ranges == 0 {
            return self.error(format_args!("{context} outside {{{{range}}}}"));
        }
        Ok(())
    }

    /// The body of an action that needs an end, and what follows `else`.
    fn branch(&mut self, word: Word, placed: Placed, visible: usize) -> Parsed<Box<Branch>> {
        let is_range = word == Word::Range;
        self.tree.ranges += u32::from(is_range);
        let (body, ending) = self.items()?;
        self.tree.ranges -= u32::from(is_range);
        let otherwise = match ending {
            Ending::End => None,
            Ending::Else => Some(self.otherwise(word)?),
        };
        self.tree.variables.truncate(visible);
        let at = self.at((placed.base.pos + placed.pipe.at.pos) as usize);
        Ok(Box::new(Branch { at, placed, body, otherwise }))
    }

    /// What follows `else`. After `else if` the inner `if` takes the `end`.
    fn otherwise(&mut self, word: Word) -> Parsed<Vec<Node>> {
        if word == Word::If && self.peek().is(Keyword::If) {
            self.next();
            return Ok(vec![Node::If(self.nested_branch(word)?)]);
        }
        if word == Word::With && self.peek().is(Keyword::With) {
            self.next();
            return Ok(vec![Node::With(self.nested_branch(word)?)]);
        }
        let (body, ending) = self.items()?;
        match ending {
            Ending::End => Ok(body),
            Ending::Else => self.error("expected end; found {{else}}"),
        }
    }

    fn nested_branch(&mut self, word: Word) -> Parsed<Box<Branch>> {
        self.nesting += 1;
        if self.nesting > DEEPEST || here() < self.floor {
            return self.error("max nesting depth exceeded");
        }
        let visible = self.tree.variables.len();
        let placed = self.placed_pipeline(word.context())?;
        let branch = self.branch(word, placed, visible)?;
        self.nesting -= 1;
        Ok(branch)
    }

    fn placed_pipeline(&mut self, context: &str) -> Parsed<Placed> {
        let pipe = Arc::new(self.pipeline(context, Kind::RightDelimiter)?);
        Ok(Placed { base: self.base, pipe })
    }

    fn block(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "block clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, CONTEXT)?;
        let placed = self.placed_pipeline(CONTEXT)?;
        let outer = std::mem::replace(&mut self.tree, Tree::new());
        let id = self.at(token.pos).id;
        let (body, ending) = self.items()?;
        if matches!(ending, Ending::Else) {
            self.tree = outer;
            return self.error(format_args!("unexpected {} in {CONTEXT}", ending.show()));
        }
        self.add(name.clone(), body, id, Place::Any)?;
        self.tree = outer;
        let at = self.at(token.pos);
        Ok(Node::Template(Box::new(Call { at, name, placed: Some(placed) })))
    }

    fn template(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "template clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, CONTEXT)?;
        let mut placed = None;
        if self.next_non_space().kind != Kind::RightDelimiter {
            self.back();
            placed = Some(self.placed_pipeline(CONTEXT)?);
        }
        let at = self.at(token.pos);
        Ok(Node::Template(Box::new(Call { at, name, placed })))
    }

    fn template_name(&mut self, token: &Token<'_>, context: &str) -> Parsed<Str> {
        match token.kind {
            Kind::String | Kind::RawString => self.unquote(token.text),
            _ => self.unexpected(token, context),
        }
    }

    fn variable_id(&mut self, name: &str) -> u32 {
        if let Some(id) = self.variable_ids.get(name) {
            return *id;
        }
        let id = self.variable_ids.len() as u32;
        self.variable_ids.insert(name.into(), id);
        id
    }

    pub(super) fn declare(&mut self, token: &Token<'_>) -> Variable {
        let name = decode(token.text);
        let id = self.variable_id(&name);
        self.tree.variables.push(id);
        Variable { id, name: SmolStr::new(name) }
    }
}

/// Where the outermost template goes.
enum Place {
    Any,
    /// It has to be the last, even if a definition took its name.
    Last,
}
