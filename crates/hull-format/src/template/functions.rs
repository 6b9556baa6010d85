//! Functions of templates: Go's own and Docker's.

use super::hints::ObjectKind;
use super::printf::{sprint, sprintf, sprintln};
use super::value::{Null, Val};

/// What a parameter takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Type {
    Any,
    Int,
    String,
    Strings,
}

/// How a function is called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signature {
    pub(super) parameters: &'static [Type],
    /// More arguments of any type may follow.
    pub(super) variadic: bool,
}

pub(super) fn exists(name: &str) -> bool {
    signature(name).is_some()
}

/// Whether the table header, where functions leave the column's name as it is, has it too.
pub(super) fn keeps_header(name: &str) -> bool {
    matches!(name, "json" | "split" | "join" | "title" | "lower" | "upper" | "truncate")
}

pub(super) fn signature(name: &str) -> Option<Signature> {
    use Type::{Any, Int, String, Strings};
    let (parameters, variadic): (&[Type], bool) = match name {
        "and" | "or" | "eq" | "index" | "slice" | "call" => (&[Any], true),
        "ne" | "lt" | "le" | "gt" | "ge" => (&[Any, Any], false),
        "not" | "len" | "json" => (&[Any], false),
        "print" | "println" | "html" | "js" | "urlquery" => (&[], true),
        "printf" => (&[String], true),
        "upper" | "lower" | "title" => (&[String], false),
        "split" => (&[String, String], false),
        "join" => (&[Strings, String], false),
        "truncate" => (&[String, Int], false),
        "pad" => (&[String, Int, Int], false),
        _ => return None,
    };
    Some(Signature { parameters, variadic })
}

/// Calls a function with arguments that fit its signature. `and` and `or` are not here: they
/// evaluate their arguments one by one.
pub(super) fn call(name: &str, args: &[Val], first: &str) -> Result<Val, String> {
    let text = |index: usize| match &args[index] {
        Val::Str(text) => &**text,
        _ => "",
    };
    let number = |index: usize| match args[index] {
        Val::Int(value) => value,
        _ => 0,
    };
    Ok(match name {
        "not" => Val::Bool(!args[0].is_true()),
        "eq" => Val::Bool(equal(args)?),
        "ne" => Val::Bool(!equal(args)?),
        "lt" => Val::Bool(less(&args[0], &args[1])?),
        "ge" => Val::Bool(!less(&args[0], &args[1])?),
        "gt" => Val::Bool(less(&args[1], &args[0])?),
        "le" => Val::Bool(!less(&args[1], &args[0])?),
        "len" => Val::Int(length(&args[0])?),
        "index" => index(&args[0], &args[1..])?,
        "slice" => slice(&args[0], &args[1..])?,
        "call" => match &args[0] {
            Val::Missing | Val::Null(_) => return Err("call of nil".into()),
            value => {
                let kind = value.type_name();
                return Err(format!("non-function {first} of type {kind}"));
            }
        },
        "json" => Val::str(&args[0].to_json().to_string()),
        "print" => Val::str(&sprint(args)),
        "println" => Val::str(&sprintln(args)),
        "printf" => Val::str(&sprintf(text(0), &args[1..])),
        "html" => Val::str(&escape_html(&sprint(args))),
        "js" => Val::str(&escape_js(&sprint(args))),
        "urlquery" => Val::str(&escape_query(&sprint(args))),
        "upper" => Val::str(&text(0).to_uppercase()),
        "lower" => Val::str(&text(0).to_lowercase()),
        "title" => Val::str(&title(text(0))),
        "split" => Val::List(split(text(0), text(1))),
        "join" => match &args[0] {
            Val::List(items) => {
                let items: Vec<_> = items.iter().map(Val::print).collect();
                Val::str(&items.join(text(1)))
            }
            _ => Val::str(""),
        },
        "truncate" => truncate(text(0), number(1))?,
        "pad" if text(0).is_empty() => Val::str(""),
        "pad" => {
            let spaces = |count: i64| match usize::try_from(count) {
                Ok(count) if count <= 1_000_000 => Ok(" ".repeat(count)),
                Ok(_) => Err("strings: Repeat output length overflow".to_owned()),
                Err(_) => Err("strings: negative Repeat count".to_owned()),
            };
            Val::str(&format!("{}{}{}", spaces(number(1))?, text(0), spaces(number(2))?))
        }
        _ => return Err(format!("function {name} is not implemented")),
    })
}

fn equal(args: &[Val]) -> Result<bool, String> {
    if args.len() < 2 {
        return Err("missing argument for comparison".into());
    }
    for other in &args[1..] {
        if equal_pair(&args[0], other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equal_pair(left: &Val, right: &Val) -> Result<bool, String> {
    use Val::{Bool, Float, Int, List, Missing, Null, Object, Str, Uint};
    match (left, right) {
        (Bool(a), Bool(b)) => Ok(a == b),
        (Int(a), Int(b)) => Ok(a == b),
        (Uint(a), Uint(b)) => Ok(a == b),
        (Int(a), Uint(b)) | (Uint(b), Int(a)) => Ok(u64::try_from(*a) == Ok(*b)),
        (Float(a), Float(b)) => Ok(a == b),
        (Str(a), Str(b)) => Ok(a == b),
        (Missing | Null(_), Missing | Null(_)) => Ok(true),
        (Missing | Null(_), _) | (_, Missing | Null(_)) => Ok(false),
        (List(_) | Object(_), _) | (_, List(_) | Object(_)) => {
            Err("non-comparable type".to_owned())
        }
        _ => Err("incompatible types for comparison".into()),
    }
}

fn less(left: &Val, right: &Val) -> Result<bool, String> {
    use Val::{Bool, Float, Int, List, Missing, Null, Object, Str, Uint};
    let invalid = |val: &Val| matches!(val, Bool(_) | List(_) | Object(_) | Missing | Null(_));
    match (left, right) {
        (Int(a), Int(b)) => Ok(a < b),
        (Uint(a), Uint(b)) => Ok(a < b),
        (Int(a), Uint(b)) => Ok(*a < 0 || (*a as u64) < *b),
        (Uint(a), Int(b)) => Ok(*b >= 0 && *a < *b as u64),
        (Float(a), Float(b)) => Ok(a < b),
        (Str(a), Str(b)) => Ok(a < b),
        (a, b) if invalid(a) || invalid(b) => Err("invalid type for comparison".into()),
        _ => Err("incompatible types for comparison".into()),
    }
}

fn length(value: &Val) -> Result<i64, String> {
    Ok(match value {
        Val::Str(text) => text.len() as i64,
        Val::List(items) => items.len() as i64,
        Val::Object(object) => object.fields.len() as i64,
        Val::Null(Null::List | Null::Map) => 0,
        Val::Missing => {
            return Err("reflect: call of reflect.Value.Type on zero Value".into());
        }
        Val::Null(Null::Pointer) => return Err("len of nil pointer".into()),
        value => return Err(format!("len of type {}", value.type_name())),
    })
}

fn index(value: &Val, indexes: &[Val]) -> Result<Val, String> {
    if matches!(value, Val::Missing | Val::Null(Null::Pointer)) {
        return Err("index of untyped nil".into());
    }
    let mut value = value.clone();
    for index in indexes {
        value = match &value {
            Val::List(items) => items[position(index, items.len())?].clone(),
            Val::Null(Null::List) => {
                position(index, 0)?;
                Val::Missing
            }
            Val::Str(text) => {
                let byte = text.as_bytes()[position(index, text.len())?];
                Val::Int(byte.into())
            }
            Val::Object(object) => match (index, object.kind) {
                (Val::Str(name), kind) => match (object.field(name), kind) {
                    (Some(value), _) => value.clone(),
                    (None, ObjectKind::StringMap) => Val::str(""),
                    (None, _) => Val::Missing,
                },
                (index, _) => {
                    let kind = index.type_name();
                    return Err(format!("value has type {kind}; should be string"));
                }
            },
            Val::Null(Null::Map) => Val::Missing,
            Val::Missing | Val::Null(Null::Pointer) => return Err("index of nil pointer".into()),
            value => return Err(format!("can't index item of type {}", value.type_name())),
        };
    }
    Ok(value)
}

fn position(index: &Val, length: usize) -> Result<usize, String> {
    match index {
        Val::Int(at) => match usize::try_from(*at) {
            Ok(at) if at < length => Ok(at),
            _ => Err(format!("index out of range: {at}")),
        },
        Val::Missing | Val::Null(_) => Err("cannot index slice/array with nil".into()),
        other => {
            let kind = other.type_name();
            Err(format!("cannot index slice/array with type {kind}"))
        }
    }
}

fn slice(value: &Val, bounds: &[Val]) -> Result<Val, String> {
    if bounds.len() > 3 {
        let count = bounds.len();
        return Err(format!("too many slice indexes: {count}"));
    }
    let length = match value {
        Val::Str(_) if bounds.len() == 3 => return Err("cannot 3-index slice a string".into()),
        Val::Str(text) => text.len(),
        Val::List(items) => items.len(),
        Val::Null(Null::List) => 0,
        Val::Missing | Val::Null(_) => return Err("slice of untyped nil".into()),
        value => return Err(format!("can't slice item of type {}", value.type_name())),
    };
    let bound = |index: usize, default: usize| match bounds.get(index) {
        None => Ok(default),
        Some(bound) => position(bound, length + 1),
    };
    let (from, to) = (bound(0, 0)?, bound(1, length)?);
    bound(2, length)?;
    if from > to {
        return Err(format!("invalid slice index: {from} > {to}"));
    }
    Ok(match value {
        Val::Str(text) => Val::str(&String::from_utf8_lossy(&text.as_bytes()[from..to])),
        Val::List(items) => Val::List(items[from..to].into()),
        _ => value.clone(),
    })
}

fn split(text: &str, separator: &str) -> std::rc::Rc<[Val]> {
    if separator.is_empty() {
        return text.chars().map(|c| Val::str(&c.to_string())).collect();
    }
    text.split(separator).map(Val::str).collect()
}

/// Capital letters at the beginning of words, as Go's `strings.Title`.
fn title(text: &str) -> String {
    let mut start = true;
    let mut titled = String::with_capacity(text.len());
    for c in text.chars() {
        if start {
            titled.extend(c.to_uppercase());
        } else {
            titled.push(c);
        }
        start = match c {
            c if c.is_ascii() => !c.is_ascii_alphanumeric() && c != '_',
            c => c.is_whitespace(),
        };
    }
    titled
}

fn truncate(text: &str, length: i64) -> Result<Val, String> {
    match usize::try_from(length) {
        Ok(length) if text.len() < length => Ok(Val::str(text)),
        Ok(length) => Ok(Val::str(&String::from_utf8_lossy(&text.as_bytes()[..length]))),
        Err(_) => Err(format!("runtime error: slice bounds out of range [:{length}]")),
    }
}

fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\0' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

fn escape_js(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '\'' => escaped.push_str("\\'"),
            '"' => escaped.push_str("\\\""),
            '<' => escaped.push_str("\\u003C"),
            '>' => escaped.push_str("\\u003E"),
            '&' => escaped.push_str("\\u0026"),
            '=' => escaped.push_str("\\u003D"),
            c if (c as u32) < 0x20 => escaped.push_str(&format!("\\u{:04X}", c as u32)),
            c => escaped.push(c),
        }
    }
    escaped
}

fn escape_query(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => escaped.push('+'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(byte.into());
            }
            byte => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}
