//! Says of which commit a release is built, for `epsiloscope --version`.

use std::path::Path;
use std::process::Command;

/// Changes with every commit of a clone.
const HISTORY: &str = ".git/logs/HEAD";

fn main() {
    println!("cargo:rerun-if-changed=src/build.rs");
    // Every commit would have a development build compiled anew.
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let commit = is_release.then(commit).flatten();
    if is_release && Path::new(HISTORY).exists() {
        println!("cargo:rerun-if-changed={HISTORY}");
    }
    let commit = commit.unwrap_or_default();
    println!("cargo:rustc-env=EPSILOSCOPE_COMMIT={commit}");
}

/// Hash and date of the commit that is checked out; `None` outside of a clone.
fn commit() -> Option<String> {
    let arguments = ["show", "--no-patch", "--format=%h, %cs", "HEAD"];
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
