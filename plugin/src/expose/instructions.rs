//! Pure: what to tell the user when an ExternalService is ready.

use std::fmt::Write;

use extconn_api::ExternalService;
use kube::ResourceExt;

use super::judge;
use super::surroundings::Surroundings;
use crate::terminal::style::Style;
use crate::terminal::wrap;

/// What pods dial, as whom they are seen, what the other side must allow, and what to do next.
pub(crate) fn instructions(object: &ExternalService, seen: &Surroundings, style: Style) -> String {
    let name = object.name_any();
    let host = format!("{name}.{}.svc", seen.connector_namespace);
    let spec = &object.spec;
    let mut text = String::new();
    line(&mut text, &style.strong("From the cluster"));
    for port in &spec.ports {
        let dial = port.target_port.unwrap_or(port.port);
        line(
            &mut text,
            &format!(
                "  dial {} to reach {}:{}",
                style.strong(&format!("{host}:{dial}")),
                spec.target_ip,
                port.port
            ),
        );
    }
    for source in &spec.sources {
        let service = judge::service_key(object, source);
        line(
            &mut text,
            &format!(
                "  pods behind {service} are seen as {}",
                style.strong(&source.source_ip)
            ),
        );
    }
    line(&mut text, "");
    line(&mut text, &style.strong(&format!("On {}", spec.target_ip)));
    let ports: Vec<String> = spec
        .ports
        .iter()
        .map(|port| port.port.to_string())
        .collect();
    let sources: Vec<&str> = spec
        .sources
        .iter()
        .map(|source| source.source_ip.as_str())
        .collect();
    line(
        &mut text,
        &format!(
            "  allow TCP port {} from {}",
            ports.join(", "),
            sources.join(", ")
        ),
    );
    if spec.bidirectional {
        for source in &spec.sources {
            let service = judge::service_key(object, source);
            let ports = seen
                .service(&service)
                .and_then(|service| service.spec.as_ref()?.ports.clone());
            let ports: Vec<String> = ports
                .iter()
                .flatten()
                .map(|port| format!("{}:{}", source.source_ip, port.port))
                .collect();
            if !ports.is_empty() {
                line(
                    &mut text,
                    &format!(
                        "  dial {} to reach {service}",
                        style.strong(&ports.join(" or "))
                    ),
                );
            }
        }
    }
    let mut text = wrap::wrap(text.trim_end(), style.width, "  ");
    line(&mut text, "\n\nProve it:");
    // A command that is to be copied stays on its line.
    line(
        &mut text,
        &format!(
            "  kubectl extconn test {name} -n {}",
            object.namespace().unwrap_or_default()
        ),
    );
    text
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string takes all that is written");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expose::fixtures;

    #[test]
    fn instructions_name_every_address_and_port_to_dial() {
        let seen = fixtures::surroundings();
        let text = instructions(&seen.external_services[0], &seen, Style::default());
        assert_eq!(
            text,
            "\
From the cluster
  dial db.external-services.svc:5432 to reach 203.0.113.7:5432
  pods behind ns1/web are seen as 192.0.2.10

On 203.0.113.7
  allow TCP port 5432 from 192.0.2.10
  dial 192.0.2.10:80 to reach ns1/web

Prove it:
  kubectl extconn test db -n ns1
"
        );
    }

    #[test]
    fn one_way_tells_the_other_side_of_no_way_in() {
        let mut seen = fixtures::surroundings();
        seen.external_services[0].spec.bidirectional = false;
        let text = instructions(&seen.external_services[0], &seen, Style::default());
        assert!(!text.contains("192.0.2.10:80"), "{text}");
    }
}
