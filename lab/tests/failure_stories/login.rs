//! Ways not to get into the gateway host, and uncommon ones that lead there.

use extconn_lab::paths;
use extconn_lab::topology::{GATEWAY, Host, SOURCE_IPS};

use crate::stage::{COULD_NOT_RUN, Change, FAILED, init, init_under, shell, touching_nothing};

/// A user of the gateway host who logs in with the lab's key; `sudoers` is what sudo knows of him.
fn clerk(sudoers: &str) -> Change {
    let make = format!(
        "useradd --create-home clerk && \
         install -d -m 700 -o clerk -g clerk /home/clerk/.ssh && \
         install -m 600 -o clerk -g clerk /root/.ssh/authorized_keys /home/clerk/.ssh/ && \
         echo '{sudoers}' > /etc/sudoers.d/clerk"
    );
    let undo = "rm -f /etc/sudoers.d/clerk; pkill -KILL -u clerk; while pgrep -u clerk; do :; done; userdel --remove clerk 2>/dev/null";
    Change::of(Host::Gateway, &make, undo)
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_user_whom_the_host_does_not_know_is_told_to_name_the_right_one() {
    touching_nothing(|| {
        init(&[&format!("--gateway=nobody@{GATEWAY}")]).fails(
            COULD_NOT_RUN,
            "refuses the login",
            "name the right user (USER@HOST)",
        );
    });
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_host_that_is_not_there_is_named() {
    init(&["--gateway=root@nowhere.invalid"]).fails(
        COULD_NOT_RUN,
        "the name of root@nowhere.invalid is not known",
        "name an address",
    );
    init(&["--gateway=root@192.168.122.150"]).fails(
        COULD_NOT_RUN,
        "failed to log in on root@192.168.122.150: ssh: connect to host 192.168.122.150",
        "see whether an ssh server runs there",
    );
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_login_that_runs_no_commands_is_quoted() {
    let _clerk = clerk("clerk ALL=(ALL:ALL) NOPASSWD: ALL");
    // As cloud images have it for root.
    let says = "Please login as the user admin rather than the user clerk.";
    let only = format!("command=\"echo '{says}'; exit 142\"");
    let keys = "/home/clerk/.ssh/authorized_keys";
    shell(
        Host::Gateway,
        &format!(
            "cat > /tmp/only <<'END'\n{only}\nEND\nsed -i \"s/^/$(cat /tmp/only) /\" {keys} && rm /tmp/only"
        ),
    );
    touching_nothing(|| {
        init(&[&format!("--gateway=clerk@{GATEWAY}")]).fails(
            COULD_NOT_RUN,
            says,
            "name the right user (USER@HOST)",
        );
    });
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_shell_that_greets_is_not_taken_for_an_answer() {
    let noise = "echo 1000; printf 'It is a fine day'; echo And a fine host >&2";
    let _greeting = Change::of(
        Host::Gateway,
        &format!(
            "cd /root && touch .bashrc && cp -p .bashrc .bashrc.kept && \
             {{ echo \"{noise}\"; cat .bashrc.kept; }} > .bashrc"
        ),
        "mv /root/.bashrc.kept /root/.bashrc",
    );
    init(&[]).changes_nothing();
    init(&["--source-ip=192.168.122.202"]).fails(
        FAILED,
        "source IP 192.168.122.202 is not on the host",
        "--source-ip 192.168.122.202=INTERFACE",
    );
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn sudo_that_asks_for_a_password_is_told_and_sudo_that_does_not_is_used() {
    let flag = format!("--gateway=clerk@{GATEWAY}");
    {
        let _clerk = clerk("clerk ALL=(ALL:ALL) ALL");
        touching_nothing(|| {
            init(&[&flag]).fails(COULD_NOT_RUN, "sudo asks for a password", "NOPASSWD");
        });
    }
    {
        let _clerk = clerk("# nothing about him");
        init(&[&flag]).fails(COULD_NOT_RUN, "sudo", "NOPASSWD");
    }
    let _clerk = clerk("clerk ALL=(ALL:ALL) NOPASSWD: ALL");
    // Only the way to the host is another one than before.
    let told = init(&[&flag]).succeeds();
    assert!(told.stderr.contains("Plan\n  1. write down"), "{told:#?}");
    assert!(!told.stderr.contains("  2. "), "{told:#?}");
    init(&[]).succeeds();
}

/// A file on the workstation, in a folder of its own.
fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_host_key_that_has_changed_is_no_invitation() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other").display().to_string();
    shell(
        Host::Workstation,
        &format!("ssh-keygen -q -t ed25519 -N '' -f {other}"),
    );
    let public = std::fs::read_to_string(format!("{other}.pub")).unwrap();
    let config = |known: &str| {
        let known = file(&folder, "known_hosts", known);
        let text = format!(
            "Host *\n  IdentityFile {}\n  GlobalKnownHostsFile /dev/null\n  UserKnownHostsFile {known}\n",
            paths::ssh_key().display()
        );
        format!("--ssh-config={}", file(&folder, "config", &text))
    };
    touching_nothing(|| {
        init(&[&config(&format!("{GATEWAY} {public}"))]).fails(
            COULD_NOT_RUN,
            "is not the one in your known_hosts",
            &format!(
                "ssh-keygen -f {} -R {GATEWAY}`",
                folder.path().join("known_hosts").display()
            ),
        );
        init(&[&config("")]).fails(
            COULD_NOT_RUN,
            "is not known",
            &format!("log in once with `ssh root@{GATEWAY}`"),
        );
    });
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_jump_host_and_a_key_in_the_agent_count() {
    let folder = tempfile::tempdir().unwrap();
    // Known by another name, behind a jump host, and no key but the agent's.
    let text = format!(
        "Host edge\n  HostName {}\n  User root\n  HostKeyAlias {GATEWAY}\n  ProxyJump root@{GATEWAY}\n\
         Host *\n  IdentityFile none\n",
        SOURCE_IPS[0]
    );
    let config = format!("--ssh-config={}", file(&folder, "config", &text));
    let key = paths::ssh_key().display().to_string();
    let with_agent = [
        "ssh-agent",
        "sh",
        "-c",
        "ssh-add -q \"$0\" && exec \"$@\"",
        &key,
    ];
    let told = init_under(&with_agent, &["--gateway=edge", &config]).succeeds();
    assert!(
        told.stderr
            .contains("write down gateway host gateway (edge)"),
        "{told:#?}"
    );
    init(&[]).succeeds();
}
