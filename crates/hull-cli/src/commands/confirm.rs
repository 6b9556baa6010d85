//! Questions before something is removed.

use std::io::{BufRead as _, stdin};

use crate::error::Failure;
use crate::output;

/// Asks whether to go on; anything but yes is no.
pub(super) fn ask(warning: &str) -> Result<bool, Failure> {
    output::print(format!("{warning}\nAre you sure you want to continue? [y/N] "))?;
    let mut answer = String::new();
    stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}
