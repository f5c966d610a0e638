//! Nodes as text, for messages.

use smol_str::SmolStr;

use super::tree::{Branch, Call, Command, Expr, Node, Pipe, Placed, Source, Template, Written};
use crate::value::decode;

/// The offset and the text of the node with that identity.
pub(crate) fn find(template: &Template, id: u32) -> Option<(usize, String)> {
    if id == template.id {
        let mut text = String::new();
        nodes(&mut text, &template.source, &template.body);
        return Some((0, text));
    }
    find_in(&template.source, &template.body, id)
}

fn find_in(source: &Source, body: &[Node], id: u32) -> Option<(usize, String)> {
    body.iter().find_map(|node| {
        let (at, placed) = match node {
            Node::Text(_) => return None,
            Node::Action(action) => (action.at, Some(&action.placed)),
            Node::If(branch) | Node::With(branch) | Node::Range(branch) => (branch.at, Some(&branch.placed)),
            Node::Template(call) => (call.at, call.placed.as_ref()),
            Node::Break(at) | Node::Continue(at) => (*at, None),
        };
        if at.id == id {
            let mut text = String::new();
            show(&mut text, source, node);
            return Some((at.pos as usize, text));
        }
        if let Some(found) = placed.and_then(|placed| find_placed(placed, id)) {
            return Some(found);
        }
        match node {
            Node::If(branch) | Node::With(branch) | Node::Range(branch) => find_in(source, &branch.body, id)
                .or_else(|| branch.otherwise.as_deref().and_then(|body| find_in(source, body, id))),
            _ => None,
        }
    })
}

fn find_placed(placed: &Placed, id: u32) -> Option<(usize, String)> {
    let (pos, text) = find_in_pipe(&placed.pipe, id.checked_sub(placed.base.id)?)?;
    Some((placed.base.pos as usize + pos, text))
}

fn find_in_pipe(pipe: &Pipe, id: u32) -> Option<(usize, String)> {
    if pipe.at.id == id {
        let mut text = String::new();
        show_pipe(&mut text, pipe);
        return Some((pipe.at.pos as usize, text));
    }
    pipe.commands.iter().find_map(|command| {
        if command.at.id == id {
            let mut text = String::new();
            show_command(&mut text, command);
            return Some((command.at.pos as usize, text));
        }
        std::iter::once(&command.first).chain(&command.args).find_map(|expr| find_in_expr(expr, id))
    })
}

fn find_in_expr(expr: &Expr, id: u32) -> Option<(usize, String)> {
    if let Expr::Pipe(pipe) = expr {
        return find_in_pipe(pipe, id);
    }
    let at = expr.at();
    if at.id == id {
        let mut text = String::new();
        show_expr(&mut text, expr);
        return Some((at.pos as usize, text));
    }
    match expr {
        Expr::Chain(_, inner, _) => find_in_expr(inner, id),
        _ => None,
    }
}

fn nodes(out: &mut String, source: &Source, body: &[Node]) {
    for node in body {
        show(out, source, node);
    }
}

fn show(out: &mut String, source: &Source, node: &Node) {
    match node {
        Node::Text(text) => out.push_str(&decode(source.bytes(*text))),
        Node::Action(action) => {
            out.push_str("{{");
            show_pipe(out, &action.placed.pipe);
            out.push_str("}}");
        }
        Node::If(branch) => show_branch(out, source, "if", branch),
        Node::With(branch) => show_branch(out, source, "with", branch),
        Node::Range(branch) => show_branch(out, source, "range", branch),
        Node::Template(call) => show_call(out, call),
        Node::Break(_) => out.push_str("{{break}}"),
        Node::Continue(_) => out.push_str("{{continue}}"),
    }
}

fn show_branch(out: &mut String, source: &Source, word: &str, branch: &Branch) {
    out.push_str("{{");
    out.push_str(word);
    out.push(' ');
    show_pipe(out, &branch.placed.pipe);
    out.push_str("}}");
    nodes(out, source, &branch.body);
    if let Some(otherwise) = &branch.otherwise {
        out.push_str("{{else}}");
        nodes(out, source, otherwise);
    }
    out.push_str("{{end}}");
}

fn show_call(out: &mut String, call: &Call) {
    out.push_str("{{template ");
    out.push_str(&crate::fmt::quoted(&call.name));
    if let Some(placed) = &call.placed {
        out.push(' ');
        show_pipe(out, &placed.pipe);
    }
    out.push_str("}}");
}

fn show_pipe(out: &mut String, pipe: &Pipe) {
    for (index, variable) in pipe.variables.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        out.push_str(&variable.name);
    }
    if !pipe.variables.is_empty() {
        out.push_str(if pipe.is_assign { " = " } else { " := " });
    }
    for (index, command) in pipe.commands.iter().enumerate() {
        if index > 0 {
            out.push_str(" | ");
        }
        show_command(out, command);
    }
}

fn show_command(out: &mut String, command: &Command) {
    show_operand(out, &command.first);
    for arg in &command.args {
        out.push(' ');
        show_operand(out, arg);
    }
}

fn show_operand(out: &mut String, expr: &Expr) {
    if let Expr::Pipe(pipe) = expr {
        out.push('(');
        show_pipe(out, pipe);
        out.push(')');
    } else {
        show_expr(out, expr);
    }
}

/// An expression; a pipeline without its parentheses.
pub(crate) fn show_expr(out: &mut String, expr: &Expr) {
    let fields = |out: &mut String, names: &[SmolStr]| {
        for name in names {
            out.push('.');
            out.push_str(name);
        }
    };
    match expr {
        Expr::Dot(_) => out.push('.'),
        Expr::Nil(_) => out.push_str("nil"),
        Expr::Bool(_, value) => out.push_str(if *value { "true" } else { "false" }),
        Expr::Number(_, number) => out.push_str(&number.text),
        Expr::String(_, literal) => match &literal.written {
            Written::Between(quote) => {
                out.push(*quote);
                out.push_str(&decode(&literal.value));
                out.push(*quote);
            }
            Written::As(text) => out.push_str(&decode(text)),
        },
        Expr::Field(_, names) => fields(out, names),
        Expr::Variable(_, variable, names) => {
            out.push_str(&variable.name);
            fields(out, names);
        }
        Expr::Function(_, callee) => out.push_str(callee.name()),
        Expr::Chain(_, inner, names) => {
            show_operand(out, inner);
            fields(out, names);
        }
        Expr::Pipe(pipe) => show_pipe(out, pipe),
    }
}
