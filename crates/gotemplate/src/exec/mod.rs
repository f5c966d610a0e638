//! Execution.

mod call;
mod eval;
mod field;
mod walk;
mod watch;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use foldhash::fast::RandomState;

use crate::error::{Error, Failure};
use crate::host::Host;
use crate::limits::{Limits, here, stack_floor};
use crate::parse::{self, Template};
use crate::set::TemplateSet;
use crate::value::{Map, Str, Value};

pub use watch::Origin;
use watch::Watch;

type Exec<T> = Result<T, Box<Error>>;

/// An execution: what its templates and functions share.
pub struct Ctx<'a> {
    set: &'a TemplateSet,
    host: &'a mut dyn Host,
    limits: Limits,
    steps_left: u64,
    allocation_left: u64,
    started: Instant,
    floor: usize,
    depth: u32,
    frame: Option<Frame>,
    variables: Vec<Slot>,
    out: Vec<u8>,
    /// What looks out for a line of the outermost template.
    watch: Option<Box<Watch>>,
    /// Templates that `tpl` texts define while they run.
    scope: Option<Rc<Scope>>,
    /// Parsed texts of `tpl`.
    parsed: HashMap<Str, Rc<[Arc<Template>]>, RandomState>,
    parsed_size: usize,
    regexps: HashMap<Str, Result<Rc<sluice_regexp::Regexp>, String>, RandomState>,
    /// How often each name is being included right now.
    pub(crate) including: HashMap<Str, u32, RandomState>,
    /// Maps that were changed to hold another: they may hold themselves.
    knotted: Vec<Map>,
    /// Spare argument lists and buffers.
    spare_args: Vec<Vec<Value>>,
    spare_buffers: Vec<Vec<u8>>,
}

/// A template at work.
struct Frame {
    template: Arc<Template>,
    /// The node that messages point at.
    node: u32,
    /// The identity from which those of the pipeline at work are counted.
    action: u32,
    /// Where its variables begin.
    base: usize,
}

/// A value and whether Go would hold it in an `interface {}`, which its messages then name.
#[derive(Clone)]
struct Operand {
    value: Value,
    boxed: bool,
}

impl Operand {
    const fn plain(value: Value) -> Self {
        Self { value, boxed: false }
    }
}

struct Slot {
    id: u32,
    operand: Operand,
}

struct Scope {
    templates: Vec<Arc<Template>>,
    outer: Option<Rc<Scope>>,
}

/// How many bytes of parsed `tpl` texts are kept.
const PARSED_SIZE: usize = 8 << 20;
/// How many regular expressions are kept.
const REGEXPS: usize = 1000;
/// How many steps pass between looks at the clock.
const STEPS_PER_LOOK: u64 = 1024;

impl<'a> Ctx<'a> {
    /// Prepares executions of the templates of a set, within limits that they share.
    pub fn new(set: &'a TemplateSet, host: &'a mut dyn Host, limits: Limits) -> Self {
        Self {
            set,
            host,
            limits,
            steps_left: limits.steps,
            allocation_left: limits.allocation,
            started: Instant::now(),
            floor: stack_floor(),
            depth: 0,
            frame: None,
            variables: Vec::new(),
            out: Vec::new(),
            watch: None,
            scope: None,
            parsed: HashMap::default(),
            parsed_size: 0,
            regexps: HashMap::default(),
            including: HashMap::default(),
            knotted: Vec::new(),
            spare_args: Vec::new(),
            spare_buffers: Vec::new(),
        }
    }

    /// Executes a template with `.` being `data`; gives what it printed.
    pub fn execute(&mut self, name: &str, data: &Value) -> Result<Vec<u8>, Error> {
        let result = self.execute_named(name.as_bytes(), data.clone());
        // An error may have left these behind.
        self.including.clear();
        self.scope = None;
        result.map_err(|error| *error)
    }

    /// Like [`Ctx::execute`]; the tree of a template that was [deferred](TemplateSet::defer) is not kept.
    pub fn execute_once(&mut self, name: &str, data: &Value) -> Result<Vec<u8>, Error> {
        let Some(template) = self.set.deferred(name) else { return self.execute(name, data) };
        let result = self.execute_template(template?, data.clone());
        self.including.clear();
        self.scope = None;
        result.map_err(|error| *error)
    }

    /// Like [`Ctx::execute_once`]; gives the place that a line of what is printed comes from, counted from 0. That of a
    /// line without anything in it is its end; texts that functions give count as the action that prints them.
    pub fn origin(&mut self, name: &str, data: &Value, line: usize) -> Result<Option<Origin>, Error> {
        self.watch = Some(Box::new(Watch::new(line)));
        let result = self.execute_once(name, data);
        let found = self.watch.take().and_then(|watch| watch.found);
        result.map(|_| found.map(|(template, offset)| Origin::new(&template, offset)))
    }

    /// The host.
    pub fn host(&mut self) -> &mut dyn Host {
        self.host
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Checks that a string of that size may be made, and counts it.
    pub fn charge(&mut self, bytes: usize) -> Result<(), Failure> {
        if bytes > self.limits.output {
            let limit = self.limits.output;
            return Err(Failure::new(format!("text exceeds the limit of {limit} bytes")));
        }
        match self.allocation_left.checked_sub(bytes as u64) {
            Some(left) => {
                self.allocation_left = left;
                Ok(())
            }
            None => {
                let limit = self.limits.allocation;
                Err(Failure::new(format!("template functions exceed the limit of {limit} bytes in all")))
            }
        }
    }

    /// Checks that a list of that length may be made, and counts it.
    pub fn charge_list(&mut self, length: usize) -> Result<(), Failure> {
        self.charge(length.saturating_mul(size_of::<Value>()))
    }

    /// Counts work that no action shows.
    pub fn spend(&mut self, steps: u64) -> Result<(), Failure> {
        let before = self.steps_left;
        self.steps_left = before.saturating_sub(steps);
        if self.steps_left == 0 {
            let limit = self.limits.steps;
            return Err(Failure::new(format!("template execution exceeds the limit of {limit} steps")));
        }
        if before / STEPS_PER_LOOK != self.steps_left / STEPS_PER_LOOK
            && self.started.elapsed() > self.limits.time
        {
            let limit = self.limits.time;
            return Err(Failure::new(format!("template execution exceeds the limit of {limit:?}")));
        }
        Ok(())
    }

    /// Notes that a map now holds this value, so that a map that holds itself is not leaked.
    pub(crate) fn note_insert(&mut self, map: &Map, value: &Value) {
        if matches!(value, Value::Map(_) | Value::List(_)) {
            self.knotted.push(map.clone());
        }
    }

    /// A compiled pattern, or the message why there is none.
    pub(crate) fn regexp(&mut self, pattern: &Str) -> Result<Rc<sluice_regexp::Regexp>, String> {
        if let Some(known) = self.regexps.get(pattern) {
            return known.clone();
        }
        let made = match pattern.as_utf8() {
            Some(text) => sluice_regexp::Regexp::new(text).map(Rc::new).map_err(|error| error.to_string()),
            None => Err(format!("error parsing regexp: invalid UTF-8: `{}`", pattern.to_text())),
        };
        if self.regexps.len() >= REGEXPS {
            self.regexps.clear();
        }
        self.regexps.insert(pattern.clone(), made.clone());
        made
    }

    fn lookup(&self, name: &[u8]) -> Option<Arc<Template>> {
        let mut scope = self.scope.as_deref();
        while let Some(inner) = scope {
            if let Some(found) = inner.templates.iter().find(|template| *template.name == *name) {
                return Some(found.clone());
            }
            scope = inner.outer.as_deref();
        }
        self.set.get(name).cloned()
    }

    /// Executes a template apart from the one at work; gives what it printed.
    pub(crate) fn execute_named(&mut self, name: &[u8], data: Value) -> Exec<Vec<u8>> {
        let Some(template) = self.lookup(name) else {
            return Err(Box::new(Error::plain(format!(
                "template: no template {} associated with template {}",
                crate::fmt::quoted(name),
                crate::fmt::quoted(self.set.name().as_bytes())
            ))));
        };
        self.execute_template(template, data)
    }

    fn execute_template(&mut self, template: Arc<Template>, data: Value) -> Exec<Vec<u8>> {
        let buffer = self.spare_buffers.pop().unwrap_or_default();
        let out = std::mem::replace(&mut self.out, buffer);
        let watch = if self.frame.is_some() { self.watch.take() } else { None };
        let data = if data.is_nil() { Value::Missing } else { data };
        let result = self.run(template, Operand::plain(data));
        let printed = std::mem::replace(&mut self.out, out);
        self.watch = watch.or_else(|| self.watch.take());
        match result {
            Ok(()) => Ok(printed),
            Err(error) => {
                self.give_back(printed);
                Err(error)
            }
        }
    }

    /// Takes back a buffer whose content was used.
    pub(crate) fn give_back(&mut self, mut buffer: Vec<u8>) {
        const KEPT: usize = 8;
        if self.spare_buffers.len() < KEPT {
            buffer.clear();
            self.spare_buffers.push(buffer);
        }
    }

    /// Executes a text as helm's `tpl`: what it defines lasts as long as it runs.
    pub(crate) fn execute_text(&mut self, text: &Str, data: Value) -> Result<Vec<u8>, Failure> {
        let templates = self.parse_text(text)?;
        let Some(main) = templates.last().cloned() else {
            return Ok(Vec::new());
        };
        let added: Vec<Arc<Template>> = templates
            .iter()
            .filter(|template| !template.is_blank || self.lookup(&template.name).is_none())
            .cloned()
            .collect();
        let outer = self.scope.take();
        self.scope = Some(Rc::new(Scope { templates: added, outer: outer.clone() }));
        let result = self.execute_template(main, data);
        self.scope = outer;
        result.map_err(|error| {
            let quoted = crate::fmt::quoted(text);
            let message = format!("error during tpl function execution for {quoted}: {error}");
            Failure(Box::new(Error::wrapping(message, *error)))
        })
    }

    fn parse_text(&mut self, text: &Str) -> Result<Rc<[Arc<Template>]>, Failure> {
        if let Some(known) = self.parsed.get(text) {
            return Ok(known.clone());
        }
        let templates = self.set.parse_apart(self.set.name(), text.clone().into()).map_err(|error| {
            let message = format!("cannot parse template {}: {error}", crate::fmt::quoted(text));
            Failure(Box::new(Error::wrapping(message, error)))
        })?;
        let templates: Rc<[Arc<Template>]> = templates.into_iter().map(Arc::new).collect();
        self.parsed_size += text.len();
        if self.parsed_size > PARSED_SIZE {
            self.parsed.clear();
            self.parsed_size = text.len();
        }
        self.parsed.insert(text.clone(), templates.clone());
        Ok(templates)
    }

    /// Runs a template in a frame of its own, printing where its caller prints.
    fn run(&mut self, template: Arc<Template>, data: Operand) -> Exec<()> {
        if self.depth >= self.limits.depth || here() < self.floor {
            return Err(self.error(format_args!("exceeded maximum template depth ({})", self.limits.depth)));
        }
        self.depth += 1;
        let base = self.variables.len();
        self.variables.push(Slot { id: parse::tree::ROOT, operand: data.clone() });
        let frame = Frame { template: template.clone(), node: template.id, action: 0, base };
        let outer = self.frame.replace(frame);
        let result = self.walk(&template.body, &data);
        self.depth -= 1;
        self.variables.truncate(base);
        self.frame = outer;
        result.map(|_| ())
    }

    fn at(&mut self, id: u32) {
        if let Some(frame) = &mut self.frame {
            frame.node = id;
        }
    }

    /// Like [`Ctx::at`], for a node of the pipeline at work.
    fn within(&mut self, id: u32) {
        if let Some(frame) = &mut self.frame {
            frame.node = frame.action + id;
        }
    }

    #[cold]
    #[expect(clippy::unnecessary_box_returns, reason = "every evaluation returns it: results stay small")]
    fn error(&self, message: impl std::fmt::Display) -> Box<Error> {
        Box::new(Error::execution(format!("{}{message}", self.place()), None))
    }

    #[cold]
    #[expect(clippy::unnecessary_box_returns, reason = "every evaluation returns it: results stay small")]
    fn failure(&self, prefix: &str, failure: Failure) -> Box<Error> {
        let text = format!("{}{prefix}{}", self.place(), failure.0.text());
        Box::new(Error::execution(text, Some(*failure.0)))
    }

    /// Where execution is, as messages begin.
    fn place(&self) -> String {
        let Some(frame) = &self.frame else {
            return format!("template: {}: ", self.set.name());
        };
        let template = &frame.template;
        let source = &template.source;
        let Some((offset, shown)) = parse::find(template, frame.node) else {
            return format!("template: {}: ", template.name);
        };
        let before = &source.text[..offset.min(source.text.len())];
        let line = 1 + memchr::memchr_iter(b'\n', before).count();
        let column = match memchr::memrchr(b'\n', before) {
            Some(newline) => before.len() - newline - 1,
            None => before.len(),
        };
        let name = crate::fmt::quoted(&template.name);
        format!("template: {}:{line}:{column}: executing {name} at <{shown}>: ", source.name)
    }

    fn step(&mut self) -> Exec<()> {
        self.spend(1).map_err(|failure| self.failure("", failure))
    }

    /// Checks that evaluation may go one level deeper.
    fn deeper(&self) -> Exec<()> {
        if here() < self.floor {
            return Err(self.error(format_args!("exceeded maximum template depth ({})", self.limits.depth)));
        }
        Ok(())
    }
}

impl Drop for Ctx<'_> {
    fn drop(&mut self) {
        crate::value::untie(&self.knotted);
    }
}
