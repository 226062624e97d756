//! Gateway hosts on which no gateway can run, and one that goes down under it.

use extconn_lab::topology::{EXTERNAL, GATEWAY, Host, SOURCE_IPS, THIRD};
use extconn_lab::walkthrough::ask;

use crate::stage::{Change, FAILED, init, shell, touching_nothing};

/// Hides the programs of iptables.
fn without_iptables() -> Change {
    Change::of(
        Host::Gateway,
        "mkdir /root/hidden && mv /usr/sbin/iptables* /usr/sbin/xtables* /root/hidden/",
        "mv /root/hidden/* /usr/sbin/ && rmdir /root/hidden",
    )
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_host_without_iptables_is_told_to_install_it() {
    let _hidden = without_iptables();
    init(&[]).fails(
        FAILED,
        "iptables is missing",
        "install the package iptables",
    );
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_host_with_nft_alone_is_told_that_iptables_goes_well_with_it() {
    let _hidden = without_iptables();
    // What is looked for is the program; what it would do does not matter.
    let nft = "/usr/local/sbin/nft";
    let _nft = Change::of(
        Host::Gateway,
        &format!("ln -s /bin/true {nft}"),
        &format!("rm {nft}"),
    );
    init(&[]).fails(
        FAILED,
        "the host has nft and no iptables",
        "its nft back end leaves your nftables rules alone",
    );
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn the_legacy_back_end_is_refused_because_the_gateway_is_not_root() {
    let choose =
        |back_end: &str| format!("update-alternatives --quiet --set iptables /usr/sbin/{back_end}");
    let _legacy = Change::of(
        Host::Gateway,
        &choose("iptables-legacy"),
        &choose("iptables-nft"),
    );
    init(&[]).fails(
        FAILED,
        "only root may use the legacy back end",
        "update-alternatives --set iptables",
    );
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_source_ip_that_is_not_there_is_to_be_assigned() {
    touching_nothing(|| {
        init(&["--source-ip=192.168.122.202"]).fails(
            FAILED,
            "source IP 192.168.122.202 is not on the host",
            "--source-ip 192.168.122.202=INTERFACE",
        );
        init(&["--source-ip=192.168.122.202=eth7"]).fails(
            FAILED,
            "the host has no interface eth7",
            "name one of: eth0",
        );
    });
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_source_ip_of_another_machine_is_left_to_it() {
    touching_nothing(|| {
        init(&[&format!("--source-ip={EXTERNAL}=eth0")]).fails(
            FAILED,
            &format!("source IP {EXTERNAL} is used by another machine on the LAN"),
            "choose an address that nobody else has",
        );
    });
    // Without perl the kernel's own neighbour table says it.
    let _hidden = Change::of(
        Host::Gateway,
        "mv /usr/bin/perl /usr/bin/perl.hidden",
        "mv /usr/bin/perl.hidden /usr/bin/perl",
    );
    init(&[&format!("--source-ip={EXTERNAL}=eth0")]).fails(
        FAILED,
        "is used by another machine on the LAN",
        "choose an address",
    );
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_source_ip_that_is_on_two_machines_is_found_out() {
    let ip = SOURCE_IPS[1];
    let _twice = Change::of(
        Host::Third,
        &format!("ip addr add {ip}/32 dev eth0"),
        &format!("ip addr del {ip}/32 dev eth0"),
    );
    init(&[]).fails(
        FAILED,
        &format!("source IP {ip} is used by another machine on the LAN"),
        "take it off that machine",
    );
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_port_that_is_taken_names_who_has_it() {
    touching_nothing(|| {
        init(&[&format!("--ssh-endpoint={GATEWAY}:22")]).fails(
            FAILED,
            "port 22 is taken by sshd",
            "choose another port with --ssh-endpoint",
        );
    });
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_stranger_at_the_port_of_the_probes_is_named() {
    // It says nothing to whoever connects, and the gateway carries traffic without its probes.
    let stranger = "perl -MIO::Socket::INET -e \
         'my $s = IO::Socket::INET->new(Listen => 9, LocalAddr => \"127.0.0.1:9180\", ReuseAddr => 1) or die; sleep 3600'";
    let held_by = |program: &str| {
        format!(
            "timeout 60 sh -c 'until ss -ltnpH \"sport = :9180\" | grep -q {program}; do sleep 0.1; done'"
        )
    };
    {
        let make = format!(
            "systemctl stop extconn-gateway && \
             systemd-run --quiet --unit=stranger {stranger} && \
             {} && systemctl start extconn-gateway",
            held_by("perl")
        );
        let undo = format!("systemctl stop stranger; {}", held_by("extconn-gateway"));
        let _stranger = Change::of(Host::Gateway, &make, &undo);
        init(&[]).fails(
            FAILED,
            "port 9180, at which the gateway says how it is, is taken by perl",
            "httpListen",
        );
    }
    init(&[]).changes_nothing();
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn an_api_server_that_the_host_does_not_reach_is_named() {
    touching_nothing(|| {
        init(&[&format!("--api-server=https://{THIRD}:6443")]).fails(
            FAILED,
            &format!("the API server does not answer at {THIRD}:6443 from there"),
            "name another address with --api-server",
        );
    });
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_clock_that_is_an_hour_off_is_told() {
    // All hosts of the lab have one kernel, and it has one clock.
    let slow = "printf '#!/bin/sh\\nexec /bin/date --date=\"-1 hour\" \"$@\"\\n' > /usr/local/bin/date && chmod +x /usr/local/bin/date";
    let _slow = Change::of(Host::Gateway, slow, "rm /usr/local/bin/date");
    init(&[]).fails(FAILED, "s behind the cluster's", "timedatectl set-ntp true");
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_disk_that_is_full_is_told_before_anything_is_copied() {
    let _full = Change::of(
        Host::Gateway,
        "mount -t tmpfs -o size=1m tmpfs /usr/local/bin",
        "umount /usr/local/bin",
    );
    init(&[]).fails(
        FAILED,
        "/usr/local/bin has 1 MiB free, and ",
        "make room there",
    );
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_disk_that_takes_no_more_files_or_none_at_all_is_told() {
    let mounted = |options: &str| {
        Change::of(
            Host::Gateway,
            &format!("mount -t tmpfs -o {options} tmpfs /usr/local/bin"),
            "umount /usr/local/bin",
        )
    };
    {
        let _read_only = mounted("ro");
        init(&[]).fails(
            FAILED,
            "/usr/local/bin is mounted read-only",
            "mount it writable",
        );
    }
    let _without_inodes = mounted("nr_inodes=2");
    init(&[]).fails(
        FAILED,
        "/usr/local/bin has 1 free inodes, and 16 are needed",
        "remove files",
    );
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_host_that_was_rebooted_is_a_gateway_again_by_itself() {
    let boot = || {
        shell(
            Host::Gateway,
            "stat -c %y /proc/1/stat; cat /proc/sys/kernel/random/boot_id",
        )
    };
    let begun = |text: &str| text.lines().next().map(str::to_owned);
    let before = begun(&boot());
    // It ends under the command.
    let _ = ask::host(Host::Gateway, &["systemctl", "reboot"]);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(90);
    loop {
        let said = ask::host(Host::Gateway, &["stat", "-c", "%y", "/proc/1/stat"]);
        let booted = said.is_ok_and(|said| said.success && begun(&said.stdout) != before);
        let active = ask::host(
            Host::Gateway,
            &["systemctl", "is-active", "extconn-gateway"],
        );
        if booted && active.is_ok_and(|said| said.success) {
            break;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "it does not come back"
        );
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    init(&[]).changes_nothing();
}
