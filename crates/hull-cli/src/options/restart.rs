//! `--restart`.

use serde_json::{Value as Json, json};

use crate::error::Failure;

/// A restart policy as a user writes it, for Docker's API; the daemon knows which there are.
///
/// # Errors
/// As docker's client has them.
pub(crate) fn restart_policy(text: &str) -> Result<Json, Failure> {
    let (name, count) = match text.split_once(':') {
        Some(("", _)) => {
            return Err(Failure::new(
                "invalid restart policy format: no policy provided before colon",
            ));
        }
        Some((name, count)) => (name, count),
        None => (text, ""),
    };
    let count: i64 = match count {
        "" => 0,
        count => count.parse().map_err(|_| {
            Failure::new("invalid restart policy format: maximum retry count must be an integer")
        })?,
    };
    Ok(json!({"Name": name, "MaximumRetryCount": count}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_as_docker_reads_them() {
        let read = |text| restart_policy(text).map_err(|failure| failure.to_string());
        assert_eq!(read("always").unwrap(), json!({"Name": "always", "MaximumRetryCount": 0}));
        assert_eq!(
            read("on-failure:-3").unwrap(),
            json!({"Name": "on-failure", "MaximumRetryCount": -3})
        );
        assert!(read("on-failure:x").unwrap_err().ends_with("must be an integer"));
        assert!(read(":3").unwrap_err().ends_with("before colon"));
    }
}
