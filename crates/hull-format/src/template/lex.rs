//! Tokens of a template. The rules and the words of the errors are those of Go's
//! `text/template/parse`.

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Assign,
    Bool,
    Char,
    CharConstant,
    Declare,
    Eof,
    Field,
    Identifier,
    LeftDelim,
    LeftParen,
    Number,
    Pipe,
    RawString,
    RightDelim,
    RightParen,
    Space,
    String,
    Text,
    Variable,
    Keyword,
    /// The end of what can be read; the value is the message.
    Error,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Byte offset in the template.
    pub(super) pos: usize,
    pub(super) line: usize,
    pub(super) text: String,
}

impl Token {
    pub(super) fn is_keyword(&self, word: &str) -> bool {
        self.kind == Kind::Keyword && self.text == word
    }

    /// As errors show it.
    pub(super) fn describe(&self) -> String {
        match self.kind {
            Kind::Eof => "EOF".into(),
            Kind::Error => self.text.clone(),
            Kind::Keyword => format!("<{}>", self.text),
            _ if self.text.len() > 10 => {
                let short: String = self.text.chars().take(10).collect();
                format!("{}...", super::value::quote(&short))
            }
            _ => super::value::quote(&self.text),
        }
    }
}

/// Splits a whole template. A malformed one ends with a token of [`Kind::Error`].
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { text, pos: 0, tokens: Vec::new() };
    if let Err(message) = lexer.run() {
        lexer.push_at(
            lexer.tokens.last().map_or(0, |t| t.pos.max(lexer.pos)),
            Kind::Error,
            message,
        );
    }
    lexer.tokens
}

const LEFT: &str = "{{";
const RIGHT: &str = "}}";
const LEFT_COMMENT: &str = "/*";
const RIGHT_COMMENT: &str = "*/";
const KEYWORDS: [&str; 11] = [
    "block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with",
];

struct Lexer<'a> {
    text: &'a str,
    pos: usize,
    tokens: Vec<Token>,
}

type Step = Result<(), String>;

impl Lexer<'_> {
    fn run(&mut self) -> Step {
        loop {
            let rest = &self.text[self.pos..];
            let Some(start) = rest.find(LEFT) else {
                self.push_text(self.text.len());
                let end = self.text.len();
                self.push_at(end, Kind::Eof, String::new());
                return Ok(());
            };
            let delim = self.pos + start;
            let after = delim + LEFT.len();
            let trim = left_trim(&self.text[after..]);
            let text_end = match trim {
                true => self.pos + self.text[self.pos..delim].trim_end_matches(is_space).len(),
                false => delim,
            };
            self.push_text(text_end);
            self.pos = after + if trim { 2 } else { 0 };
            if self.text[self.pos..].starts_with(LEFT_COMMENT) {
                self.comment()?;
            } else {
                self.push_at(delim, Kind::LeftDelim, LEFT.into());
                self.action()?;
            }
        }
    }

    fn comment(&mut self) -> Step {
        let Some(length) = self.text[self.pos..].find(RIGHT_COMMENT) else {
            return Err("unclosed comment".into());
        };
        self.pos += length + RIGHT_COMMENT.len();
        match self.right_delim() {
            Some(trim) => {
                self.skip_right_delim(trim);
                Ok(())
            }
            None => Err("comment ends before closing delimiter".into()),
        }
    }

    fn action(&mut self) -> Step {
        let mut depth = 0;
        loop {
            if let Some(trim) = self.right_delim() {
                if depth > 0 {
                    return Err("unclosed left paren".into());
                }
                self.push_at(self.pos, Kind::RightDelim, RIGHT.into());
                self.skip_right_delim(trim);
                return Ok(());
            }
            let Some(c) = self.text[self.pos..].chars().next() else {
                return Err("unclosed action".into());
            };
            let rest = &self.text[self.pos..];
            match c {
                c if is_space(c) => self.spaces(),
                '=' => self.push(Kind::Assign, 1),
                ':' if rest.starts_with(":=") => self.push(Kind::Declare, 2),
                ':' => return Err("expected :=".into()),
                '|' => self.push(Kind::Pipe, 1),
                '"' => self.quoted('"', Kind::String, "unterminated quoted string")?,
                '\'' => {
                    self.quoted('\'', Kind::CharConstant, "unterminated character constant")?;
                }
                '`' => {
                    let end = rest[1..].find('`').ok_or("unterminated raw quoted string")?;
                    self.push(Kind::RawString, end + 2);
                }
                '$' => self.name(Kind::Variable)?,
                '.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                    self.name(Kind::Field)?;
                }
                '.' | '+' | '-' | '0'..='9' => self.number()?,
                '(' => {
                    depth += 1;
                    self.push(Kind::LeftParen, 1);
                }
                ')' => {
                    if depth == 0 {
                        return Err("unexpected right paren".into());
                    }
                    depth -= 1;
                    self.push(Kind::RightParen, 1);
                }
                c if is_alphanumeric(c) => self.identifier()?,
                ' '..='~' => self.push(Kind::Char, 1),
                c => return Err(format!("unrecognized character in action: {}", unicode(c))),
            }
        }
    }

    fn spaces(&mut self) {
        let rest = &self.text[self.pos..];
        let mut length = rest.len() - rest.trim_start_matches(is_space).len();
        // The last space may belong to a trimming delimiter.
        if rest[length - 1..].starts_with(" -}}") || rest[length - 1..].starts_with("\n-}}") {
            length -= 1;
        }
        if length > 0 {
            self.push(Kind::Space, length);
        }
    }

    fn quoted(&mut self, quote: char, kind: Kind, unterminated: &str) -> Step {
        let mut escaped = false;
        for (offset, c) in self.text[self.pos..].char_indices().skip(1) {
            match c {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                c if c == quote => {
                    self.push(kind, offset + 1);
                    return Ok(());
                }
                _ => {}
            }
        }
        Err(unterminated.into())
    }

    /// A field (`.name`, or the dot alone) or a variable (`$name`, or `$` alone).
    fn name(&mut self, kind: Kind) -> Step {
        let rest = &self.text[self.pos + 1..];
        let length = rest.len() - rest.trim_start_matches(is_alphanumeric).len();
        self.check_end(&rest[length..])?;
        match (length, kind) {
            (0, Kind::Field) => self.push(Kind::Keyword, 1),
            _ => self.push(kind, length + 1),
        }
        Ok(())
    }

    fn identifier(&mut self) -> Step {
        let rest = &self.text[self.pos..];
        let length = rest.len() - rest.trim_start_matches(is_alphanumeric).len();
        self.check_end(&rest[length..])?;
        let kind = match &rest[..length] {
            "true" | "false" => Kind::Bool,
            word if KEYWORDS.contains(&word) => Kind::Keyword,
            _ => Kind::Identifier,
        };
        self.push(kind, length);
        Ok(())
    }

    fn check_end(&self, rest: &str) -> Step {
        match rest.chars().next() {
            None => Ok(()),
            Some(c) if is_space(c) || ".,|:)(".contains(c) || rest.starts_with(RIGHT) => Ok(()),
            Some(c) => Err(format!("bad character {}", unicode(c))),
        }
    }

    fn number(&mut self) -> Step {
        let rest = &self.text[self.pos..];
        let mut length = usize::from(rest.starts_with(['+', '-']));
        let accept = |length: &mut usize, set: &str| {
            let found = rest[*length..].starts_with(|c| set.contains(c));
            *length += usize::from(found);
            found
        };
        let mut digits = "0123456789_";
        if accept(&mut length, "0") {
            if accept(&mut length, "xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if accept(&mut length, "oO") {
                digits = "01234567_";
            } else if accept(&mut length, "bB") {
                digits = "01_";
            }
        }
        while accept(&mut length, digits) {}
        if accept(&mut length, ".") {
            while accept(&mut length, digits) {}
        }
        if digits.len() == 11 && accept(&mut length, "eE") {
            accept(&mut length, "+-");
            while accept(&mut length, "0123456789_") {}
        }
        if let Some(c) = rest[length..].chars().next().filter(|c| is_alphanumeric(*c)) {
            let bad = &rest[..length + c.len_utf8()];
            return Err(format!("bad number syntax: {}", super::value::quote(bad)));
        }
        self.push(Kind::Number, length);
        Ok(())
    }

    /// Whether a right delimiter is here, and whether it trims.
    fn right_delim(&self) -> Option<bool> {
        let rest = &self.text[self.pos..];
        if rest.starts_with(RIGHT) {
            return Some(false);
        }
        let trims = rest.starts_with(is_space) && rest[1..].starts_with("-}}");
        trims.then_some(true)
    }

    fn skip_right_delim(&mut self, trim: bool) {
        self.pos += RIGHT.len();
        if trim {
            self.pos += 2;
            let rest = &self.text[self.pos..];
            self.pos += rest.len() - rest.trim_start_matches(is_space).len();
        }
    }

    fn push_text(&mut self, end: usize) {
        if end > self.pos {
            let text = self.text[self.pos..end].to_owned();
            self.push_at(self.pos, Kind::Text, text);
        }
        self.pos = end.max(self.pos);
    }

    fn push(&mut self, kind: Kind, length: usize) {
        let text = self.text[self.pos..self.pos + length].to_owned();
        self.push_at(self.pos, kind, text);
        self.pos += length;
    }

    fn push_at(&mut self, pos: usize, kind: Kind, text: String) {
        let line = 1 + self.text[..pos].matches('\n').count();
        self.tokens.push(Token { kind, pos, line, text });
    }
}

fn left_trim(after: &str) -> bool {
    after.starts_with('-') && after[1..].starts_with(is_space)
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Go's `%#U`.
fn unicode(c: char) -> String {
    format!("U+{:04X} '{c}'", c as u32)
}

/// Decodes a quoted or raw string, or a character constant, as Go's `strconv.Unquote` does.
pub(super) fn unquote(text: &str) -> Option<String> {
    let quote = text.chars().next()?;
    let body = &text[1..text.len() - 1];
    if quote == '`' {
        return Some(body.replace('\r', ""));
    }
    let mut bytes = Vec::new();
    let mut rest = body;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c != '\\' {
            bytes.extend(c.encode_utf8(&mut [0; 4]).bytes());
            continue;
        }
        let escape = rest.chars().next()?;
        rest = &rest[escape.len_utf8()..];
        let mut number = |length: usize, radix| {
            let digits = rest.get(..length)?;
            rest = &rest[length..];
            u32::from_str_radix(digits, radix).ok()
        };
        match escape {
            'a' => bytes.push(7),
            'b' => bytes.push(8),
            'f' => bytes.push(12),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            'v' => bytes.push(11),
            '\\' => bytes.push(b'\\'),
            c if c == quote => bytes.push(c as u8),
            'x' => bytes.push(u8::try_from(number(2, 16)?).ok()?),
            'u' | 'U' => {
                let length = if escape == 'u' { 4 } else { 8 };
                let c = char::from_u32(number(length, 16)?)?;
                bytes.extend(c.encode_utf8(&mut [0; 4]).bytes());
            }
            '0'..='7' => {
                let high = escape as u32 - '0' as u32;
                bytes.push(u8::try_from(high * 64 + number(2, 8)?).ok()?);
            }
            _ => return None,
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
