//! Commands that do the same with each of their arguments.

use std::future::Future;

use futures_util::StreamExt as _;
use futures_util::stream;

use crate::client::ClientError;
use crate::error::Failure;
use crate::output;

/// Does `work` with each of `names`, several at a time, and prints what it returns in order. Errors
/// do not stop it: they are printed, and the exit code is 1 at the end.
pub(super) async fn each<'n, F>(
    names: &'n [String],
    work: impl Fn(&'n str) -> F,
) -> Result<(), Failure>
where
    F: Future<Output = Result<String, ClientError>>,
{
    let mut failed = false;
    let mut results =
        std::pin::pin!(stream::iter(names).map(|name| work(name)).buffered(AT_A_TIME));
    while let Some(result) = results.next().await {
        match result {
            Ok(text) if text.is_empty() => {}
            Ok(text) => output::line(&text)?,
            Err(error) => {
                failed = true;
                output::error(&output::chain(&error));
                if let Some(hint) = error.hint() {
                    output::hint(hint);
                }
            }
        }
    }
    if failed { Err(Failure::Code(1)) } else { Ok(()) }
}

/// As docker's client.
const AT_A_TIME: usize = 50;
