//! Everyday command lines, by the dozen: standard output and exit codes are docker's.

use hull_tests::busybox_same_as_docker;

#[test]
fn flags_of_create_are_read_as_docker_reads_them() {
    busybox_same_as_docker(include_str!("scripts/cases-create.sh"));
}

#[test]
fn lists_templates_and_messages_are_dockers() {
    busybox_same_as_docker(include_str!("scripts/cases-lists.sh"));
}

#[test]
fn what_happens_to_containers_volumes_and_images_is_dockers() {
    busybox_same_as_docker(include_str!("scripts/cases-life.sh"));
}

#[test]
fn names_limits_logs_and_sizes_are_dockers() {
    busybox_same_as_docker(include_str!("scripts/cases-words.sh"));
}

#[test]
fn limits_signals_lists_and_copies_are_dockers() {
    busybox_same_as_docker(include_str!("scripts/cases-everyday.sh"));
}
