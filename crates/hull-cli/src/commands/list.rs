//! What lists have in common.

use hull_format::{Format, Listing, Row};

use crate::error::Failure;
use crate::output;

/// Help of `--format` of lists.
pub(super) const FORMAT: &str = "Format output using a custom template:\n\
    'table':            Print output in table format with column headers (default)\n\
    'table TEMPLATE':   Print output in table format using the given Go template\n\
    'json':             Print in JSON format\n\
    'TEMPLATE':         Print output using the given Go template.";

/// Parses `--format`; with `--quiet` it means nothing, which the user is told.
pub(super) fn format(text: &str, quiet: bool, listing: &Listing) -> Result<Format, Failure> {
    let text = match text {
        text if quiet && !text.is_empty() => {
            output::error(
                "WARNING: Ignoring custom format, because both --format and --quiet are set.",
            );
            ""
        }
        text => text,
    };
    Format::parse(text, listing)
        .map_err(|error| Failure::new(format!("{}: {error}", wording(listing).0)))
}

/// Whether `--quiet` says what is printed: beside a template it says nothing to docker's lists, but
/// for the one of containers, which has it the other way round.
pub(super) fn is_quiet(quiet: bool, format: &str) -> bool {
    quiet && matches!(format, "" | "table")
}

/// Prints a list.
pub(super) fn print(format: &Format, listing: &Listing, rows: &[Row]) -> Result<(), Failure> {
    let text = format
        .render(listing, rows)
        .map_err(|error| Failure::new(format!("{}: {error}", wording(listing).1)))?;
    output::print(text)
}

/// How docker's client begins an error in parsing and in executing a template: its list of
/// containers looks at the template itself, before the others' code does.
fn wording(listing: &Listing) -> (&'static str, &'static str) {
    if listing.type_name == "*formatter.ContainerContext" {
        ("failed to parse template", "failed to execute template")
    } else {
        ("template parsing error", "template parsing error")
    }
}
