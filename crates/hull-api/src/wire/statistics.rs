//! `GET /containers/{id}/stats`.

use hull_protocol::Statistics;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// Writes one measurement; `before` is the one that was sent last.
pub(crate) fn statistics(
    (id, name): (&str, &str),
    time: Timestamp,
    now: &Statistics,
    before: Option<&(Timestamp, Statistics)>,
) -> Value {
    let mut value = json!({
        "read": super::time(Some(time)),
        "preread": super::time(before.map(|(time, _)| *time)),
        "pids_stats": {"current": now.pids, "limit": now.pids_limit.unwrap_or(u64::MAX)},
        "blkio_stats": {
            "io_service_bytes_recursive": [
                {"major": 0, "minor": 0, "op": "read", "value": now.block_read_bytes},
                {"major": 0, "minor": 0, "op": "write", "value": now.block_write_bytes},
            ],
            "io_serviced_recursive": [
                {"major": 0, "minor": 0, "op": "read", "value": now.block_reads},
                {"major": 0, "minor": 0, "op": "write", "value": now.block_writes},
            ],
            "io_queue_recursive": null,
            "io_service_time_recursive": null,
            "io_wait_time_recursive": null,
            "io_merged_recursive": null,
            "io_time_recursive": null,
            "sectors_recursive": null,
        },
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": cpu(Some(now)),
        "precpu_stats": cpu(before.map(|(_, before)| before)),
        "memory_stats": {
            "usage": now.memory_usage,
            "max_usage": now.memory_peak,
            "stats": now.memory_stat,
            "limit": now.memory_limit.unwrap_or(0),
        },
        "name": format!("/{name}"),
        "id": id,
    });
    if !now.networks.is_empty() {
        let networks: Map<String, Value> =
            now.networks.iter().map(|(name, network)| (name.clone(), json!(network))).collect();
        value["networks"] = Value::Object(networks);
    }
    value
}

fn cpu(statistics: Option<&Statistics>) -> Value {
    let Some(statistics) = statistics else {
        return json!({
            "cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
            "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
        });
    };
    let nanoseconds = |microseconds: u64| microseconds.saturating_mul(1000);
    json!({
        "cpu_usage": {
            "total_usage": nanoseconds(statistics.cpu_usage_us),
            "usage_in_kernelmode": nanoseconds(statistics.cpu_system_us),
            "usage_in_usermode": nanoseconds(statistics.cpu_user_us),
        },
        "system_cpu_usage": statistics.system_cpu_ns,
        "online_cpus": statistics.online_cpus,
        "throttling_data": {
            "periods": statistics.cpu_periods,
            "throttled_periods": statistics.cpu_throttled_periods,
            "throttled_time": nanoseconds(statistics.cpu_throttled_us),
        },
    })
}
