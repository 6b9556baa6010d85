//! What Docker fills in when it creates a container.

use crate::environment::key;
use crate::{ContainerConfig, DEFAULT_SHM_SIZE, Error, ImageConfig, path};

/// Fills what `config` leaves open, from its image and with Docker's defaults, as Docker does when
/// it creates a container. The result is what `inspect` shows. Call [`crate::validate()`] first.
///
/// # Errors
/// Neither the configuration nor the image says what to run.
pub fn merge_image(config: &mut ContainerConfig, image: &ImageConfig) -> Result<(), Error> {
    if config.user.is_empty() {
        config.user.clone_from(&image.user);
    }
    for variable in &image.env {
        if !config.env.iter().any(|own| key(own) == key(variable)) {
            config.env.push(variable.clone());
        }
    }
    for (name, value) in &image.labels {
        let label = config.labels.entry(name.clone());
        label.or_insert_with(|| value.clone());
    }
    merge_command(config, image)?;
    if config.working_dir.is_empty() {
        config.working_dir.clone_from(&image.working_dir);
    }
    if !config.working_dir.is_empty() {
        config.working_dir = path::clean(&config.working_dir);
    }
    config.volumes.extend(image.volumes.keys().cloned());
    config.exposed_ports.extend(image.exposed_ports.keys().cloned());
    if config.stop_signal.as_deref().unwrap_or("").is_empty() {
        config.stop_signal.clone_from(&image.stop_signal);
    }
    match (&mut config.healthcheck, &image.healthcheck) {
        (Some(own), Some(image)) => own.merge(image),
        (own @ None, image) => own.clone_from(image),
        (Some(_), None) => {}
    }

    let host = &mut config.host;
    if host.memory > 0 && host.memory_swap == 0 {
        host.memory_swap = host.memory.saturating_mul(2);
    }
    if host.shm_size == 0 {
        host.shm_size = DEFAULT_SHM_SIZE;
    }
    for (mode, default) in [
        (&mut host.ipc_mode, "private"),
        (&mut host.cgroupns_mode, "private"),
        (&mut host.network_mode, "default"),
    ] {
        if mode.is_empty() {
            *mode = default.into();
        }
    }
    Ok(())
}

/// An entrypoint given by the user clears the image's command; `[""]` clears the image's
/// entrypoint.
fn merge_command(config: &mut ContainerConfig, image: &ImageConfig) -> Result<(), Error> {
    let empty = |list: &Option<Vec<String>>| list.as_ref().is_none_or(Vec::is_empty);
    if empty(&config.entrypoint) {
        if empty(&config.cmd) {
            config.cmd.clone_from(&image.cmd);
        }
        if config.entrypoint.is_none() {
            config.entrypoint.clone_from(&image.entrypoint);
        }
    }
    if config.entrypoint.as_deref() == Some(&[String::new()]) {
        config.entrypoint = None;
    }
    if empty(&config.entrypoint) && empty(&config.cmd) {
        return Err(Error::NoCommand);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: Option<&[&str]>) -> Option<Vec<String>> {
        words.map(|words| words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn entrypoint_and_command() {
        let image = ImageConfig {
            entrypoint: list(Some(&["/entry", "e"])),
            cmd: list(Some(&["c"])),
            ..ImageConfig::default()
        };
        type Words = Option<&'static [&'static str]>;
        type Case = (Words, Words, Result<(Words, Words), ()>);
        let cases: [Case; 6] = [
            (None, None, Ok((Some(&["/entry", "e"]), Some(&["c"])))),
            (None, Some(&["x"]), Ok((Some(&["/entry", "e"]), Some(&["x"])))),
            (Some(&["/own"]), None, Ok((Some(&["/own"]), None))),
            (Some(&["/own"]), Some(&["x"]), Ok((Some(&["/own"]), Some(&["x"])))),
            (Some(&[""]), Some(&["x"]), Ok((None, Some(&["x"])))),
            (Some(&[""]), None, Err(())),
        ];
        for (entrypoint, cmd, expected) in cases {
            let mut config = ContainerConfig {
                entrypoint: list(entrypoint),
                cmd: list(cmd),
                ..ContainerConfig::default()
            };
            let result = merge_image(&mut config, &image);
            match expected {
                Ok((entrypoint, cmd)) => {
                    result.unwrap();
                    assert_eq!(config.entrypoint, list(entrypoint));
                    assert_eq!(config.cmd, list(cmd));
                }
                Err(()) => assert_eq!(result.unwrap_err().to_string(), "No command specified"),
            }
        }
    }

    #[test]
    fn an_image_without_command() {
        let mut config = ContainerConfig::default();
        let error = merge_image(&mut config, &ImageConfig::default()).unwrap_err();
        assert_eq!(error.to_string(), "No command specified");
    }

    #[test]
    fn everything_else() {
        let image: ImageConfig = serde_json::from_str(
            r#"{"User": "app", "Env": ["A=1", "B=2"], "Cmd": ["c"], "WorkingDir": "/w/../x/",
                "Labels": {"l": "image", "m": "image"}, "Volumes": {"/v": {}},
                "ExposedPorts": {"80/tcp": {}}, "StopSignal": "SIGQUIT", "Entrypoint": null}"#,
        )
        .unwrap();
        let mut config: ContainerConfig = serde_json::from_str(
            r#"{"env": ["C=3", "A=9", "B"], "labels": {"l": "own"}, "volumes": ["/u"],
                "host": {"memory": 67108864}}"#,
        )
        .unwrap();
        merge_image(&mut config, &image).unwrap();
        assert_eq!(config.user, "app");
        assert_eq!(config.env, ["C=3", "A=9", "B"]);
        assert_eq!(config.working_dir, "/x");
        assert_eq!(config.labels["l"], "own");
        assert_eq!(config.labels["m"], "image");
        assert_eq!(config.volumes.iter().collect::<Vec<_>>(), ["/u", "/v"]);
        assert!(config.exposed_ports.contains("80/tcp"));
        assert_eq!(config.stop_signal.as_deref(), Some("SIGQUIT"));
        assert_eq!(config.host.memory_swap, 128 << 20);
        assert_eq!(config.host.shm_size, 64 << 20);
        assert_eq!(config.host.ipc_mode, "private");
    }

    #[test]
    fn null_is_empty_in_image_configurations() {
        let image: ImageConfig =
            serde_json::from_str(r#"{"Env": null, "Volumes": null, "Labels": null, "User": null}"#)
                .unwrap();
        assert_eq!(image, ImageConfig::default());
    }
}
