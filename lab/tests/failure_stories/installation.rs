//! Installations on the gateway host that are refused, were cut short, or have lost their token.

use extconn_lab::topology::Host;

use crate::stage::{Change, FAILED, USAGE, init, shell, touching_nothing};

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_host_file_that_makes_no_sense_is_not_put_there() {
    touching_nothing(|| {
        // The plugin says so itself; what an administrator has written only the gateway judges.
        let told = init(&["--target-network=203.0.113.7/24"]);
        assert_eq!(told.status, USAGE, "{told:#?}");
        assert!(told.stderr.contains("write 203.0.113.0/24"), "{told:#?}");
    });
    init(&[]).changes_nothing();
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_start_that_fails_is_told_with_the_journal_and_made_up_for() {
    {
        let unit = "/etc/systemd/system/extconn-gateway.service.d/broken.conf";
        let _broken = Change::of(
            Host::Gateway,
            &format!(
                "mkdir -p $(dirname {unit}) && printf '[Service]\\nExecStartPre=/bin/sh -c \"echo no coffee; exit 1\"\\n' > {unit} && \
                 touch /var/lib/extconn/restart-owed"
            ),
            &format!("rm {unit} && rmdir --ignore-fail-on-non-empty $(dirname {unit})"),
        );
        let told = init(&[]);
        for cause in ["extconn-gateway.service does not start: ", "no coffee"] {
            told.fails(FAILED, cause, "it goes on where it stopped");
        }
    }
    init(&[]).succeeds();
    init(&[]).changes_nothing();
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_restart_that_an_interrupted_run_owes_is_made() {
    let owed = "/var/lib/extconn/restart-owed";
    let started = || {
        let show = "systemctl show --property=ExecMainStartTimestampMonotonic extconn-gateway";
        shell(Host::Gateway, show)
    };
    let before = started();
    shell(Host::Gateway, &format!("touch {owed}"));
    let told = init(&[]).succeeds();
    assert!(told.stderr.contains("the restart"), "{told:#?}");
    assert_ne!(started(), before, "it was not restarted");
    shell(Host::Gateway, &format!("! [ -e {owed} ]"));
    init(&[]).changes_nothing();
}

/// Starts the gateway with another token and waits for `until`.
fn with_token(token: &str, until: &str) {
    shell(
        Host::Gateway,
        &format!(
            "cd /var/lib/extconn && kept=$(cat token) && printf %s \"{token}\" > token && \
             {{ systemctl restart extconn-gateway || true; }} && {until}"
        ),
    );
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_token_that_the_cluster_refuses_is_replaced() {
    // Well formed, and signed by nobody: the gateway runs on with what it knew last.
    let says_so = r#"timeout 60 bash -c '
until (exec 3<>/dev/tcp/127.0.0.1/9180; printf "GET /readyz HTTP/1.0\r\n\r\n" >&3; cat <&3) 2>/dev/null |
    grep -q "refuses the token"; do sleep 0.2; done'"#;
    with_token("${kept%????????????????????}AAAAAAAAAAAAAAAAAAAA", says_so);
    let told = init(&[]).succeeds();
    assert!(told.stderr.contains("a token for 24 h"), "{told:#?}");
    init(&[]).changes_nothing();

    with_token("nonsense", "true");
    let told = init(&[]).succeeds();
    assert!(told.stderr.contains("a token for 24 h"), "{told:#?}");
    init(&[]).changes_nothing();
}
