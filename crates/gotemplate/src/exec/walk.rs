//! Nodes: text, actions, branches and loops.

use super::{Ctx, Exec, Operand, Slot};
use crate::parse::tree::{Action, Branch, Call, Node, Pipe, Text};
use crate::value::{Int, Value};

/// How a list of nodes ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    On,
    Break,
    Continue,
}

impl Ctx<'_> {
    pub(super) fn walk(&mut self, body: &[Node], dot: &Operand) -> Exec<Flow> {
        for node in body {
            self.step()?;
            let flow = match node {
                Node::Text(text) => {
                    self.print_text(*text)?;
                    Flow::On
                }
                Node::Action(action) => self.walk_action(action, dot)?,
                Node::If(branch) => self.walk_branch(branch, dot, false)?,
                Node::With(branch) => self.walk_branch(branch, dot, true)?,
                Node::Range(branch) => self.walk_range(branch, dot)?,
                Node::Template(call) => self.walk_call(call, dot)?,
                Node::Break(_) => Flow::Break,
                Node::Continue(_) => Flow::Continue,
            };
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    /// Prints a text of the template at work.
    fn print_text(&mut self, text: Text) -> Exec<()> {
        self.check_room((text.end - text.start) as usize)?;
        if let Some(frame) = &self.frame {
            let bytes = frame.template.source.bytes(text);
            self.out.extend_from_slice(bytes);
            if let Some(watch) = &mut self.watch
                && let Some(at) = watch.pass(bytes)
            {
                watch.found = Some((frame.template.clone(), text.start as usize + at));
            }
        }
        Ok(())
    }

    fn print_bytes(&mut self, bytes: &[u8]) -> Exec<()> {
        self.check_room(bytes.len())?;
        self.out.extend_from_slice(bytes);
        if let Some(watch) = &mut self.watch
            && watch.pass(bytes).is_some()
            && let Some(frame) = &self.frame
        {
            let place = crate::parse::find(&frame.template, frame.node);
            watch.found = Some((frame.template.clone(), place.map_or(0, |(offset, _)| offset)));
        }
        Ok(())
    }

    fn check_room(&self, more: usize) -> Exec<()> {
        if self.out.len() + more > self.limits.output {
            let limit = self.limits.output;
            return Err(self.error(format_args!("output exceeds the limit of {limit} bytes")));
        }
        Ok(())
    }

    fn walk_action(&mut self, action: &Action, dot: &Operand) -> Exec<Flow> {
        let value = self.placed(dot, &action.placed)?;
        if action.placed.pipe.variables.is_empty() {
            self.at(action.at.id);
            match &value {
                Value::String(text) => self.print_bytes(text)?,
                Value::Missing | Value::Nil => self.print_bytes(b"<no value>")?,
                Value::Object(object) if object.print_in_place().is_some() => {
                    let text = object.print_in_place().unwrap_or_else(|| object.print());
                    self.print_bytes(&text)?;
                }
                other => {
                    let left = self.limits.output.saturating_sub(self.out.len());
                    let text =
                        crate::fmt::display(other, left).map_err(|failure| self.failure("", failure))?;
                    self.print_bytes(&text)?;
                }
            }
        }
        Ok(Flow::On)
    }

    fn walk_branch(&mut self, branch: &Branch, dot: &Operand, is_with: bool) -> Exec<Flow> {
        self.deeper()?;
        let mark = self.variables.len();
        let value = self.placed(dot, &branch.placed)?;
        let flow = if value.truth() {
            if is_with {
                self.walk(&branch.body, &Operand::plain(value))?
            } else {
                self.walk(&branch.body, dot)?
            }
        } else if let Some(otherwise) = &branch.otherwise {
            self.walk(otherwise, dot)?
        } else {
            Flow::On
        };
        self.variables.truncate(mark);
        Ok(flow)
    }

    fn walk_call(&mut self, call: &Call, dot: &Operand) -> Exec<Flow> {
        self.at(call.at.id);
        let Some(template) = self.lookup(&call.name) else {
            let name = crate::fmt::quoted(&call.name);
            return Err(self.error(format_args!("template {name} not defined")));
        };
        if self.depth >= self.limits.depth {
            return Err(self.error(format_args!("exceeded maximum template depth ({})", self.limits.depth)));
        }
        let data = match &call.placed {
            Some(placed) => self.placed(dot, placed)?,
            None => Value::Missing,
        };
        self.run(template, Operand::plain(data))?;
        Ok(Flow::On)
    }

    fn walk_range(&mut self, branch: &Branch, dot: &Operand) -> Exec<Flow> {
        self.deeper()?;
        self.at(branch.at.id);
        let mark = self.variables.len();
        let value = self.placed(dot, &branch.placed)?;
        let ran = self.iterate(branch, value)?;
        let mut flow = Flow::On;
        if !ran && let Some(otherwise) = &branch.otherwise {
            // A break or continue here belongs to the loop around this one.
            flow = self.walk(otherwise, dot)?;
        }
        self.variables.truncate(mark);
        Ok(if flow == Flow::Break { Flow::On } else { flow })
    }

    /// Gives whether there was anything to iterate over.
    fn iterate(&mut self, branch: &Branch, value: Value) -> Exec<bool> {
        match value {
            Value::Int(int) => {
                if branch.placed.pipe.variables.len() > 1 {
                    return Err(
                        self.error(format_args!("can't use {int} to iterate over more than one variable"))
                    );
                }
                let count = int.wide();
                let mut at = 0;
                while at < count {
                    let element = Operand::plain(Value::Int(Int::new(int.kind(), at as i64)));
                    if self.iteration(branch, Value::Missing, element)? {
                        break;
                    }
                    at += 1;
                }
                Ok(count > 0)
            }
            Value::List(list) => {
                let boxed = list.kind().elem.is_boxed();
                for (index, value) in list.values().iter().enumerate() {
                    let element = Operand { value: value.clone(), boxed };
                    if self.iteration(branch, Value::int(index as i64), element)? {
                        break;
                    }
                }
                Ok(!list.is_empty())
            }
            Value::Map(map) => {
                let boxed = map.kind().elem.is_boxed();
                let entries = map.entries();
                let ran = !entries.is_empty();
                for (key, value) in entries {
                    if self.iteration(branch, Value::String(key), Operand { value, boxed })? {
                        break;
                    }
                }
                Ok(ran)
            }
            Value::Bytes(bytes) => {
                for (index, byte) in bytes.iter().enumerate() {
                    let value = Value::Int(Int::new(crate::value::IntKind::Uint8, i64::from(*byte)));
                    if self.iteration(branch, Value::int(index as i64), Operand::plain(value))? {
                        break;
                    }
                }
                Ok(!bytes.is_empty())
            }
            Value::Missing | Value::Nil => Ok(false),
            other => {
                if let Value::Object(object) = &other
                    && let Some(entries) = object.entries()
                {
                    let boxed = object.elem().is_boxed();
                    let ran = !entries.is_empty();
                    for (key, value) in entries {
                        if self.iteration(branch, key, Operand { value, boxed })? {
                            break;
                        }
                    }
                    return Ok(ran);
                }
                let mut shown = crate::fmt::shown(&other);
                // Ranging looks through the pointer.
                if let Value::Object(object) = &other
                    && object.kind() == crate::value::ObjectKind::Pointer
                    && shown.starts_with('&')
                {
                    shown.remove(0);
                }
                Err(self.error(format_args!("range can't iterate over {shown}")))
            }
        }
    }

    /// Gives whether the loop ends here.
    fn iteration(&mut self, branch: &Branch, index: Value, element: Operand) -> Exec<bool> {
        self.step()?;
        let mark = self.variables.len();
        self.set_loop_variables(&branch.placed.pipe, index, &element, mark)?;
        let flow = self.walk(&branch.body, &element)?;
        self.variables.truncate(mark);
        Ok(flow == Flow::Break)
    }

    /// The pipeline declared the variables already: they are the last ones on the stack.
    fn set_loop_variables(&mut self, pipe: &Pipe, index: Value, element: &Operand, mark: usize) -> Exec<()> {
        let index = Operand::plain(index);
        match (pipe.variables.as_slice(), pipe.is_assign) {
            ([], _) => Ok(()),
            ([only], true) => self.assign(only, element.clone()),
            ([first, second, ..], true) => {
                self.assign(first, index)?;
                self.assign(second, element.clone())
            }
            (declared, false) => {
                self.set_slot(mark - 1, element.clone());
                if declared.len() > 1 {
                    self.set_slot(mark - 2, index);
                }
                Ok(())
            }
        }
    }

    fn set_slot(&mut self, at: usize, operand: Operand) {
        if let Some(Slot { operand: old, .. }) = self.variables.get_mut(at) {
            *old = operand;
        }
    }
}
