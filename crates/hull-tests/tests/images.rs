//! Images of foreign producers, pulled from a real registry: the tree seen inside a container is
//! the one that docker shows.

use hull_tests::{Docker, Home, Image, Registry, busybox_same_as_docker, run, skip};

const TREE: &str = include_str!("tree.py");

#[test]
fn the_tree_is_the_one_that_docker_shows() {
    let docker = match Docker::start() {
        Ok(docker) => docker,
        Err(reason) => return skip(&format!("no docker to compare with: {reason}")),
    };
    let images = [Image::Python, Image::Nasty, Image::Buildah];
    let registry = Registry::with_images(&images);
    let home = Home::with_images(&registry, &images);
    docker.pull(&registry, &images);
    for image in images {
        let name = registry.name(&image);
        let command = ["run", "--rm", "--network", "none", &name, "python3", "-c", TREE];
        let expected = docker.docker(&command).success();
        let actual = home.hull(&command).success();
        let mut differences: Vec<String> = Vec::new();
        let (old, new): (Vec<_>, Vec<_>) = (expected.lines().collect(), actual.lines().collect());
        differences.extend(old.iter().filter(|line| !new.contains(line)).map(|l| format!("- {l}")));
        differences.extend(new.iter().filter(|line| !old.contains(line)).map(|l| format!("+ {l}")));
        differences.truncate(40);
        assert!(differences.is_empty(), "{image:?}, docker -, hull +:\n{}", differences.join("\n"));
    }
}

#[test]
fn pulled_images_are_listed_inspected_and_removed() {
    let registry = Registry::with_images(&[Image::Busybox]);
    let home = Home::new();
    let name = registry.name(&Image::Busybox);
    let pulled = home.hull(&["pull", &name]).success();
    assert!(pulled.contains("Status: Downloaded newer image for"), "{pulled}");
    let again = home.hull(&["pull", &name]).success();
    assert!(again.contains("Status: Image is up to date for"), "{again}");
    let listed = home.hull(&["images", "--format", "{{.Repository}}:{{.Tag}}"]).success();
    assert_eq!(listed, format!("{name}:latest"));
    let command = home.hull(&["inspect", "-f", "{{json .Config.Cmd}}", &name]).success();
    assert_eq!(command, r#"["sh"]"#);
    home.hull(&["run", "-d", "--name", "box", "--network", "none", &name, "sleep", "100"])
        .success();
    let refused = home.hull(&["rmi", &name]);
    assert_eq!(refused.code, 1);
    assert!(refused.errors().contains("conflict: unable to remove"), "{}", refused.errors());
    home.hull(&["rm", "-f", "box"]).success();
    let removed = home.hull(&["rmi", &name]).success();
    assert!(removed.contains("Untagged: "), "{removed}");
    assert_eq!(home.hull(&["images", "-q"]).success(), "");
    let layers = std::fs::read_dir(home.path().join("layers")).map_or(0, Iterator::count);
    assert_eq!(layers, 0, "layers of a removed image are left");
}

#[test]
fn all_tags_of_a_repository_are_pulled() {
    let registry = Registry::with_images(&[Image::Busybox]);
    let (home, name) = (Home::new(), registry.name(&Image::Busybox));
    home.pull(&registry, &[Image::Busybox]);
    let tags: Vec<String> = (0..7).map(|number| format!("v{number}")).collect();
    for tag in &tags {
        registry.copy(&name, "latest", tag);
    }
    home.hull(&["rmi", &name]).success();
    let pulled = home.hull(&["pull", "-a", "-q", &name]);
    pulled.success();
    let listed = home.hull(&["images", "--format", "{{.Tag}}", &name]).success();
    let mut listed: Vec<&str> = listed.lines().collect();
    listed.sort();
    assert_eq!(listed, ["latest", "v0", "v1", "v2", "v3", "v4", "v5", "v6"]);
    let refused = home.hull(&["pull", "-a", &format!("{name}:latest")]);
    assert_eq!(refused.code, 1);
    assert!(
        refused.errors().contains("tag can't be used with --all-tags/-a"),
        "{}",
        refused.errors()
    );
}

#[test]
fn images_made_here_are_as_under_docker() {
    busybox_same_as_docker(include_str!("scripts/images.sh"));
}

#[test]
fn saved_images_are_layouts_that_others_read() {
    let (_registry, home, image) = Home::with_busybox();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("saved.tar");
    home.hull(&["tag", &image, "saved:1"]).success();
    home.hull(&["save", "-o", file.to_str().unwrap(), "saved:1"]).success();
    let id = home.hull(&["inspect", "-f", "{{.Id}}", "saved:1"]).success();
    for transport in ["docker-archive", "oci-archive"] {
        let source = format!("{transport}:{}", file.display());
        let mut skopeo = std::process::Command::new("skopeo");
        skopeo.args(["inspect", "--raw", &source]);
        let manifest = run(&mut skopeo, std::time::Duration::from_secs(60)).success();
        assert!(manifest.contains(&id), "{transport}: {manifest}");
    }
}
