//! Pure: what stood on a terminal, and its place in the README between `<!-- NAME -->` and
//! `<!-- /NAME -->`.

use std::net::{Ipv4Addr, SocketAddrV4};

/// Ports that the system chooses for the near end of a connection start here (Linux's default).
const EPHEMERAL: u16 = 32768;

/// The transcript of one command: `screen` without what took how long, ` (3 s)`.
pub fn of(command: &str, screen: &str) -> String {
    let line = |line: &str| {
        let untimed = line.strip_suffix(" s)").and_then(|rest| {
            let (before, seconds) = rest.rsplit_once(" (")?;
            let is_time = seconds.chars().all(|c| c.is_ascii_digit());
            is_time.then_some(before)
        });
        untimed.unwrap_or(line).trim_end().to_owned()
    };
    let lines: Vec<String> = screen.lines().map(line).collect();
    format!("$ {command}\n{}\n", lines.join("\n"))
}

/// What `page` has between the marks; empty if it has none.
pub fn shown<'a>(page: &'a str, name: &str) -> &'a str {
    let (open, close) = marks(name);
    page.split_once(&open)
        .and_then(|(_, rest)| rest.split_once(&close))
        .map_or("", |(text, _)| text)
}

/// The page with `transcript` between the marks. A page without marks stays as it is.
pub fn shown_instead(page: &str, name: &str, transcript: &str) -> String {
    let (open, close) = marks(name);
    let old = format!("{open}{}{close}", shown(page, name));
    page.replace(&old, &format!("{open}{}{close}", block(transcript)))
}

/// A transcript as a page shows it.
pub fn block(transcript: &str) -> String {
    format!("\n```console\n{transcript}```\n")
}

/// The words without what the cluster makes up anew each time: addresses of pods and ClusterIPs,
/// names of replicas, near ports, milliseconds. Where lines break depends on those.
pub fn essence(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        if word == "ms" {
            words.pop();
        }
        words.push(lasting(word));
    }
    words.join(" ")
}

fn lasting(word: &str) -> String {
    let bare = word.trim_end_matches([':', ',', '.']);
    if let Some(replica) = bare.strip_prefix("forwarder-my-externalservice-") {
        return word.replace(replica, "REPLICA");
    }
    let near = bare.parse().ok().map(|address: SocketAddrV4| {
        let port = if address.port() < EPHEMERAL {
            address.port().to_string()
        } else {
            "PORT".to_owned()
        };
        format!("{}:{port}", given(*address.ip()))
    });
    let lasting = near.or_else(|| bare.parse().ok().map(given));
    lasting.map_or_else(|| word.to_owned(), |lasting| word.replace(bare, &lasting))
}

fn given(ip: Ipv4Addr) -> String {
    match ip.octets() {
        [10, ..] => "ADDRESS".to_owned(),
        _ => ip.to_string(),
    }
}

fn marks(name: &str) -> (String, String) {
    (format!("<!-- {name} -->"), format!("<!-- /{name} -->"))
}

#[test]
fn a_page_shows_what_it_is_given_and_keeps_the_rest() {
    let page = "a\n<!-- x -->\nold<!-- /x -->\n<!-- y -->z<!-- /y -->\n";
    let fresh = shown_instead(page, "x", &of("ls", "b (3 s)\nc"));
    assert_eq!(shown(&fresh, "x"), "\n```console\n$ ls\nb\nc\n```\n");
    assert_eq!(shown(&fresh, "y"), "z");
    assert_eq!(shown_instead(page, "z", "b"), page);
}

#[test]
fn only_what_changes_from_run_to_run_is_left_out() {
    let one = "✓ target 192.168.122.139:8000 by forwarder-my-externalservice-5b-9x:\n      \
               192.168.122.139:8000 accepted a connection from 192.168.122.200:40001 in 0 ms\n\
               dns: it is 10.96.3.4, 33 of 33";
    let two = "✓ target 192.168.122.139:8000 by forwarder-my-externalservice-7c-aa: 192.168.122.139:8000\n\
               accepted a connection from 192.168.122.200:50002 in 12 ms\ndns: it is 10.111.30.40, 33 of 33";
    assert_eq!(essence(one), essence(two));
    assert_ne!(essence(one), essence(&two.replace("200", "201")));
    assert_ne!(essence(one), essence(&two.replace("33 of", "32 of")));
}
