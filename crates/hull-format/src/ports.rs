//! Docker's `0.0.0.0:8080->80/tcp, 90-92/udp`.

/// A port of a container.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Port {
    pub private: u16,
    /// Address of the host where it is published; empty if it is not.
    pub ip: String,
    /// Port of the host; 0 if it is not published.
    pub public: u16,
    /// `tcp` or `udp`.
    pub kind: String,
}

/// Returns the ports as Docker's list shows them: runs of those that have the same number on the
/// host together, others one by one after them.
pub fn ports(mut ports: Vec<Port>) -> String {
    ports.sort();
    // Address and protocol, first and last port of the run that is not finished.
    let mut runs: Vec<(String, String, u16, u16)> = Vec::new();
    let (mut finished, mut mapped) = (Vec::new(), Vec::new());
    for Port { private, ip, public, kind } in ports {
        if !ip.is_empty() && public != private {
            mapped.push(format!("{}->{private}/{kind}", join(&ip, &public.to_string())));
            continue;
        }
        match runs.iter_mut().find(|run| run.0 == ip && run.1 == kind) {
            None => runs.push((ip, kind, private, private)),
            Some(run) if u32::from(private) == u32::from(run.3) + 1 => run.3 = private,
            Some(run) => {
                finished.push(shown(run));
                (run.2, run.3) = (private, private);
            }
        }
    }
    finished.extend(runs.iter().map(shown));
    finished.extend(mapped);
    finished.join(", ")
}

fn shown((ip, kind, first, last): &(String, String, u16, u16)) -> String {
    let numbers = if first == last { first.to_string() } else { format!("{first}-{last}") };
    match ip.as_str() {
        "" => format!("{numbers}/{kind}"),
        ip => format!("{}->{numbers}/{kind}", join(ip, &numbers)),
    }
}

fn join(ip: &str, port: &str) -> String {
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_put_together() {
        let port = |private, ip: &str, public, kind: &str| Port {
            private,
            ip: ip.into(),
            public,
            kind: kind.into(),
        };
        assert_eq!(
            ports(vec![
                port(80, "0.0.0.0", 8080, "tcp"),
                port(80, "::", 8080, "tcp"),
                port(91, "0.0.0.0", 91, "tcp"),
                port(90, "0.0.0.0", 90, "tcp"),
                port(95, "0.0.0.0", 95, "tcp"),
                port(9, "", 0, "udp"),
                port(10, "", 0, "udp"),
            ]),
            "0.0.0.0:90-91->90-91/tcp, 9-10/udp, 0.0.0.0:95->95/tcp, \
             0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"
        );
        assert_eq!(ports(vec![]), "");
    }
}
