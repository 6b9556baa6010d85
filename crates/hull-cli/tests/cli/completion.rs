//! Completion and manual pages.

use std::process::Command;

use crate::fake::alone;

/// Returns what bash offers after `line`, whose last word is being typed.
fn offered(script: &str, line: &[&str]) -> String {
    let words: Vec<String> = line.iter().map(|word| format!("'{word}'")).collect();
    let program = format!(
        "{script}\nCOMP_WORDS=({})\nCOMP_CWORD={}\n_hull\necho \"${{COMPREPLY[*]}}\"",
        words.join(" "),
        line.len() - 1
    );
    let ran = Command::new("bash").args(["-c", &program]).output().unwrap();
    assert!(ran.stderr.is_empty(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap().trim().to_owned()
}

#[test]
fn bash_completes_commands_and_flags() {
    let script = alone(&["completion", "bash"]).shown();
    let script = script.split("--- stderr").next().unwrap();
    assert_eq!(offered(script, &["hull", "resta"]), "restart");
    assert_eq!(offered(script, &["hull", "system", "ser"]), "service");
    assert_eq!(offered(script, &["hull", "system", "service", "inst"]), "install");
    assert_eq!(offered(script, &["hull", "run", "--restar"]), "--restart");
    assert_eq!(offered(script, &["hull", "container", "run", "--health-c"]), "--health-cmd");
}

#[test]
fn other_shells_know_the_same_commands() {
    for shell in ["fish", "zsh"] {
        let script = alone(&["completion", shell]).shown();
        assert!(script.contains("health-cmd") && script.contains("uninstall"), "{shell}");
    }
    assert!(alone(&["completion", "tcsh"]).shown().contains("Unsupported shell type"));
}

#[test]
fn every_command_has_a_manual_page() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    assert!(alone(&["man", path]).shown().ends_with("exit code 0"));
    for (page, word) in [("hull", "completion"), ("hull-run", "health"), ("hull-system-df", "disk")]
    {
        let text = std::fs::read_to_string(dir.path().join(format!("{page}.1"))).unwrap();
        assert!(text.starts_with(".TH ") && text.contains(word), "{page}: {text}");
    }
}
