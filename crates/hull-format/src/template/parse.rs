//! From tokens to a template.

use std::collections::BTreeMap;

use super::ast::{Branch, Command, Expr, ExprKind, Node, Pipe};
use super::error::Error;
use super::functions;
use super::lex::{self, Kind, Token};
use super::value::quote;

/// The template itself (named by the empty string) and those that it defines.
pub(super) type Templates = BTreeMap<String, Vec<Node>>;

pub(super) fn parse(text: &str) -> Result<Templates, Error> {
    let mut parser = Parser {
        tokens: lex::tokens(text),
        next: 0,
        variables: vec!["$".into()],
        range_depth: 0,
        depth: 0,
        action_line: None,
        templates: Templates::new(),
    };
    let root = parser.root()?;
    parser.templates.insert(String::new(), root);
    Ok(parser.templates)
}

/// Nesting beyond which a template is refused: a guard for the stack.
const MAX_DEPTH: usize = 100;

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    variables: Vec<String>,
    range_depth: usize,
    depth: usize,
    action_line: Option<usize>,
    templates: Templates,
}

enum Item {
    Node(Node),
    End,
    /// What follows `else`: the rest of the same action where it is `else if` or `else with`.
    Else,
}

type Parsed<T> = Result<T, Error>;

impl Parser {
    fn root(&mut self) -> Parsed<Vec<Node>> {
        let mut nodes = Vec::new();
        while self.peek().kind != Kind::Eof {
            if self.peek().kind == Kind::LeftDelim {
                let delim = self.next;
                self.advance();
                if self.peek_word().is_keyword("define") {
                    self.advance_word();
                    self.definition()?;
                    continue;
                }
                self.next = delim;
            }
            match self.item()? {
                Item::Node(node) => nodes.push(node),
                Item::End => return self.fail("unexpected {{end}}"),
                Item::Else => return self.fail("unexpected {{else}}"),
            }
        }
        Ok(nodes)
    }

    fn definition(&mut self) -> Parsed<()> {
        let name = self.template_name("define clause")?;
        self.expect(Kind::RightDelim, "define clause")?;
        let variables = std::mem::replace(&mut self.variables, vec!["$".into()]);
        let (nodes, end) = self.list()?;
        if matches!(end, Item::Else) {
            return self.fail("unexpected {{else}} in define clause");
        }
        self.variables = variables;
        self.templates.insert(name, nodes);
        Ok(())
    }

    fn template_name(&mut self, context: &str) -> Parsed<String> {
        let token = self.advance_word();
        match token.kind {
            Kind::String | Kind::RawString => self.unquote(&token.text),
            _ => self.unexpected(&token, context),
        }
    }

    fn item(&mut self) -> Parsed<Item> {
        let token = self.advance_word();
        match token.kind {
            Kind::Text => Ok(Item::Node(Node::Text(token.text))),
            Kind::LeftDelim => {
                self.action_line = Some(token.line);
                self.action()
            }
            _ => self.unexpected(&token, "input"),
        }
    }

    fn action(&mut self) -> Parsed<Item> {
        let token = self.peek_word().clone();
        if token.kind != Kind::Keyword || matches!(token.text.as_str(), "." | "nil") {
            let pipe = self.pipeline("command", Kind::RightDelim)?;
            return Ok(Item::Node(Node::Action(pipe)));
        }
        self.advance_word();
        let node = match token.text.as_str() {
            "end" => {
                self.expect(Kind::RightDelim, "end")?;
                return Ok(Item::End);
            }
            "else" => {
                let word = self.peek_word();
                if !word.is_keyword("if") && !word.is_keyword("with") {
                    self.expect(Kind::RightDelim, "else")?;
                }
                return Ok(Item::Else);
            }
            "if" => Node::If(self.branch("if")?),
            "with" => Node::With(self.branch("with")?),
            "range" => Node::Range(self.branch("range")?),
            "break" => {
                self.in_range("{{break}}")?;
                Node::Break
            }
            "continue" => {
                self.in_range("{{continue}}")?;
                Node::Continue
            }
            "template" => {
                let pos = self.peek_word().pos;
                let name = self.template_name("template clause")?;
                let argument = match self.peek_word().kind {
                    Kind::RightDelim => {
                        self.advance_word();
                        None
                    }
                    _ => Some(self.pipeline("template clause", Kind::RightDelim)?),
                };
                Node::Template { pos, name, argument }
            }
            "block" => {
                let pos = self.peek_word().pos;
                let name = self.template_name("block clause")?;
                let argument = self.pipeline("block clause", Kind::RightDelim)?;
                let variables = std::mem::replace(&mut self.variables, vec!["$".into()]);
                let (nodes, end) = self.list()?;
                if matches!(end, Item::Else) {
                    return self.fail("unexpected {{else}} in block clause");
                }
                self.variables = variables;
                self.templates.insert(name.clone(), nodes);
                Node::Template { pos, name, argument: Some(argument) }
            }
            _ => return self.unexpected(&token, "command"),
        };
        Ok(Item::Node(node))
    }

    fn in_range(&mut self, what: &str) -> Parsed<()> {
        self.expect(Kind::RightDelim, what)?;
        match self.range_depth {
            0 => self.fail(&format!("{what} outside {{{{range}}}}")),
            _ => Ok(()),
        }
    }

    fn branch(&mut self, context: &str) -> Parsed<Branch> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.fail("template is nested too deeply");
        }
        let scope = self.variables.len();
        let pipe = self.pipeline(context, Kind::RightDelim)?;
        let in_range = usize::from(context == "range");
        self.range_depth += in_range;
        let (body, end) = self.list()?;
        self.range_depth -= in_range;
        let mut otherwise = Vec::new();
        if matches!(end, Item::Else) {
            let word = self.peek_word().clone();
            if word.is_keyword(context) && context != "range" {
                // One {{end}} closes both.
                self.advance_word();
                let branch = self.branch(context)?;
                otherwise.push(match context {
                    "if" => Node::If(branch),
                    _ => Node::With(branch),
                });
            } else if word.kind == Kind::Keyword && matches!(word.text.as_str(), "if" | "with") {
                return self.unexpected(&word, "input");
            } else {
                let (nodes, end) = self.list()?;
                if matches!(end, Item::Else) {
                    return self.fail("expected end; found {{else}}");
                }
                otherwise = nodes;
            }
        }
        self.variables.truncate(scope);
        self.depth -= 1;
        Ok(Branch { pipe, body, otherwise })
    }

    /// Reads nodes until `end` or `else`.
    fn list(&mut self) -> Parsed<(Vec<Node>, Item)> {
        let mut nodes = Vec::new();
        while self.peek().kind != Kind::Eof {
            match self.item()? {
                Item::Node(node) => nodes.push(node),
                end => return Ok((nodes, end)),
            }
        }
        self.fail("unexpected EOF")
    }

    fn pipeline(&mut self, context: &str, end: Kind) -> Parsed<Pipe> {
        let mut pipe = Pipe { variables: Vec::new(), assigns: false, commands: Vec::new() };
        self.declarations(context, &mut pipe)?;
        loop {
            let token = self.peek_word().clone();
            match token.kind {
                kind if kind == end => {
                    self.advance_word();
                    self.check_pipeline(&pipe, context)?;
                    return Ok(pipe);
                }
                Kind::Keyword if !matches!(token.text.as_str(), "." | "nil") => {
                    self.advance_word();
                    return self.unexpected(&token, context);
                }
                Kind::Bool
                | Kind::CharConstant
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Keyword
                | Kind::RawString
                | Kind::String
                | Kind::Variable
                | Kind::LeftParen => {
                    let command = self.command()?;
                    pipe.commands.push(command);
                }
                _ => {
                    self.advance_word();
                    return self.unexpected(&token, context);
                }
            }
        }
    }

    fn declarations(&mut self, context: &str, pipe: &mut Pipe) -> Parsed<()> {
        loop {
            let variable = self.peek_word().clone();
            if variable.kind != Kind::Variable {
                return Ok(());
            }
            let before = self.next;
            self.advance_word();
            let sign = self.peek_word().clone();
            match sign.kind {
                Kind::Assign | Kind::Declare => {
                    pipe.assigns = sign.kind == Kind::Assign;
                    self.advance_word();
                    pipe.variables.push(variable.text.clone());
                    self.variables.push(variable.text);
                    return Ok(());
                }
                Kind::Char if sign.text == "," => {
                    self.advance_word();
                    pipe.variables.push(variable.text.clone());
                    self.variables.push(variable.text);
                    if context == "range" && pipe.variables.len() < 2 {
                        match self.peek_word().kind {
                            Kind::Variable | Kind::RightDelim | Kind::RightParen => continue,
                            _ => return self.fail("range can only initialize variables"),
                        }
                    }
                    return self.fail(&format!("too many declarations in {context}"));
                }
                _ => {
                    self.next = before;
                    return Ok(());
                }
            }
        }
    }

    fn check_pipeline(&mut self, pipe: &Pipe, context: &str) -> Parsed<()> {
        if pipe.commands.is_empty() {
            return self.fail(&format!("missing value for {context}"));
        }
        for (index, command) in pipe.commands.iter().enumerate().skip(1) {
            if matches!(
                command.words[0].kind,
                ExprKind::Bool(_)
                    | ExprKind::Dot
                    | ExprKind::Nil
                    | ExprKind::Integer(..)
                    | ExprKind::Float(..)
                    | ExprKind::String(..)
            ) {
                let stage = index + 1;
                return self.fail(&format!("non executable command in pipeline stage {stage}"));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Parsed<Command> {
        let mut command = Command { pos: self.peek_word().pos, words: Vec::new() };
        loop {
            self.peek_word();
            if let Some(word) = self.operand()? {
                command.words.push(word);
            }
            let token = self.advance();
            match token.kind {
                Kind::Space => continue,
                Kind::RightDelim | Kind::RightParen => self.next -= 1,
                Kind::Pipe => {}
                _ => return self.unexpected(&token, "operand"),
            }
            break;
        }
        if command.words.is_empty() {
            return self.fail("empty command");
        }
        Ok(command)
    }

    fn operand(&mut self) -> Parsed<Option<Expr>> {
        let Some(term) = self.term()? else {
            return Ok(None);
        };
        if self.peek().kind != Kind::Field {
            return Ok(Some(term));
        }
        let pos = self.peek().pos;
        let mut fields = Vec::new();
        while self.peek().kind == Kind::Field {
            fields.push(self.advance().text[1..].to_owned());
        }
        let kind = match term.kind {
            ExprKind::Field(mut names) => {
                names.extend(fields);
                ExprKind::Field(names)
            }
            ExprKind::Variable(name, mut names) => {
                names.extend(fields);
                ExprKind::Variable(name, names)
            }
            ExprKind::Function(_) | ExprKind::Pipe(_) | ExprKind::Chain(..) => {
                ExprKind::Chain(Box::new(term), fields)
            }
            _ => {
                let text = quote(&term.to_string());
                return self.fail(&format!("unexpected . after term {text}"));
            }
        };
        Ok(Some(Expr { pos, kind }))
    }

    fn term(&mut self) -> Parsed<Option<Expr>> {
        let before = self.next;
        let token = self.advance_word();
        let kind = match token.kind {
            Kind::Identifier => {
                if !functions::exists(&token.text) {
                    let name = quote(&token.text);
                    return self.fail(&format!("function {name} not defined"));
                }
                ExprKind::Function(token.text)
            }
            Kind::Keyword if token.text == "." => ExprKind::Dot,
            Kind::Keyword if token.text == "nil" => ExprKind::Nil,
            Kind::Variable => {
                if !self.variables.contains(&token.text) {
                    let name = quote(&token.text);
                    return self.fail(&format!("undefined variable {name}"));
                }
                ExprKind::Variable(token.text, Vec::new())
            }
            Kind::Field => ExprKind::Field(vec![token.text[1..].to_owned()]),
            Kind::Bool => ExprKind::Bool(token.text == "true"),
            Kind::Number => self.number(token.text)?,
            Kind::CharConstant => {
                let mut chars = lex::unquote(&token.text).unwrap_or_default();
                match (chars.pop(), chars.is_empty()) {
                    (Some(c), true) => ExprKind::Integer(token.text, (c as u32).into()),
                    _ => {
                        let text = &token.text;
                        return self.fail(&format!("malformed character constant: {text}"));
                    }
                }
            }
            Kind::LeftParen => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return self.fail("template is nested too deeply");
                }
                let pipe = self.pipeline("parenthesized pipeline", Kind::RightParen)?;
                self.depth -= 1;
                ExprKind::Pipe(Box::new(pipe))
            }
            Kind::String | Kind::RawString => {
                let value = self.unquote(&token.text)?;
                ExprKind::String(token.text, value)
            }
            _ => {
                self.next = before;
                return Ok(None);
            }
        };
        let pos = token.pos;
        Ok(Some(Expr { pos, kind }))
    }

    fn number(&mut self, text: String) -> Parsed<ExprKind> {
        let plain = text.replace('_', "");
        let (sign, digits) = match plain.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, plain.strip_prefix('+').unwrap_or(&plain)),
        };
        let lower = digits.to_ascii_lowercase();
        let radix = |prefix: &str, radix| {
            let digits = lower.strip_prefix(prefix)?;
            Some(i64::from_str_radix(digits, radix))
        };
        let integer = radix("0x", 16)
            .or_else(|| radix("0o", 8))
            .or_else(|| radix("0b", 2))
            .or_else(|| match lower.strip_prefix('0') {
                Some(octal) if !octal.is_empty() && !octal.contains(['.', 'e']) => {
                    Some(i64::from_str_radix(octal, 8))
                }
                _ => None,
            })
            .unwrap_or_else(|| lower.parse());
        if let Ok(value) = integer {
            return Ok(ExprKind::Integer(text, sign * value));
        }
        match lower.parse::<f64>() {
            Ok(value) if value.is_finite() && lower.contains(['.', 'e']) => {
                Ok(ExprKind::Float(text, value * sign as f64))
            }
            Ok(_) => {
                let text = quote(&text);
                self.fail(&format!("integer overflow: {text}"))
            }
            Err(_) => {
                let text = quote(&text);
                self.fail(&format!("illegal number syntax: {text}"))
            }
        }
    }

    fn unquote(&mut self, text: &str) -> Parsed<String> {
        match lex::unquote(text) {
            Some(value) => Ok(value),
            None => self.fail("invalid syntax"),
        }
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Parsed<()> {
        let token = self.advance_word();
        if token.kind == kind {
            return Ok(());
        }
        self.unexpected(&token, context)
    }

    fn unexpected<T>(&mut self, token: &Token, context: &str) -> Parsed<T> {
        if token.kind != Kind::Error {
            return self.fail(&format!("unexpected {} in {context}", token.describe()));
        }
        let extra = match self.action_line {
            Some(line) if line != token.line => match token.text.ends_with(" action") {
                true => format!(" started at :{line}"),
                false => format!(" in action started at :{line}"),
            },
            _ => String::new(),
        };
        let message = format!("{}{extra}", token.text);
        self.fail(&message)
    }

    /// The line is that of the token which was looked at last.
    fn fail<T>(&mut self, message: &str) -> Parsed<T> {
        let token = self.next.min(self.tokens.len() - 1);
        let seen = &self.tokens
            [token.saturating_sub(usize::from(self.tokens[token].kind != Kind::Eof && token > 0))];
        Err(Error::Parse { line: seen.line, message: message.into() })
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    /// Skips space, then looks at the next token.
    fn peek_word(&mut self) -> &Token {
        while self.peek().kind == Kind::Space {
            self.next += 1;
        }
        self.peek()
    }

    fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn advance_word(&mut self) -> Token {
        self.peek_word();
        self.advance()
    }
}
