//! Execution of a template, with the order of evaluation and the errors of Go's `text/template`.

use std::fmt;

use super::ast::{Branch, Command, Expr, ExprKind, Node, Pipe};
use super::error::Error;
use super::functions::{self, Signature, Type};
use super::hints::{Hints, ObjectKind};
use super::parse::Templates;
use super::value::{Null, Val};
use super::{Data, Names};

/// Output beyond which execution ends: nested ranges multiply.
const MAX_OUTPUT: usize = 64 << 20;
/// Templates that call each other.
const MAX_CALLS: usize = 100;

pub(super) fn execute(templates: &Templates, source: &str, data: &Data) -> Result<String, Error> {
    let mut run = Run {
        templates,
        source,
        data,
        template: "",
        variables: vec![("$", data.root.clone())],
        at: At::Nothing,
        out: String::new(),
        calls: 0,
    };
    let nodes = templates.get("").map_or(&[][..], Vec::as_slice);
    match run.nodes(&data.root, nodes) {
        Ok(_) => Ok(run.out),
        Err(Failure(message)) => Err(run.error(message)),
    }
}

struct Run<'t> {
    templates: &'t Templates,
    source: &'t str,
    data: &'t Data,
    /// Name of the template that is executed.
    template: &'t str,
    variables: Vec<(&'t str, Val)>,
    /// What errors point to.
    at: At<'t>,
    out: String,
    calls: usize,
}

#[derive(Clone, Copy)]
enum At<'t> {
    Nothing,
    Expr(&'t Expr),
    Command(&'t Command),
    Template(usize, &'t str, Option<&'t Pipe>),
}

#[derive(Debug)]
struct Failure(String);

enum Flow {
    On,
    Break,
    Continue,
}

type Outcome<T> = Result<T, Failure>;

fn fail<T>(message: impl fmt::Display) -> Outcome<T> {
    Err(Failure(message.to_string()))
}

impl<'t> Run<'t> {
    fn error(&self, message: String) -> Error {
        let (pos, context) = match self.at {
            At::Nothing => (0, String::new()),
            At::Expr(expr) => (
                expr.pos,
                match &expr.kind {
                    ExprKind::Pipe(pipe) => pipe.to_string(),
                    _ => expr.to_string(),
                },
            ),
            At::Command(command) => (command.pos, command.to_string()),
            At::Template(pos, name, argument) => {
                let name = super::value::quote(name);
                let argument = argument.map(|p| format!(" {p}")).unwrap_or_default();
                (pos, format!("{{{{template {name}{argument}}}}}"))
            }
        };
        let before = &self.source[..pos];
        Error::Execute {
            line: 1 + before.matches('\n').count(),
            column: pos - before.rfind('\n').map_or(0, |newline| newline + 1),
            template: self.template.to_owned(),
            context,
            message,
        }
    }

    fn nodes(&mut self, dot: &Val, nodes: &'t [Node]) -> Outcome<Flow> {
        for node in nodes {
            match self.node(dot, node)? {
                Flow::On => {}
                flow => return Ok(flow),
            }
        }
        Ok(Flow::On)
    }

    fn node(&mut self, dot: &Val, node: &'t Node) -> Outcome<Flow> {
        match node {
            Node::Text(text) => self.write(text)?,
            Node::Action(pipe) => {
                let value = self.pipeline(dot, pipe)?;
                if pipe.variables.is_empty() {
                    self.write(&value.show())?;
                }
            }
            Node::If(branch) => return self.choice(dot, branch, false),
            Node::With(branch) => return self.choice(dot, branch, true),
            Node::Range(branch) => return self.range(dot, branch),
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
            Node::Template { pos, name, argument } => {
                self.template(dot, *pos, name, argument.as_ref())?
            }
        }
        Ok(Flow::On)
    }

    fn write(&mut self, text: &str) -> Outcome<()> {
        if self.out.len() + text.len() > MAX_OUTPUT {
            return fail("output is too long");
        }
        self.out.push_str(text);
        Ok(())
    }

    fn choice(&mut self, dot: &Val, branch: &'t Branch, with: bool) -> Outcome<Flow> {
        let scope = self.variables.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        let flow = match (value.is_true(), with) {
            (true, true) => self.nodes(&value, &branch.body),
            (true, false) => self.nodes(dot, &branch.body),
            (false, _) => self.nodes(dot, &branch.otherwise),
        };
        self.variables.truncate(scope);
        flow
    }

    fn range(&mut self, dot: &Val, branch: &'t Branch) -> Outcome<Flow> {
        let scope = self.variables.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        // The elements take the place of what the pipeline set.
        if !branch.pipe.assigns {
            self.variables.truncate(scope);
        }
        let elements: Vec<(Val, Val)> = match &value {
            Val::List(items) => {
                let items = items.iter().cloned().enumerate();
                items.map(|(i, item)| (Val::Int(i as i64), item)).collect()
            }
            Val::Object(object) => {
                let fields = object.sorted().into_iter();
                fields.map(|(k, v)| (Val::str(k), v.clone())).collect()
            }
            Val::Int(count @ 0..=1_000_000) => {
                (0..*count).map(|i| (Val::Int(i), Val::Int(i))).collect()
            }
            Val::Missing | Val::Null(_) => Vec::new(),
            value => return fail(format_args!("range can't iterate over {}", value.print())),
        };
        if elements.is_empty() {
            let flow = self.nodes(dot, &branch.otherwise);
            self.variables.truncate(scope);
            return flow;
        }
        for (key, element) in elements {
            let mark = self.variables.len();
            match &branch.pipe.variables[..] {
                [] => {}
                [one] => self.bind(&branch.pipe, one, element.clone())?,
                [first, second, ..] => {
                    self.bind(&branch.pipe, first, key)?;
                    self.bind(&branch.pipe, second, element.clone())?;
                }
            }
            let flow = self.nodes(&element, &branch.body)?;
            self.variables.truncate(mark);
            if matches!(flow, Flow::Break) {
                break;
            }
        }
        self.variables.truncate(scope);
        Ok(Flow::On)
    }

    fn bind(&mut self, pipe: &Pipe, name: &'t str, value: Val) -> Outcome<()> {
        if !pipe.assigns {
            self.variables.push((name, value));
            return Ok(());
        }
        match self.variables.iter_mut().rev().find(|v| v.0 == name) {
            Some(variable) => variable.1 = value,
            None => return fail(format_args!("undefined variable: {name}")),
        }
        Ok(())
    }

    fn template(
        &mut self,
        dot: &Val,
        pos: usize,
        name: &'t str,
        argument: Option<&'t Pipe>,
    ) -> Outcome<()> {
        self.at = At::Template(pos, name, argument);
        let Some(nodes) = self.templates.get(name) else {
            let name = super::value::quote(name);
            return fail(format_args!("template {name} not defined"));
        };
        if self.calls == MAX_CALLS {
            return fail(format_args!("exceeded maximum template depth ({MAX_CALLS})"));
        }
        let dot = match argument {
            Some(pipe) => self.pipeline(dot, pipe)?,
            None => Val::Missing,
        };
        self.calls += 1;
        let outer = std::mem::replace(&mut self.variables, vec![("$", dot.clone())]);
        let outer_name = std::mem::replace(&mut self.template, name);
        self.nodes(&dot, nodes)?;
        self.variables = outer;
        self.template = outer_name;
        self.calls -= 1;
        Ok(())
    }

    fn pipeline(&mut self, dot: &Val, pipe: &'t Pipe) -> Outcome<Val> {
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.command(dot, command, value)?);
        }
        let value = value.unwrap_or(Val::Missing);
        for name in &pipe.variables {
            self.bind(pipe, name, value.clone())?;
        }
        Ok(value)
    }

    fn command(&mut self, dot: &Val, command: &'t Command, last: Option<Val>) -> Outcome<Val> {
        let first = &command.words[0];
        let args = &command.words[1..];
        match &first.kind {
            ExprKind::Field(names) => {
                self.at = At::Expr(first);
                return self.chain(dot.clone(), dot, names, args, last);
            }
            ExprKind::Variable(name, names) => {
                self.at = At::Expr(first);
                let value = self.variable(name)?;
                if names.is_empty() {
                    self.no_arguments(first, args, last.is_some())?;
                    return Ok(value);
                }
                return self.chain(value, dot, names, args, last);
            }
            ExprKind::Chain(inner, names) => {
                self.at = At::Expr(first);
                let value = self.argument(dot, inner)?;
                return self.chain(value, dot, names, args, last);
            }
            ExprKind::Function(name) => {
                return self.function(dot, name, first, At::Command(command), args, last);
            }
            ExprKind::Pipe(pipe) => {
                self.at = At::Expr(first);
                self.no_arguments(first, args, last.is_some())?;
                return self.pipeline(dot, pipe);
            }
            _ => {}
        }
        self.at = At::Expr(first);
        self.no_arguments(first, args, last.is_some())?;
        match &first.kind {
            ExprKind::Nil => fail("nil is not a command"),
            _ => Ok(literal(dot, first)),
        }
    }

    fn no_arguments(&self, first: &Expr, args: &[Expr], last: bool) -> Outcome<()> {
        match args.is_empty() && !last {
            true => Ok(()),
            false => fail(format_args!("can't give argument to non-function {first}")),
        }
    }

    fn variable(&self, name: &str) -> Outcome<Val> {
        match self.variables.iter().rev().find(|v| v.0 == name) {
            Some(variable) => Ok(variable.1.clone()),
            None => fail(format_args!("undefined variable: {name}")),
        }
    }

    /// Follows fields from `receiver`; only the last one may have arguments.
    fn chain(
        &mut self,
        receiver: Val,
        dot: &Val,
        names: &[String],
        args: &'t [Expr],
        last: Option<Val>,
    ) -> Outcome<Val> {
        let mut value = receiver;
        let (end, path) = match names.split_last() {
            Some(split) => split,
            None => return Ok(value),
        };
        for name in path {
            let next = self.field(&value, name)?;
            // Docker looks again in the JSON text, where an empty field is left out.
            if matches!(next, Val::Null(Null::Pointer)) && !object_has(&value, name) {
                let name = super::value::quote(name);
                return fail(format_args!("map has no entry for key {name}"));
            }
            value = next;
        }
        if let (Some(method), true) = (self.data.methods, self.data.is_root(&value)) {
            if end == "Label" {
                let count = args.len() + usize::from(last.is_some());
                if count != 1 {
                    return fail(format_args!(
                        "wrong number of args for Label: want 1 got {count}"
                    ));
                }
                let argument = match last {
                    Some(last) => self.check(last, Type::String)?,
                    None => self.typed_argument(dot, &args[0], Type::String)?,
                };
                return Ok(Val::str(&method(self.data, &argument.print())));
            }
            if (!args.is_empty() || last.is_some()) && object_has(&value, end) {
                let count = args.len() + usize::from(last.is_some());
                return fail(format_args!("wrong number of args for {end}: want 0 got {count}"));
            }
        }
        let has_args = !args.is_empty() || last.is_some();
        let object = matches!(value, Val::Object(_));
        if has_args && object {
            return fail(format_args!("{end} is not a method but has arguments"));
        }
        self.field(&value, end)
    }

    fn field(&self, receiver: &Val, name: &str) -> Outcome<Val> {
        match receiver {
            Val::Object(object) => {
                let quoted = super::value::quote(name);
                let is_struct = object.kind == ObjectKind::Struct;
                let names = self.data.names;
                if names == Names::Go && is_struct && Hints::DOCKER.is_json_only(name) {
                    return fail(format_args!("map has no entry for key {quoted}"));
                }
                if let Some(value) = object.field(name) {
                    return Ok(value.clone());
                }
                if names == Names::Json {
                    return fail(format_args!("map has no entry for key {quoted}"));
                }
                if object.kind != ObjectKind::Struct {
                    return Ok(Val::Missing);
                }
                let in_json = Hints::DOCKER.alias(name).unwrap_or(name);
                if let Some(value) = object.field(in_json) {
                    return Ok(value.clone());
                }
                let left_out = Hints::DOCKER.left_out(in_json);
                if let (None, Some(value)) = (&self.data.type_name, left_out) {
                    return Ok(value);
                }
                match &self.data.type_name {
                    Some(kind) => fail(format_args!("can't evaluate field {name} in type {kind}")),
                    None => fail(format_args!("map has no entry for key {quoted}")),
                }
            }
            Val::Missing if self.data.names == Names::Json => {
                fail(format_args!("nil pointer evaluating interface {{}}.{name}"))
            }
            // A map that is not there has no keys either.
            Val::Missing | Val::Null(Null::Map) => Ok(Val::Missing),
            Val::Null(Null::Pointer) => {
                fail(format_args!("nil pointer evaluating interface {{}}.{name}"))
            }
            _ => fail(format_args!("can't evaluate field {name} in type interface {{}}")),
        }
    }

    fn function(
        &mut self,
        dot: &Val,
        name: &'t str,
        word: &'t Expr,
        whole: At<'t>,
        args: &'t [Expr],
        last: Option<Val>,
    ) -> Outcome<Val> {
        self.at = At::Expr(word);
        let Some(signature) = functions::signature(name) else {
            return fail(format_args!("\"{name}\" is not a defined function"));
        };
        let header = self.data.header && functions::keeps_header(name);
        self.check_count(name, signature, args.len() + usize::from(last.is_some()))?;
        if matches!(name, "and" | "or") {
            let mut value = Val::Missing;
            for arg in args {
                value = self.argument(dot, arg)?;
                if value.is_true() == (name == "or") {
                    return Ok(value);
                }
            }
            return Ok(last.unwrap_or(value));
        }
        let kind = |index: usize| match signature.parameters.get(index) {
            Some(_) if header && index == 0 => Type::String,
            Some(kind) => *kind,
            None => Type::Any,
        };
        let mut values = Vec::with_capacity(args.len() + 1);
        for (index, arg) in args.iter().enumerate() {
            values.push(self.typed_argument(dot, arg, kind(index))?);
        }
        if let Some(last) = last {
            let value = self.check(last, kind(values.len()))?;
            values.push(value);
        }
        if header {
            return Ok(values.swap_remove(0));
        }
        if name == "json" && self.data.type_name.is_some() && self.data.is_root(&values[0]) {
            // Go's default, which Docker leaves on for whole rows only.
            let json = values[0].to_json().to_string();
            let json = json.replace('<', "\\u003c").replace('>', "\\u003e");
            return Ok(Val::str(&json.replace('&', "\\u0026")));
        }
        self.at = whole;
        let first = args.first().map(ToString::to_string).unwrap_or_default();
        functions::call(name, &values, &first)
            .or_else(|message| fail(format_args!("error calling {name}: {message}")))
    }

    fn check_count(&self, name: &str, signature: Signature, count: usize) -> Outcome<()> {
        let want = signature.parameters.len();
        if signature.variadic && count < want {
            return fail(format_args!(
                "wrong number of args for {name}: want at least {want} got {count}"
            ));
        }
        if !signature.variadic && count != want {
            return fail(format_args!("wrong number of args for {name}: want {want} got {count}"));
        }
        Ok(())
    }

    fn typed_argument(&mut self, dot: &Val, arg: &'t Expr, kind: Type) -> Outcome<Val> {
        let literal = matches!(
            arg.kind,
            ExprKind::Bool(_) | ExprKind::Integer(..) | ExprKind::Float(..) | ExprKind::String(..)
        );
        if literal && kind != Type::Any {
            self.at = At::Expr(arg);
            return match (kind, &arg.kind) {
                (Type::String, ExprKind::String(..)) | (Type::Int, ExprKind::Integer(..)) => {
                    Ok(self::literal(dot, arg))
                }
                (Type::String, _) => fail(format_args!("expected string; found {arg}")),
                (Type::Int, _) => fail(format_args!("expected integer; found {arg}")),
                _ => fail(format_args!("can't handle {arg} for arg of type []string")),
            };
        }
        if matches!(arg.kind, ExprKind::Nil) && matches!(kind, Type::String | Type::Int) {
            self.at = At::Expr(arg);
            let kind = kind.name();
            return fail(format_args!("cannot assign nil to {kind}"));
        }
        let value = self.argument(dot, arg)?;
        self.check(value, kind)
    }

    fn check(&self, value: Val, kind: Type) -> Outcome<Val> {
        let fits = match (kind, &value) {
            (Type::Any, _) | (Type::String, Val::Str(_)) | (Type::Int, Val::Int(_)) => true,
            (Type::Strings, value) => matches!(
                value,
                Val::List(_) | Val::Null(Null::List) | Val::Missing | Val::Null(Null::Pointer)
            ),
            _ => false,
        };
        let kind = kind.name();
        match (fits, &value) {
            (true, _) => Ok(value),
            (false, Val::Missing | Val::Null(_)) => {
                fail(format_args!("invalid value; expected {kind}"))
            }
            (false, value) => {
                let got = value.type_name();
                fail(format_args!("wrong type for value; expected {kind}; got {got}"))
            }
        }
    }

    /// Evaluates a word that is an argument.
    fn argument(&mut self, dot: &Val, arg: &'t Expr) -> Outcome<Val> {
        self.at = At::Expr(arg);
        match &arg.kind {
            ExprKind::Field(names) => self.chain(dot.clone(), dot, names, &[], None),
            ExprKind::Variable(name, names) => {
                let value = self.variable(name)?;
                self.chain(value, dot, names, &[], None)
            }
            ExprKind::Chain(inner, names) => {
                let value = self.argument(dot, inner)?;
                self.chain(value, dot, names, &[], None)
            }
            ExprKind::Function(name) => self.function(dot, name, arg, At::Expr(arg), &[], None),
            ExprKind::Pipe(pipe) => self.pipeline(dot, pipe),
            _ => Ok(literal(dot, arg)),
        }
    }
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Int => "int",
            Self::String => "string",
            Self::Strings => "[]string",
        }
    }
}

fn object_has(value: &Val, name: &str) -> bool {
    matches!(value, Val::Object(object) if object.field(name).is_some())
}

fn literal(dot: &Val, expr: &Expr) -> Val {
    match &expr.kind {
        ExprKind::Dot => dot.clone(),
        ExprKind::Bool(value) => Val::Bool(*value),
        ExprKind::Integer(_, value) => Val::Int(*value),
        ExprKind::Float(_, value) => Val::Float(*value),
        ExprKind::String(_, value) => Val::str(value),
        _ => Val::Missing,
    }
}
