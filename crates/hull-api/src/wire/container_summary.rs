//! `GET /containers/json`.

use hull_engine::{State, Status, Summary};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::container_inspect::mount;
use super::host_config::shown_network;
use super::network::networks;

/// Writes one line of a list; `now` tells how long ago things happened.
pub(crate) fn container_summary(container: &Summary, now: Timestamp) -> Value {
    let network = shown_network(&container.network_mode);
    let mut value = json!({
        "Id": container.id,
        "Names": [format!("/{}", container.name)],
        "Image": container.image,
        "ImageID": container.image_id,
        "Command": command(&container.command),
        "Created": container.created.as_second(),
        "Ports": [],
    });
    if let Some(size) = container.size_rw {
        value["SizeRw"] = json!(size);
    }
    if let Some(size) = container.size_root_fs {
        value["SizeRootFs"] = json!(size);
    }
    value["Labels"] = json!(container.labels);
    value["State"] = json!(container.state.status.as_str());
    value["Status"] = json!(status(&container.state, now));
    value["HostConfig"] = json!({"NetworkMode": network});
    value["NetworkSettings"] = json!({"Networks": networks(network)});
    value["Mounts"] = container.mounts.iter().map(mount).collect();
    value
}

/// The command line as `ps` shows it: words with white space in quotes.
fn command(words: &[String]) -> String {
    let quote = |word: &String| {
        if word.contains(' ') {
            format!("'{word}'")
        } else {
            word.clone()
        }
    };
    match words.split_first() {
        Some((path, arguments)) => std::iter::once(path.clone())
            .chain(arguments.iter().map(quote))
            .collect::<Vec<_>>()
            .join(" "),
        None => String::new(),
    }
}

/// Docker's `Up 5 minutes`, `Exited (0) 3 hours ago` and so on.
fn status(state: &State, now: Timestamp) -> String {
    let ago = |time: Option<Timestamp>| human(now.as_second() - time.unwrap_or(now).as_second());
    match state.status {
        Status::Created => "Created".into(),
        Status::Dead => "Dead".into(),
        Status::Exited => {
            format!(
                "Exited ({}) {} ago",
                state.exit_code,
                ago(state.finished_at)
            )
        }
        Status::Paused => format!("Up {} (Paused)", ago(state.started_at)),
        Status::Removing => "Removal In Progress".into(),
        Status::Restarting => {
            format!(
                "Restarting ({}) {} ago",
                state.exit_code,
                ago(state.finished_at)
            )
        }
        Status::Running => format!("Up {}", ago(state.started_at)),
    }
}

/// A duration in words, as go-units' `HumanDuration` says it.
fn human(seconds: i64) -> String {
    let minutes = seconds / 60;
    // Go rounds to the nearest hour here, and to whole days and more of hours below.
    let hours = (seconds + 1800) / 3600;
    match (seconds, minutes, hours) {
        (..1, _, _) => "Less than a second".into(),
        (1, _, _) => "1 second".into(),
        (2..60, _, _) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".into(),
        (_, 2..60, _) => format!("{minutes} minutes"),
        (_, _, 1) => "About an hour".into(),
        (_, _, 2..48) => format!("{hours} hours"),
        (_, _, 48..336) => format!("{} days", hours / 24),
        (_, _, 336..1440) => format!("{} weeks", hours / 24 / 7),
        (_, _, 1440..17520) => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_worded_as_dockers() {
        let cases = [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (3599, "59 minutes"),
            (3600, "About an hour"),
            (5400, "2 hours"),
            (47 * 3600, "47 hours"),
            (48 * 3600, "2 days"),
            (14 * 86400, "2 weeks"),
            (60 * 86400, "2 months"),
            (800 * 86400, "2 years"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(human(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn arguments_with_spaces_are_quoted() {
        let words = ["sh", "-c", "sleep 5"].map(str::to_owned);
        assert_eq!(command(&words), "sh -c 'sleep 5'");
        assert_eq!(command(&[]), "");
    }
}
