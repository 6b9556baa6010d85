//! What all commands that remove what is not used have in common.

use serde_json::Value;

use crate::client::Client;
use crate::error::Failure;
use crate::options::Filter;
use crate::output;

/// Removes `kind` (`Containers`, `Images`, `Networks` or `Volumes`), says which, and returns how many
/// bytes that took.
pub(super) async fn prune(
    client: &Client<'_>,
    kind: &str,
    filter: &Filter,
) -> Result<u64, Failure> {
    let query = filter.parameter();
    let path = format!("/{}/prune?{}", kind.to_lowercase(), query.trim_start_matches('&'));
    let answer = client.post(&path, None).await?;
    let removed = answer[format!("{kind}Deleted")].as_array();
    let lines: String = removed.into_iter().flatten().map(line).collect();
    if !lines.is_empty() {
        output::print(format!("Deleted {kind}:\n{lines}\n"))?;
    }
    Ok(answer["SpaceReclaimed"].as_u64().unwrap_or(0))
}

fn line(item: &Value) -> String {
    let text = |name: &str| item[name].as_str();
    match (item.as_str(), text("Untagged"), text("Deleted")) {
        (Some(name), _, _) => format!("{name}\n"),
        (None, Some(name), _) => format!("untagged: {name}\n"),
        (None, None, Some(id)) => format!("deleted: {id}\n"),
        (None, None, None) => String::new(),
    }
}
