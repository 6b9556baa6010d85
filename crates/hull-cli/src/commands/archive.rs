//! Commands whose output is an archive, to a file or to standard output.

use std::fs;
use std::io::{self, IsTerminal as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use http::Method;
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt as _;

use crate::client::{Client, body};
use crate::copy;
use crate::error::Failure;

/// Refuses terminals, and files that cannot be written to. `context` says in docker's words what
/// fails then.
pub(super) fn check(output: &str, context: &str) -> Result<(), Failure> {
    if output.is_empty() {
        return match io::stdout().is_terminal() {
            true => Err(Failure::new(
                "cowardly refusing to save to a terminal. Use the -o flag or redirect",
            )),
            false => Ok(()),
        };
    }
    check_path(output).map_err(|failure| Failure::new(format!("{context}: {failure}")))
}

/// Refuses paths of this machine that nothing can be written to, as docker's
/// `ValidateOutputPath`.
pub(super) fn check_path(path: &str) -> Result<(), Failure> {
    let (parent, _) = copy::split(path);
    if parent != "." && !Path::new(&parent).exists() {
        return Err(Failure::new(format!(
            "invalid output path: directory {parent:?} does not exist"
        )));
    }
    let device = fs::metadata(path)
        .is_ok_and(|stat| stat.file_type().is_char_device() || stat.file_type().is_block_device());
    if device {
        return Err(Failure::new(format!(
            "invalid output path: {path:?} must be a directory or a regular file: got a device"
        )));
    }
    Ok(())
}

/// Writes the answer to `query` to the file `output`, which is whole or as it was before; to
/// standard output if it is empty.
pub(super) async fn fetch(client: &Client<'_>, query: &str, output: &str) -> Result<(), Failure> {
    let mut bytes = body(client.send(Method::GET, query, None).await?);
    if output.is_empty() {
        let mut stdout = tokio::io::stdout();
        tokio::io::copy(&mut bytes, &mut stdout).await?;
        return Ok(stdout.flush().await?);
    }
    let (parent, _) = copy::split(output);
    let failed = |error: io::Error| Failure::new(format!("open {output}: {error}"));
    let temporary = NamedTempFile::new_in(parent).map_err(failed)?;
    let mut file = tokio::fs::File::from_std(temporary.reopen()?);
    tokio::io::copy(&mut bytes, &mut file).await?;
    file.flush().await?;
    temporary.persist(output).map_err(|error| failed(error.error))?;
    Ok(())
}
