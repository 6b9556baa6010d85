//! `hull stats`.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use hull_format::{Format, Listing, Row, bytes_size, human_size_with_precision, short_id};
use serde_json::{Value, json};

use super::{Command, Invocation, list};
use crate::client::{Client, ClientError, encode};
use crate::error::Failure;
use crate::flags::Arity;
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "stats",
    arguments: "[OPTIONS] [CONTAINER...]",
    about: "Display a live stream of container(s) resource usage statistics",
    aliases: &["container stats", "stats"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut all = false;
    let mut format = String::new();
    let mut no_stream = false;
    let mut no_trunc = false;
    let mut flags = invocation.flags();
    flags.both(&mut all, 'a', "all", "Show all containers (default shows just running)");
    flags.long(&mut format, "format", list::FORMAT);
    flags.long(
        &mut no_stream,
        "no-stream",
        "Disable streaming stats and only pull the first result",
    );
    flags.long(&mut no_trunc, "no-trunc", "Do not truncate output");
    let named = flags.parse(arguments, Arity::AtLeast(0))?;
    let format = list::format(&format, false, &STATISTICS)?;
    invocation.wait_for(async {
        let client = invocation.client();
        loop {
            let containers = match named.is_empty() {
                true => running(&client, all).await?,
                false => named.clone(),
            };
            let measured = join_all(containers.iter().map(|name| measure(&client, name))).await;
            let mut rows = Vec::new();
            for (name, sample) in containers.iter().zip(measured) {
                match sample {
                    Ok(sample) => rows.push(row(name, &sample, no_trunc)),
                    // One of a list may have gone since.
                    Err(error) if named.is_empty() && error.is_not_found() => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if no_stream {
                return list::print(&format, &STATISTICS, &rows);
            }
            frame(&format, &rows)?;
            // The measurement of the next one takes a second.
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    })
}

/// Prints one picture of a stream: on a terminal each takes the place of the one before.
fn frame(format: &Format, rows: &[Row]) -> Result<(), Failure> {
    use std::io::IsTerminal as _;
    if std::io::stdout().is_terminal() {
        output::print("\x1b[2J\x1b[H")?;
    }
    list::print(format, &STATISTICS, rows)
}

async fn running(client: &Client<'_>, all: bool) -> Result<Vec<String>, ClientError> {
    let containers = client.get(&format!("/containers/json?all={}", u8::from(all))).await?;
    let containers = containers.as_array().into_iter().flatten();
    // As in Docker, what nobody named is called by the short form of its identifier.
    Ok(containers
        .filter_map(|container| Some(short_id(container["Id"].as_str()?).to_owned()))
        .collect())
}

async fn measure(client: &Client<'_>, name: &str) -> Result<Value, ClientError> {
    client.get(&format!("/containers/{}/stats?stream=0", encode(name))).await
}

fn row(name: &str, sample: &Value, no_trunc: bool) -> Row {
    let id = sample["id"].as_str().unwrap_or_default();
    let id = if no_trunc { id } else { short_id(id) };
    let memory = &sample["memory_stats"];
    let limit = number(&memory["limit"]);
    // Pages that hold files are given back when memory is short.
    let used = number(&memory["usage"]);
    let used = used.saturating_sub(number(&memory["stats"]["inactive_file"]).min(used));
    let percent = if limit == 0 { 0.0 } else { used as f64 / limit as f64 * 100.0 };
    let pair = |one: u64, other: u64| {
        let size = |bytes| human_size_with_precision(bytes, 3);
        format!("{} / {}", size(one), size(other))
    };
    let network = |key: &str| {
        let networks = sample["networks"].as_object().into_iter().flatten();
        networks.map(|(_, network)| number(&network[key])).sum::<u64>()
    };
    let block = |operation: &str| {
        let all = sample["blkio_stats"]["io_service_bytes_recursive"].as_array();
        let all = all.into_iter().flatten();
        let fitting = all.filter(|entry| {
            entry["op"].as_str().is_some_and(|op| op.eq_ignore_ascii_case(operation))
        });
        fitting.map(|entry| number(&entry["value"])).sum::<u64>()
    };
    let name_shown = sample["name"].as_str().unwrap_or_default().trim_start_matches('/');
    Row {
        columns: vec![
            ("BlockIO", json!(pair(block("read"), block("write")))),
            ("CPUPerc", json!(format!("{:.2}%", cpu_percent(sample)))),
            ("Container", json!(name)),
            ("ID", json!(id)),
            ("MemPerc", json!(format!("{percent:.2}%"))),
            ("MemUsage", json!(format!("{} / {}", bytes_size(used), bytes_size(limit)))),
            ("Name", json!(name_shown)),
            ("NetIO", json!(pair(network("rx_bytes"), network("tx_bytes")))),
            ("PIDs", json!(number(&sample["pids_stats"]["current"]).to_string())),
        ],
        labels: BTreeMap::new(),
    }
}

/// As docker's `calculateCPUPercentUnix`.
fn cpu_percent(sample: &Value) -> f64 {
    let delta = |path: &dyn Fn(&Value) -> u64| {
        path(&sample["cpu_stats"]) as f64 - path(&sample["precpu_stats"]) as f64
    };
    let own = delta(&|stats| number(&stats["cpu_usage"]["total_usage"]));
    let system = delta(&|stats| number(&stats["system_cpu_usage"]));
    if own <= 0.0 || system <= 0.0 {
        return 0.0;
    }
    own / system * number(&sample["cpu_stats"]["online_cpus"]).max(1) as f64 * 100.0
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

const STATISTICS: Listing = Listing {
    type_name: "*container.statsContext",
    titles: &[
        ("BlockIO", "BLOCK I/O"),
        ("CPUPerc", "CPU %"),
        ("Container", "CONTAINER"),
        ("ID", "CONTAINER ID"),
        ("MemPerc", "MEM %"),
        ("MemUsage", "MEM USAGE / LIMIT"),
        ("Name", "NAME"),
        ("NetIO", "NET I/O"),
        ("PIDs", "PIDS"),
    ],
    table: "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t\
            {{.BlockIO}}\t{{.PIDs}}",
    raw: None,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_all_cpus() {
        let sample = json!({
            "cpu_stats": {
                "cpu_usage": {"total_usage": 300}, "system_cpu_usage": 2000, "online_cpus": 2
            },
            "precpu_stats": {"cpu_usage": {"total_usage": 100}, "system_cpu_usage": 1000},
        });
        assert!((cpu_percent(&sample) - 40.0).abs() < 1e-9);
        assert!(cpu_percent(&json!({})).abs() < 1e-9);
    }

    #[test]
    fn cached_files_are_no_use_of_memory() {
        let sample = json!({
            "id": "0123456789abcdef", "name": "/box",
            "memory_stats": {"usage": 3 << 20, "limit": 4 << 20, "stats": {"inactive_file": 1 << 20}},
        });
        let row = row("box", &sample, false);
        let cell = |name| row.columns.iter().find(|(column, _)| *column == name).unwrap().1.clone();
        assert_eq!(cell("MemUsage"), "2MiB / 4MiB");
        assert_eq!(cell("MemPerc"), "50.00%");
        assert_eq!(cell("ID"), "0123456789ab");
        assert_eq!(cell("NetIO"), "0B / 0B");
    }
}
