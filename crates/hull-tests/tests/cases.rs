//! Everyday command lines, by the dozen: standard output and exit codes are docker's.

use hull_tests::{Docker, Home, Image, same_as_docker, skip};

#[track_caller]
fn same(script: &str) {
    let docker = match Docker::start() {
        Ok(docker) => docker,
        Err(reason) => return skip(&format!("no docker to compare with: {reason}")),
    };
    let (registry, home, image) = Home::with_busybox();
    docker.pull(&registry, &[Image::Busybox]);
    same_as_docker(&docker, &home, &format!("IMAGE={image}\n{script}"));
}

#[test]
fn flags_of_create_are_read_as_docker_reads_them() {
    same(include_str!("scripts/cases-create.sh"));
}

#[test]
fn lists_templates_and_messages_are_dockers() {
    same(include_str!("scripts/cases-lists.sh"));
}

#[test]
fn what_happens_to_containers_volumes_and_images_is_dockers() {
    same(include_str!("scripts/cases-life.sh"));
}
