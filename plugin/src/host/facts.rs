//! Pure: what is found on a gateway host, from the lines that `facts.sh` prints.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// The script. It changes nothing and needs only a POSIX shell.
pub(crate) const SCRIPT: &str = include_str!("facts.sh");

/// What was found. A missing line leaves its default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostFacts {
    /// `uname -s`.
    pub os: String,
    /// `uname -m`.
    pub architecture: String,
    /// `uname -n`.
    pub hostname: String,
    /// Seconds since 1970, by the host's clock.
    pub clock: i64,
    /// State of systemd; `None` if it does not run.
    pub systemd: Option<String>,
    /// `iptables -V`; `None` if one of its three programs is missing.
    pub iptables: Option<String>,
    /// First line of the nat table's PREROUTING chain, or the error.
    pub iptables_nat: String,
    /// Whether `nft` is there.
    pub nft: bool,
    /// Whether `ip` is there.
    pub iproute2: bool,
    /// Program that listens on the gateway's port, `unknown` if it cannot be told.
    pub port_taken_by: Option<String>,
    /// The gateway's own HTTP port and the program that listens there, `unknown` if it cannot be
    /// told; `None` if it is free or the gateway's.
    pub http_taken: Option<(u16, String)>,
    /// Free KiB by folder.
    pub free_kib: BTreeMap<String, u64>,
    /// Free inodes by folder; none for a filesystem that does not count them.
    pub free_inodes: BTreeMap<String, u64>,
    /// Folders that are mounted read-only.
    pub read_only: BTreeSet<String>,
    /// Interfaces by the IPv4 address on them.
    pub addresses: BTreeMap<Ipv4Addr, String>,
    /// Source IPs that are not in a network of this host.
    pub off_link: BTreeSet<Ipv4Addr>,
    /// Source IPs whose use on the LAN could not be checked.
    pub unchecked: BTreeSet<Ipv4Addr>,
    /// Link address of another machine that has a source IP.
    pub elsewhere: BTreeMap<Ipv4Addr, String>,
    /// Whether the API server accepts connections from there; `None` if it could not be tried.
    pub api_reachable: Option<bool>,
    /// SHA-256, in hex, of what is installed, by path.
    pub files: BTreeMap<String, String>,
    /// Whether there is a token.
    pub has_token: bool,
    /// Whether the installer has changed something that the gateway has not been started with.
    pub restart_owed: bool,
    /// `systemctl is-active extconn-gateway.service`.
    pub service: String,
}

/// Reads the script's output.
///
/// # Errors
/// The script did not get to its end.
pub(crate) fn parse(output: &str) -> Result<HostFacts, String> {
    let mut facts = HostFacts::default();
    let mut done = false;
    for line in output.lines() {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        let value = value.trim();
        let words = || value.split_once(' ').unwrap_or((value, ""));
        let yes = || value == "yes";
        match key {
            "os" => facts.os = value.to_owned(),
            "architecture" => facts.architecture = value.to_owned(),
            "hostname" => facts.hostname = value.to_owned(),
            "clock" => facts.clock = value.parse().unwrap_or_default(),
            "systemd" => facts.systemd = Some(value.to_owned()),
            "iptables" => facts.iptables = Some(value.to_owned()),
            "iptables-nat" => facts.iptables_nat = value.to_owned(),
            "nft" => facts.nft = yes(),
            "iproute2" => facts.iproute2 = yes(),
            "port-taken" => facts.port_taken_by = Some(value.to_owned()),
            "http-taken" => {
                let port = words().0.parse().ok();
                facts.http_taken = port.map(|port| (port, words().1.to_owned()));
            }
            "free-kib" | "free-inodes" => {
                let free = if key == "free-kib" {
                    &mut facts.free_kib
                } else {
                    &mut facts.free_inodes
                };
                if let (Ok(number), folder) = (words().0.parse(), words().1) {
                    free.insert(folder.to_owned(), number);
                }
            }
            "read-only" => {
                facts.read_only.insert(value.to_owned());
            }
            "address" => {
                let (address, interface) = words();
                let address = address.split('/').next().and_then(|ip| ip.parse().ok());
                if let Some(address) = address {
                    facts.addresses.insert(address, interface.to_owned());
                }
            }
            "source-ip-off-link" => facts.off_link.extend(value.parse::<Ipv4Addr>()),
            "source-ip-unchecked" => facts.unchecked.extend(value.parse::<Ipv4Addr>()),
            "source-ip-elsewhere" => {
                if let (Ok(ip), link) = (words().0.parse(), words().1) {
                    facts.elsewhere.insert(ip, link.to_owned());
                }
            }
            "api" => facts.api_reachable = Some(yes()),
            "file" => {
                let (hash, path) = words();
                facts.files.insert(path.to_owned(), hash.to_owned());
            }
            "token" => facts.has_token = yes(),
            "restart-owed" => facts.restart_owed = yes(),
            "service" => facts.service = value.to_owned(),
            "done" => done = true,
            // A shell's own noise, such as a banner.
            _ => {}
        }
    }
    if done {
        Ok(facts)
    } else {
        Err("the look at the host did not get to its end".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_from_lines_and_noise_is_passed_over() {
        let facts = parse(
            "Welcome to gw1!\nos Linux\narchitecture x86_64\nhostname gw1\nclock 1700000000\nsystemd running\n\
             iptables iptables v1.8.9 (nf_tables)\niptables-nat -P PREROUTING ACCEPT\nport-taken sshd\n\
             free-kib 123 /usr/local/bin\naddress 192.0.2.1/24 eth0\naddress 192.0.2.10/32 eth0\n\
             source-ip-elsewhere 192.0.2.11 aa:bb:cc:dd:ee:ff\napi no\nfile abc /etc/extconn/kubeconfig\n\
             http-taken 9180 nginx\nfree-inodes 5 /etc\nfree-inodes  /run\nread-only /usr/local/bin\n\
             token yes\nrestart-owed yes\nservice inactive\ndone\n",
        )
        .unwrap();
        assert_eq!(facts.systemd.as_deref(), Some("running"));
        assert_eq!(facts.port_taken_by.as_deref(), Some("sshd"));
        assert_eq!(facts.free_kib["/usr/local/bin"], 123);
        assert_eq!(facts.addresses[&Ipv4Addr::new(192, 0, 2, 10)], "eth0");
        assert_eq!(
            facts.elsewhere[&Ipv4Addr::new(192, 0, 2, 11)],
            "aa:bb:cc:dd:ee:ff"
        );
        assert_eq!(facts.api_reachable, Some(false));
        assert_eq!(facts.files["/etc/extconn/kubeconfig"], "abc");
        assert_eq!(facts.http_taken, Some((9180, "nginx".to_owned())));
        assert_eq!(facts.free_inodes, [("/etc".to_owned(), 5)].into());
        assert_eq!(facts.read_only, ["/usr/local/bin".to_owned()].into());
        assert!(facts.has_token && facts.restart_owed);
    }

    #[test]
    fn a_script_that_broke_off_is_not_taken_for_a_bare_host() {
        assert!(parse("os Linux\n").is_err());
    }
}
