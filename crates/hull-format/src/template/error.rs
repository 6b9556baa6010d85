//! Errors of templates, in the words of Go.

/// Why a template cannot be parsed or executed.
///
/// The text begins with `template: :LINE`; Docker puts `template parsing error: ` before it, or
/// (where it lists containers) `failed to parse template: ` and `failed to execute template: `.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("template: :{line}: {message}")]
    Parse { line: usize, message: String },
    #[error("template: :{line}:{column}: executing \"{template}\" at <{context}>: {message}")]
    Execute { line: usize, column: usize, template: String, context: String, message: String },
}
