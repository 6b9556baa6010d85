//! Files in `/etc` that are the container's own, not the image's.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::{ContainerConfig, Error, Host, HostConfig};

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
        ("/etc/hosts".into(), hosts(config)?),
        ("/etc/resolv.conf".into(), resolv_conf(config, &host.resolv_conf)),
    ]))
}

/// What a container's networks mean for its files.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NetworkFacts {
    /// The container's own addresses.
    pub addresses: Vec<IpAddr>,
    /// Who answers questions for names.
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
    let mut hosts = hosts(&config.host)?;
    let hostname = hostname(config, id);
    let names = match config.domainname.as_str() {
        "" => hostname.to_owned(),
        domain => format!("{hostname}.{domain} {hostname}"),
    };
    for address in &facts.addresses {
        hosts.push_str(&format!("{address}\t{names}\n"));
    }
    let mut resolvers = config.host.clone();
    if resolvers.dns.is_empty() {
        resolvers.dns = facts.nameservers.iter().map(ToString::to_string).collect();
    }
    Ok(BTreeMap::from([
        ("/etc/hosts".into(), hosts),
        ("/etc/resolv.conf".into(), resolv_conf(&resolvers, &host.resolv_conf)),
    ]))
}

/// `/etc/hosts` of a container without network, as Docker writes it.
fn hosts(config: &HostConfig) -> Result<String, Error> {
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
    let inherited = |keyword: &str| -> Vec<String> {
        let lines = host.lines().map(|line| line.split(['#', ';']).next().unwrap_or(""));
        let mut words = lines.map(str::split_whitespace);
        let mut found: Vec<String> = Vec::new();
        for line in words.by_ref() {
            let mut line = line;
            if line.next() == Some(keyword) {
                if keyword != "nameserver" {
                    found.clear();
                }
                found.extend(line.map(Into::into));
            }
        }
        found
    };
    let choose = |own: &[String], keyword: &str| match own {
        [] => inherited(keyword),
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

/// Splits `name:address`; an address of IPv6 may stand in brackets.
fn extra_host(text: &str) -> Result<(&str, IpAddr), Error> {
    let (name, address) = match text.split_once(':') {
        Some((name, address)) if !name.is_empty() => (name, address),
        _ => {
            return Err(Error::invalid(format!("bad format for add-host: \"{text}\"")));
        }
    };
    if address == "host-gateway" {
        return Err(Error::unsupported(
            "host-gateway in add-host is not supported: containers have no network yet",
        ));
    }
    if name.contains(char::is_whitespace) {
        return Err(Error::invalid(format!("bad format for add-host: \"{text}\"")));
    }
    let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']'));
    match bare.unwrap_or(address).parse() {
        Ok(parsed) => Ok((name, parsed)),
        Err(_) => Err(Error::invalid(format!("invalid IP address in add-host: \"{address}\""))),
    }
}

/// Name that the container has: its own, or the first digits of its identifier.
pub(crate) fn hostname<'a>(config: &'a ContainerConfig, id: &'a str) -> &'a str {
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
    fn extra_hosts() {
        for (text, expected) in [
            ("a:1.2.3.4", ("a", "1.2.3.4")),
            ("b:::1", ("b", "::1")),
            ("c:[2001:db8::1]", ("c", "2001:db8::1")),
        ] {
            let (name, address) = extra_host(text).unwrap();
            assert_eq!((name, address.to_string().as_str()), expected);
        }
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
