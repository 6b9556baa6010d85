//! The same commands under docker and under Hull.

use hull_tests::{Docker, Home, Image, same_as_docker, skip};

#[test]
fn networks_are_dockers() {
    are_dockers(&[
        include_str!("../scripts/networks.sh"),
        include_str!("../scripts/networks-order.sh"),
    ]);
}

#[test]
fn words_of_networks_are_dockers() {
    are_dockers(&[include_str!("../scripts/networks-words.sh")]);
}

#[test]
fn links_are_dockers() {
    are_dockers(&[include_str!("../scripts/links.sh")]);
}

/// Runs `scripts` with an engine that has networks, and with Hull.
fn are_dockers(scripts: &[&str]) {
    let docker = match Docker::with_networks() {
        Ok(docker) => docker,
        Err(reason) => return skip(&reason),
    };
    let home = Home::new();
    docker.load(Image::Busybox);
    home.load(Image::Busybox);
    for script in scripts {
        same_as_docker(&docker, &home, script);
    }
}
