//! Paths as Go's `path/filepath` and docker's `archive` package treat them: as text, where a slash
//! or a dot at the end has a meaning of its own.

use std::io;

/// Go's `filepath.Clean`.
pub(super) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

/// Go's `filepath.Base`.
pub(super) fn base(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    match (path.is_empty(), trimmed.is_empty()) {
        (true, _) => ".",
        (_, true) => "/",
        _ => trimmed.rsplit('/').next().unwrap_or(trimmed),
    }
}

/// Go's `filepath.Join` of two.
pub(super) fn join(parent: &str, path: &str) -> String {
    clean(&format!("{parent}/{path}"))
}

/// Directory and last component; the last component of `a/.` is the dot.
pub(crate) fn split(path: &str) -> (String, String) {
    let mut cleaned = clean(path);
    if specifies_current(path) {
        cleaned.push_str("/.");
    }
    let parent = match cleaned.rfind('/') {
        Some(at) => clean(&cleaned[..=at]),
        None => ".".to_owned(),
    };
    (parent, base(&cleaned).to_owned())
}

pub(super) fn specifies_current(path: &str) -> bool {
    base(path) == "."
}

pub(super) fn has_slash(path: &str) -> bool {
    path.ends_with('/')
}

/// Whether a path says that it is a directory's.
pub(super) fn asserts_directory(path: &str) -> bool {
    has_slash(path) || specifies_current(path)
}

/// Makes the path of a file on this machine absolute; what its end says stays.
pub(crate) fn local(path: &str) -> io::Result<String> {
    let absolute = match path.starts_with('/') {
        true => clean(path),
        false => join(&std::env::current_dir()?.to_string_lossy(), path),
    };
    Ok(keep_end(absolute, path))
}

fn keep_end(mut cleaned: String, original: &str) -> String {
    if !specifies_current(&cleaned) && specifies_current(original) {
        if !has_slash(&cleaned) {
            cleaned.push('/');
        }
        cleaned.push('.');
    }
    if !has_slash(&cleaned) && has_slash(original) {
        cleaned.push('/');
    }
    cleaned
}

/// Where the link `path` leads, which has `target` in it.
pub(crate) fn join_link(path: &str, target: &str) -> String {
    match target.starts_with('/') {
        true => target.to_owned(),
        false => join(&split(path).0, target),
    }
}

/// Gives `resolved`, where the link `path` leads, the end of `path`; returns it with the name that
/// the copy will have, if it is another than the last component.
pub(crate) fn rebase_name(path: &str, resolved: &str) -> (String, String) {
    let mut resolved = resolved.to_owned();
    if specifies_current(path) && !specifies_current(&resolved) {
        resolved.push_str("/.");
    }
    if has_slash(path) && !has_slash(&resolved) {
        resolved.push('/');
    }
    let name = match base(path) == base(&resolved) {
        true => String::new(),
        false => base(path).to_owned(),
    };
    (resolved, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_gos() {
        for (path, cleaned) in
            [("", "."), ("a//b/../c/.", "a/c"), ("/../x", "/x"), ("../../x", "../../x"), ("/", "/")]
        {
            assert_eq!(clean(path), cleaned, "{path}");
        }
        for (path, last) in [("", "."), ("/", "/"), ("a/b/", "b"), ("a/.", ".")] {
            assert_eq!(base(path), last, "{path}");
        }
        for (path, parent, last) in [
            ("/a/b", "/a", "b"),
            ("/a/b/", "/a", "b"),
            ("/a/b/.", "/a/b", "."),
            ("/a", "/", "a"),
            ("/", "/", "/"),
            ("a", ".", "a"),
        ] {
            assert_eq!(split(path), (parent.to_owned(), last.to_owned()), "{path}");
        }
    }

    #[test]
    fn ends_stay() {
        for (path, absolute) in
            [("/a/./b/", "/a/b/"), ("/a/.", "/a/."), ("/a/b", "/a/b"), ("/.", "/.")]
        {
            assert_eq!(local(path).unwrap(), absolute);
        }
        let rebased = |path, resolved| {
            let (path, name) = rebase_name(path, resolved);
            format!("{path} {name}")
        };
        assert_eq!(rebased("/x/link", "/y/file"), "/y/file link");
        assert_eq!(rebased("/x/link/", "/y/dir"), "/y/dir/ link");
        assert_eq!(rebased("/x/link/.", "/y/dir"), "/y/dir/. ");
    }
}
