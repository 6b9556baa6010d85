//! Files in `/etc` that are the container's own, not the image's.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::{ContainerConfig, Error, Host, HostConfig, links};

/// Checks what goes into the files, in the words of Docker's client.
pub(crate) fn validate(config: &HostConfig) -> Result<(), Error> {
    for host in &config.extra_hosts {
        extra_host(host)?;
    }
    for server in &config.dns {
        if server.parse::<IpAddr>().is_err() {
            return Err(Error::invalid(format!("{server} is not an ip address")));
        }
    }
    let unfit = |word: &&String| word.is_empty() || word.contains(char::is_whitespace);
    if let Some(domain) = config.dns_search.iter().find(unfit) {
        return Err(Error::invalid(format!("{domain} is not a valid domain")));
    }
    if let Some(option) = config.dns_options.iter().find(unfit) {
        return Err(Error::invalid(format!("{option} is not a resolver option")));
    }
    Ok(())
}

/// Returns path and content of each file.
pub(crate) fn files(
    config: &HostConfig,
    hostname: &str,
    host: &Host,
) -> Result<BTreeMap<String, String>, Error> {
    Ok(BTreeMap::from([
        ("/etc/hostname".into(), format!("{hostname}\n")),
        (HOSTS.into(), hosts(config, host.address)?),
        (RESOLVERS.into(), resolv_conf(config, &host.resolv_conf)),
    ]))
}

const HOSTS: &str = "/etc/hosts";
const RESOLVERS: &str = "/etc/resolv.conf";

/// What a container's networks mean for its files.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NetworkFacts {
    /// The container's own addresses.
    pub addresses: Vec<IpAddr>,
    /// Who answers questions for names; empty: those that the container asks for.
    pub nameservers: Vec<IpAddr>,
}

/// Returns path and content of the files that are other than [`crate::plan()`] says because the
/// container has networks.
pub fn network_files(
    config: &ContainerConfig,
    id: &str,
    host: &Host,
    facts: &NetworkFacts,
) -> Result<BTreeMap<String, String>, Error> {
    let mut hosts = hosts(&config.host, host.address)?;
    let linked = links::host_lines(&config.linked);
    for line in linked.into_iter().chain(host_lines(config, id, facts)) {
        hosts.push_str(&line);
        hosts.push('\n');
    }
    Ok(BTreeMap::from([
        (HOSTS.into(), hosts),
        (RESOLVERS.into(), resolv_conf(&resolvers(config, host, facts), &host.resolv_conf)),
    ]))
}

/// Returns path and lines of the files that change with the container's networks: the lines that are
/// there because of them.
pub fn network_lines(
    config: &ContainerConfig,
    id: &str,
    host: &Host,
    facts: &NetworkFacts,
) -> Result<BTreeMap<String, Vec<String>>, Error> {
    let file = resolv_conf(&resolvers(config, host, facts), &host.resolv_conf);
    let resolvers = file.lines().filter(|line| line.starts_with("nameserver "));
    Ok(BTreeMap::from([
        (HOSTS.into(), host_lines(config, id, facts)),
        (RESOLVERS.into(), resolvers.map(str::to_owned).collect()),
    ]))
}

/// Lines with the container's own names.
fn host_lines(config: &ContainerConfig, id: &str, facts: &NetworkFacts) -> Vec<String> {
    let hostname = hostname(config, id);
    let qualified = match config.domainname.as_str() {
        "" => hostname.to_owned(),
        domain => format!("{hostname}.{domain}"),
    };
    // As libnetwork: the domain may also have been given with the host's name.
    let names = match qualified.split_once('.') {
        Some((bare, _)) => format!("{qualified} {bare}"),
        None => qualified,
    };
    facts.addresses.iter().map(|address| format!("{address}\t{names}")).collect()
}

/// What the container asks for of its resolvers, with its network's in place of its own: those are
/// asked by that.
fn resolvers(config: &ContainerConfig, host: &Host, facts: &NetworkFacts) -> HostConfig {
    let mut resolvers = config.host.clone();
    if facts.nameservers.is_empty() {
        return resolvers;
    }
    resolvers.dns = facts.nameservers.iter().map(ToString::to_string).collect();
    let options = &mut resolvers.dns_options;
    if !options.iter().any(|option| option.starts_with("ndots:")) {
        // As Docker: names of containers have no dots, and are not to wait for what the resolvers of
        // search domains say.
        if options.is_empty() {
            *options = inherited(&host.resolv_conf, "options");
            options.retain(|option| !option.starts_with("ndots:"));
        }
        options.push("ndots:0".into());
    }
    resolvers
}

/// `/etc/hosts` of a container without network, as Docker writes it.
fn hosts(config: &HostConfig, gateway: Option<IpAddr>) -> Result<String, Error> {
    let mut text = String::from(
        "127.0.0.1\tlocalhost\n\
         ::1\tlocalhost ip6-localhost ip6-loopback\n\
         fe00::0\tip6-localnet\n\
         ff00::0\tip6-mcastprefix\n\
         ff02::1\tip6-allnodes\n\
         ff02::2\tip6-allrouters\n",
    );
    for host in &config.extra_hosts {
        let (name, address) = extra_host(host)?;
        let address = address.or(gateway).ok_or_else(|| {
            Error::invalid(
                "unable to derive the IP value for host-gateway: the host has no address but \
                 those of its loopback interface",
            )
        })?;
        text.push_str(&format!("{address}\t{name}\n"));
    }
    Ok(text)
}

/// The host's file where the container says nothing, else what it says, and the host's for the
/// rest: resolv.conf(5).
fn resolv_conf(config: &HostConfig, host: &str) -> String {
    if config.dns.is_empty() && config.dns_search.is_empty() && config.dns_options.is_empty() {
        return host.to_owned();
    }
    let choose = |own: &[String], keyword: &str| match own {
        [] => inherited(host, keyword),
        own => own.to_vec(),
    };
    let mut text = String::new();
    let search = choose(&config.dns_search, "search");
    // A single dot means: no search list.
    if !search.is_empty() && search != ["."] {
        text.push_str(&format!("search {}\n", search.join(" ")));
    }
    for server in choose(&config.dns, "nameserver") {
        text.push_str(&format!("nameserver {server}\n"));
    }
    let options = choose(&config.dns_options, "options");
    if !options.is_empty() {
        text.push_str(&format!("options {}\n", options.join(" ")));
    }
    text
}

/// Returns what the host's file says of `keyword`.
fn inherited(host: &str, keyword: &str) -> Vec<String> {
    let lines = host.lines().map(|line| line.split(['#', ';']).next().unwrap_or(""));
    let mut found: Vec<String> = Vec::new();
    for mut line in lines.map(str::split_whitespace) {
        if line.next() == Some(keyword) {
            if keyword != "nameserver" {
                found.clear();
            }
            found.extend(line.map(Into::into));
        }
    }
    found
}

/// Splits `name:address`; an address of IPv6 may stand in brackets, and `host-gateway` (`None`)
/// means the host.
fn extra_host(text: &str) -> Result<(&str, Option<IpAddr>), Error> {
    let (name, address) = match text.split_once(':') {
        Some((name, address)) if !name.is_empty() => (name, address),
        _ => {
            return Err(Error::invalid(format!("bad format for add-host: \"{text}\"")));
        }
    };
    if name.contains(char::is_whitespace) {
        return Err(Error::invalid(format!("bad format for add-host: \"{text}\"")));
    }
    if address == "host-gateway" {
        return Ok((name, None));
    }
    let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']'));
    match bare.unwrap_or(address).parse() {
        Ok(parsed) => Ok((name, Some(parsed))),
        Err(_) => Err(Error::invalid(format!("invalid IP address in add-host: \"{address}\""))),
    }
}

/// Name that the container has: its own, or the first digits of its identifier.
pub fn hostname<'a>(config: &'a ContainerConfig, id: &'a str) -> &'a str {
    match config.hostname.as_str() {
        "" => id.get(..12).unwrap_or(id),
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers() {
        let host =
            "# comment\nnameserver 10.0.0.1\nnameserver 10.0.0.2 # two\nsearch a b\noptions x\n";
        let of = |json: &str| resolv_conf(&serde_json::from_str(json).unwrap(), host);
        assert_eq!(of("{}"), host);
        assert_eq!(of(r#"{"dns": ["9.9.9.9"]}"#), "search a b\nnameserver 9.9.9.9\noptions x\n");
        assert_eq!(
            of(r#"{"dns": ["9.9.9.9"], "dns_search": ["x.y"], "dns_options": ["ndots:2"]}"#),
            "search x.y\nnameserver 9.9.9.9\noptions ndots:2\n"
        );
        assert_eq!(
            of(r#"{"dns_search": ["."]}"#),
            "nameserver 10.0.0.1\nnameserver 10.0.0.2\noptions x\n"
        );
    }

    #[test]
    fn the_hosts_address_is_known_or_missed() {
        let config = serde_json::from_str(r#"{"extra_hosts": ["gw:host-gateway"]}"#).unwrap();
        let text = hosts(&config, Some([10, 0, 0, 9].into())).unwrap();
        assert!(text.ends_with("\n10.0.0.9\tgw\n"), "{text}");
        assert!(hosts(&config, None).unwrap_err().to_string().contains("host-gateway"));
    }

    #[test]
    fn names_of_containers_do_not_wait_for_search_domains() {
        let facts = NetworkFacts { addresses: vec![], nameservers: vec![[10, 0, 0, 1].into()] };
        let file = |options: &[&str]| {
            let mut config = ContainerConfig::default();
            config.host.dns_options = options.iter().map(|option| (*option).into()).collect();
            config.host.dns = vec!["9.9.9.9".into()];
            let host = Host {
                resolv_conf: "nameserver 1.2.3.4\nsearch a\noptions edns0 ndots:2\n".into(),
                arch: hull_seccomp::Arch::X86_64,
                cpus: 1,
                memory: 1 << 30,
                address: None,
            };
            network_files(&config, "id", &host, &facts).unwrap()["/etc/resolv.conf"].clone()
        };
        assert_eq!(file(&[]), "search a\nnameserver 10.0.0.1\noptions edns0 ndots:0\n");
        assert_eq!(file(&["ndots:3"]), "search a\nnameserver 10.0.0.1\noptions ndots:3\n");
        assert_eq!(file(&["x"]), "search a\nnameserver 10.0.0.1\noptions x ndots:0\n");
    }

    #[test]
    fn extra_hosts() {
        for (text, expected) in [
            ("a:1.2.3.4", ("a", "1.2.3.4")),
            ("b:::1", ("b", "::1")),
            ("c:[2001:db8::1]", ("c", "2001:db8::1")),
        ] {
            let (name, address) = extra_host(text).unwrap();
            assert_eq!((name, address.unwrap().to_string().as_str()), expected);
        }
        assert_eq!(extra_host("d:host-gateway").unwrap(), ("d", None));
        for (text, message) in [
            ("a", "bad format for add-host: \"a\""),
            (":1.2.3.4", "bad format for add-host: \":1.2.3.4\""),
            ("a:x", "invalid IP address in add-host: \"x\""),
            ("a:1.2.3.4\nb", "invalid IP address in add-host: \"1.2.3.4\nb\""),
        ] {
            assert_eq!(extra_host(text).unwrap_err().to_string(), message);
        }
    }
}
