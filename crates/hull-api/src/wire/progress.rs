//! Progress messages of `POST /images/create` and `POST /images/load`.

use hull_engine::image::{PullProgress, Pulled};
use hull_format::human_size;
use serde_json::{Value, json};

/// Writes what a pull is doing.
pub(crate) fn pulling(progress: &PullProgress) -> Option<Value> {
    let simple =
        |status: &str, layer: &str| json!({"status": status, "progressDetail": {}, "id": layer});
    let bytes = |status: &str, layer: &str, current: u64, total: u64| {
        json!({
            "status": status,
            "progressDetail": {"current": current, "total": total},
            "progress": bar(current, total),
            "id": layer,
        })
    };
    Some(match progress {
        PullProgress::Began { repository, tag } => {
            json!({"status": format!("Pulling from {repository}"), "id": tag})
        }
        PullProgress::Layer { layer } => simple("Pulling fs layer", layer),
        PullProgress::Exists { layer } => simple("Already exists", layer),
        PullProgress::Downloading { layer, current, total } => {
            bytes("Downloading", layer, *current, *total)
        }
        PullProgress::Downloaded { layer } => simple("Download complete", layer),
        PullProgress::Extracting { layer, current, total } => {
            bytes("Extracting", layer, *current, *total)
        }
        PullProgress::Complete { layer } => simple("Pull complete", layer),
        PullProgress::Retrying { layer, seconds, .. } => {
            let unit = if *seconds == 1 { "second" } else { "seconds" };
            simple(&format!("Retrying in {seconds} {unit}"), layer)
        }
        _ => return None,
    })
}

/// Writes the last two messages of a pull.
pub(crate) fn pulled(pulled: &Pulled) -> [Value; 2] {
    let status = if pulled.newer {
        format!("Status: Downloaded newer image for {}", pulled.familiar)
    } else {
        format!("Status: Image is up to date for {}", pulled.familiar)
    };
    [json!({"status": format!("Digest: {}", pulled.digest)}), json!({"status": status})]
}

/// Writes that an image has been loaded; `name` is its name or id.
pub(crate) fn loaded(name: &str) -> Value {
    let what = if name.starts_with("sha256:") { "Loaded image ID" } else { "Loaded image" };
    json!({"stream": format!("{what}: {name}\n")})
}

/// Docker's progress bar, for clients that print it as it is.
fn bar(current: u64, total: u64) -> String {
    if total == 0 || current > total {
        return format!("{:>8}", human_size(current));
    }
    // At most 50: `current` is not above `total`.
    let done = (u128::from(current) * 50 / u128::from(total)) as usize;
    let left = 50 - done;
    let [current, total] = [human_size(current), human_size(total)];
    format!("[{}>{:left$}] {current:>8}/{total}", "=".repeat(done), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_dockers() {
        let [spaces, lines] = [" ".repeat(50), "=".repeat(50)];
        assert_eq!(bar(0, 1000), format!("[>{spaces}]       0B/1kB"));
        assert_eq!(bar(1000, 1000), format!("[{lines}>]      1kB/1kB"));
        assert_eq!(bar(5_368_709, 0), " 5.369MB");
    }
}
