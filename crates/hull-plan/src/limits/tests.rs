use super::*;
use hull_seccomp::Arch;

fn host() -> Host {
    Host { arch: Arch::X86_64, cpus: 4, memory: 8 << 30, resolv_conf: String::new(), address: None }
}

#[test]
fn ulimits() {
    let parsed = |text: &str| text.parse::<Ulimit>().map(|u| (u.name, u.soft, u.hard));
    assert_eq!(parsed("nofile=5").unwrap(), ("nofile".into(), 5, 5));
    assert_eq!(parsed("nofile=5:9").unwrap(), ("nofile".into(), 5, 9));
    assert_eq!(parsed("core=-1").unwrap(), ("core".into(), -1, -1));
    assert_eq!(parsed("nofile=1:-1").unwrap(), ("nofile".into(), 1, -1));
    for (text, message) in [
        ("nofile", "invalid ulimit argument: nofile"),
        ("foo=1", "invalid ulimit type: foo"),
        ("as=1", "invalid ulimit type: as"),
        ("nofile=x", "strconv.ParseInt: parsing \"x\": invalid syntax"),
        ("nofile=1k", "strconv.ParseInt: parsing \"1k\": invalid syntax"),
        (
            "nofile=1:2:3",
            "too many limit value arguments - 1:2:3, can only have up to two, `soft[:hard]`",
        ),
        ("nofile=20:10", "ulimit soft limit must be less than or equal to hard limit: 20 > 10"),
        (
            "nofile=-1:1",
            "ulimit soft limit must be less than or equal to hard limit: \
             soft: -1 (unlimited), hard: 1",
        ),
    ] {
        assert_eq!(parsed(text).unwrap_err().to_string(), message);
    }
}

#[test]
fn nano_cpus() {
    for (text, nano) in [
        ("2", 2_000_000_000),
        ("1.5", 1_500_000_000),
        (".25", 250_000_000),
        ("1/4", 250_000_000),
        ("0.000000001", 1),
        ("-1", -1_000_000_000),
    ] {
        assert_eq!(parse_nano_cpus(text).unwrap(), nano, "{text}");
    }
    for (text, message) in [
        ("x", "failed to parse x as a rational number"),
        ("", "failed to parse  as a rational number"),
        ("1/0", "failed to parse 1/0 as a rational number"),
        ("1/3", "value is too precise"),
        ("0.0000000001", "value is too precise"),
    ] {
        assert_eq!(parse_nano_cpus(text).unwrap_err().to_string(), message);
    }
}

#[test]
fn messages_are_those_of_docker() {
    let of = |json: &str| {
        let config: HostConfig = serde_json::from_str(json).unwrap();
        validate(&config, &host()).map_err(|error| error.to_string())
    };
    for json in [
        "{}",
        r#"{"memory": 6291456, "memory_swap": -1}"#,
        r#"{"nano_cpus": 4000000000, "cpuset_cpus": "0-2,3"}"#,
        r#"{"memory_swappiness": -1, "oom_score_adj": -1000, "cpu_quota": -1}"#,
    ] {
        assert_eq!(of(json), Ok(()), "{json}");
    }
    for (json, message) in [
        (r#"{"memory": 4}"#, "Minimum memory limit allowed is 6MB"),
        (r#"{"memory": -1}"#, "Minimum memory limit allowed is 6MB"),
        (
            r#"{"memory": 20971520, "memory_swap": 10485760}"#,
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        (
            r#"{"memory_swap": 10485760}"#,
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        ),
        (r#"{"memory_reservation": 5242880}"#, "Minimum memory reservation allowed is 6MB"),
        (
            r#"{"memory": 20971520, "memory_reservation": 31457280}"#,
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        ),
        (
            r#"{"memory_swappiness": 101}"#,
            "Invalid value: 101, valid memory swappiness range is 0-100",
        ),
        (
            r#"{"nano_cpus": 99000000000}"#,
            "Range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available",
        ),
        (
            r#"{"nano_cpus": 1000000000, "cpu_period": 1000}"#,
            "Conflicting options: Nano CPUs and CPU Period cannot both be set",
        ),
        (
            r#"{"cpu_period": 1}"#,
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ),
        (r#"{"cpu_quota": 1}"#, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
        (r#"{"cpu_shares": -5}"#, "shares: invalid argument"),
        (
            r#"{"cpuset_cpus": "99"}"#,
            "Requested CPUs are not available - requested 99, available: 0-1",
        ),
        (r#"{"cpuset_cpus": "x"}"#, "Invalid value x for cpuset cpus: invalid format: x"),
        (
            r#"{"cpuset_mems": "7"}"#,
            "Requested memory nodes are not available - requested 7, available: 0",
        ),
        (r#"{"shm_size": -1}"#, "SHM size can not be less than 0"),
        (
            r#"{"oom_score_adj": 2000}"#,
            "Invalid value 2000, range for oom score adj is [-1000, 1000]",
        ),
        (r#"{"ulimits": [{"name": "x", "soft": 1, "hard": 1}]}"#, "invalid ulimit type: x"),
    ] {
        assert_eq!(of(json).unwrap_err(), message, "{json}");
    }
}

#[test]
fn machines_hold_what_is_asked_for() {
    for (json, vcpus, memory_mib) in [
        ("{}", 2, 1136),
        (r#"{"memory": 6291456, "nano_cpus": 10000000}"#, 1, 112),
        (r#"{"nano_cpus": 1500000000, "memory": 2147483648}"#, 2, 2176),
        (r#"{"nano_cpus": 1000000000}"#, 1, 1136),
        (r#"{"cpu_quota": 350000}"#, 4, 1136),
        (r#"{"memory": 9223372036854775807}"#, 2, 8416),
    ] {
        let config = serde_json::from_str(json).unwrap();
        assert_eq!(VmSize::new(&config, &host()), VmSize { vcpus, memory_mib }, "{json}");
    }
}
