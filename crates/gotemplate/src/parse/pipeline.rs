//! What stands in an action: pipelines, commands, operands.

use smol_str::SmolStr;

use super::parser::{DEEPEST, Parsed, Parser};
use super::token::Kind;
use super::tree::{Callee, Command, Expr, Literal, Pipe, Variable};
use super::{number, unquote};
use crate::limits::here;
use crate::value::decode;

impl Parser<'_> {
    /// Commands and what they are assigned to, up to and with `end`.
    pub(super) fn pipeline(&mut self, context: &str, end: Kind) -> Parsed<Pipe> {
        let first = self.peek_non_space();
        let mut pipe = Pipe {
            at: self.at_within(first.pos),
            is_assign: false,
            variables: Vec::new(),
            commands: Vec::new(),
        };
        loop {
            let variable = self.peek_non_space();
            if variable.kind != Kind::Variable {
                break;
            }
            self.next();
            self.has_variables = true;
            // Up to three tokens tell whether `$x foo` declares or passes an argument.
            let after = self.peek();
            let next = self.peek_non_space();
            match next.kind {
                Kind::Assign | Kind::Declare => {
                    pipe.is_assign = next.kind == Kind::Assign;
                    self.next_non_space();
                    let declared = self.declare(&variable);
                    pipe.variables.push(declared);
                }
                Kind::Char if next.text == b"," => {
                    self.next_non_space();
                    let declared = self.declare(&variable);
                    pipe.variables.push(declared);
                    if context == "range" && pipe.variables.len() < 2 {
                        let third = self.peek_non_space().kind;
                        if matches!(third, Kind::Variable | Kind::RightDelimiter | Kind::RightParen) {
                            continue;
                        }
                        return self.error("range can only initialize variables");
                    }
                    return self.error(format_args!("too many declarations in {context}"));
                }
                _ if after.kind == Kind::Space => self.back_three(variable, after),
                _ => self.back_two(variable),
            }
            break;
        }
        loop {
            let token = self.next_non_space();
            match token.kind {
                kind if kind == end => {
                    self.check_pipeline(&pipe, context)?;
                    return Ok(pipe);
                }
                Kind::Bool
                | Kind::CharConstant
                | Kind::Complex
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawString
                | Kind::String
                | Kind::Variable
                | Kind::LeftParen => {
                    self.back();
                    let command = self.command()?;
                    // Nearly all have one command, and there are very many.
                    pipe.commands.reserve_exact(1);
                    pipe.commands.push(command);
                }
                _ => return self.unexpected(&token, context),
            }
        }
    }

    fn check_pipeline(&self, pipe: &Pipe, context: &str) -> Parsed<()> {
        if pipe.commands.is_empty() {
            return self.error(format_args!("missing value for {context}"));
        }
        for (index, command) in pipe.commands.iter().enumerate().skip(1) {
            let is_value = matches!(
                command.first,
                Expr::Bool(..) | Expr::Dot(_) | Expr::Nil(_) | Expr::Number(..) | Expr::String(..)
            );
            if is_value {
                let stage = index + 1;
                return self.error(format_args!("non executable command in pipeline stage {stage}"));
            }
        }
        Ok(())
    }

    /// Operands with spaces between them, up to a pipe (taken) or the end (left).
    fn command(&mut self) -> Parsed<Command> {
        let pos = self.peek_non_space().pos;
        let at = self.at_within(pos);
        let mut first = None;
        let mark = self.args.len();
        loop {
            self.peek_non_space();
            if let Some(operand) = self.operand()? {
                match first {
                    None => first = Some(operand),
                    Some(_) => self.args.push(operand),
                }
            }
            let token = self.next();
            match token.kind {
                Kind::Space => continue,
                Kind::RightDelimiter | Kind::RightParen => self.back(),
                Kind::Pipe => {}
                _ => return self.unexpected(&token, "operand"),
            }
            break;
        }
        match first {
            Some(first) => Ok(Command { at, first, args: self.args.drain(mark..).collect() }),
            None => self.error("empty command"),
        }
    }

    /// A term and the fields read from it.
    fn operand(&mut self) -> Parsed<Option<Expr>> {
        let Some(mut term) = self.term()? else {
            return Ok(None);
        };
        let next = self.peek();
        if next.kind != Kind::Field {
            return Ok(Some(term));
        }
        let pos = next.pos;
        // A chain of fields goes on where it is; its first name waits there.
        let mark = self.names.len();
        if let Expr::Field(_, first) = &mut term {
            self.names.extend(std::mem::take(first));
        }
        while self.peek().kind == Kind::Field {
            let token = self.next();
            self.names.push(SmolStr::new(decode(&token.text[1..])));
        }
        let at = self.at_within(pos);
        let names = self.names.drain(mark..).collect();
        Ok(Some(match term {
            Expr::Field(..) => Expr::Field(at, names),
            Expr::Variable(_, variable, _) => Expr::Variable(at, variable, names),
            Expr::Bool(..) | Expr::String(..) | Expr::Number(..) | Expr::Nil(_) | Expr::Dot(_) => {
                let mut shown = String::new();
                super::show::show_expr(&mut shown, &term);
                let shown = crate::fmt::quoted(shown.as_bytes());
                return self.error(format_args!("unexpected . after term {shown}"));
            }
            other => Expr::Chain(at, Box::new(other), names),
        }))
    }

    fn term(&mut self) -> Parsed<Option<Expr>> {
        let token = self.next_non_space();
        let at = self.at_within(token.pos);
        Ok(Some(match token.kind {
            Kind::Identifier => {
                let name = decode(token.text);
                match self.callee(&name) {
                    Some(callee) => Expr::Function(at, callee),
                    None => {
                        let shown = crate::fmt::quoted(token.text);
                        return self.error(format_args!("function {shown} not defined"));
                    }
                }
            }
            Kind::Dot => Expr::Dot(at),
            Kind::Nil => Expr::Nil(at),
            Kind::Variable => {
                self.has_variables = true;
                let name = decode(token.text);
                match self.variable_ids.get(&*name) {
                    Some(id) if self.tree.variables.contains(id) => {
                        Expr::Variable(at, Variable { id: *id, name: SmolStr::new(name) }, Box::default())
                    }
                    _ => {
                        let shown = crate::fmt::quoted(token.text);
                        return self.error(format_args!("undefined variable {shown}"));
                    }
                }
            }
            Kind::Field => Expr::Field(at, Box::new([SmolStr::new(decode(&token.text[1..]))])),
            Kind::Bool => Expr::Bool(at, token.text == b"true"),
            Kind::CharConstant | Kind::Complex | Kind::Number => {
                let text = decode(token.text);
                let number = match token.kind {
                    Kind::CharConstant => unquote::char_constant(token.text).map(number::character),
                    Kind::Complex => number::complex(&text),
                    _ => number::simple(&text),
                };
                match number {
                    Ok(mut number) => {
                        number.text = text.into();
                        Expr::Number(at, Box::new(number))
                    }
                    Err(message) => return self.error(message),
                }
            }
            Kind::LeftParen => {
                if self.tree.parens >= DEEPEST || here() < self.floor {
                    return self.error("max expression depth exceeded");
                }
                self.tree.parens += 1;
                let pipe = self.pipeline("parenthesized pipeline", Kind::RightParen)?;
                self.tree.parens -= 1;
                Expr::Pipe(Box::new(pipe))
            }
            Kind::String | Kind::RawString => {
                let value = self.unquote(token.text)?;
                Expr::String(at, Literal::new(value, token.text))
            }
            _ => {
                self.back();
                return Ok(None);
            }
        }))
    }

    fn callee(&self, name: &str) -> Option<Callee> {
        if let Some(func) = self.functions.get(name) {
            return Some(Callee::Func(func));
        }
        match name {
            "and" => Some(Callee::And),
            "or" => Some(Callee::Or),
            _ => crate::builtin::find(name).map(Callee::Func),
        }
    }
}
