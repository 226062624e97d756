//! Rebuilds the plugin when a file that it carries inside changes.

fn main() {
    for carried in [
        "../chart",
        "../gateway/install.sh",
        "../gateway/uninstall.sh",
        "../gateway/systemd",
    ] {
        println!("cargo::rerun-if-changed={carried}");
    }
}
