//! Environment of a container's processes.

use crate::{ContainerConfig, links, sockets};

/// `PATH` where neither the image nor the user sets one.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Returns the environment: Docker's own variables in Docker's order, then the container's. The
/// guest adds `HOME` from the image's passwd if it is missing, as runc does.
pub(crate) fn environment(config: &ContainerConfig, hostname: &str) -> Vec<String> {
    let mut own = vec![DEFAULT_PATH.to_owned(), format!("HOSTNAME={hostname}")];
    if config.tty {
        own.push("TERM=xterm".into());
    }
    own.extend(sockets::variable(&config.host));
    own.extend(links::variables(&config.linked));
    overlay(own, &config.env)
}

/// Returns `environment` changed by `overrides`: a key that is there is replaced in its place, a
/// new one is appended, a word without `=` removes what was there before.
pub fn overlay(mut environment: Vec<String>, overrides: &[String]) -> Vec<String> {
    for variable in overrides {
        let place = environment.iter().position(|v| key(v) == key(variable));
        match (variable.contains('='), place) {
            (true, Some(place)) => environment[place].clone_from(variable),
            (true, None) => environment.push(variable.clone()),
            (false, Some(place)) => {
                environment.remove(place);
            }
            (false, None) => {}
        }
    }
    environment
}

pub(crate) fn key(variable: &str) -> &str {
    variable.split_once('=').map_or(variable, |(key, _)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_removal() {
        let words = |text: &str| text.split(' ').map(Into::into).collect::<Vec<String>>();
        assert_eq!(
            overlay(words("PATH=/a HOSTNAME=h A=1"), &words("B=2 PATH=/b A HOSTNAME=x C C=3=4 D=")),
            words("PATH=/b HOSTNAME=x B=2 C=3=4 D=")
        );
    }
}
