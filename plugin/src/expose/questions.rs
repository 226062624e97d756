//! Asks for what the flags leave open.

use std::net::Ipv4Addr;

use extconn_api::NamespacedName;

use super::ExposeArgs;
use super::offers;
use super::request::{self, Directions, PortRequest, Request, SourceArg, SourceRequest};
use super::surroundings::Surroundings;
use crate::failure::Failure;
use crate::prompt::{Choice, Line, Prompter};

/// A complete request, from the flags and the user's answers.
///
/// # Errors
/// An answer is missing and nobody can be asked.
pub(crate) fn ask(
    args: &ExposeArgs,
    namespace: &str,
    seen: &Surroundings,
    prompter: &dyn Prompter,
) -> Result<Request, Failure> {
    let target = match args.target {
        Some(target) => target,
        None => ask_for_target(prompter)?,
    };
    let ports = if args.ports.is_empty() {
        ask_for_ports(prompter)?
    } else {
        args.ports.clone()
    };
    let sources = ask_for_sources(args, namespace, seen, prompter)?;
    let name = match &args.name {
        Some(name) => name.clone(),
        None => prompter.line(&Line {
            question: "Name (pods dial it)",
            flag: "NAME",
            default: Some(offers::free_name(seen, target)),
            check: &|text| request::name(text).map(drop),
        })?,
    };
    Ok(Request {
        key: NamespacedName {
            namespace: namespace.to_owned(),
            name,
        },
        target,
        ports,
        sources,
        directions: if args.one_way {
            Directions::EgressOnly
        } else {
            Directions::Both
        },
    })
}

fn ask_for_target(prompter: &dyn Prompter) -> Result<Ipv4Addr, Failure> {
    let answer = prompter.line(&Line {
        question: "Address of the external server",
        flag: "--target",
        default: None,
        check: &|text| request::address(text).map(drop),
    })?;
    request::address(&answer).map_err(Failure::usage)
}

fn ports(text: &str) -> Result<Vec<PortRequest>, String> {
    let words = text.split([',', ' ']).filter(|word| !word.is_empty());
    let ports = words.map(str::parse).collect::<Result<Vec<_>, _>>()?;
    if ports.is_empty() {
        Err("name at least one port, such as 5432".to_owned())
    } else {
        Ok(ports)
    }
}

fn ask_for_ports(prompter: &dyn Prompter) -> Result<Vec<PortRequest>, Failure> {
    let answer = prompter.line(&Line {
        question: "Its ports (5432 or 80,443)",
        flag: "--port",
        default: None,
        check: &|text| ports(text).map(drop),
    })?;
    ports(&answer).map_err(Failure::usage)
}

fn ask_for_sources(
    args: &ExposeArgs,
    namespace: &str,
    seen: &Surroundings,
    prompter: &dyn Prompter,
) -> Result<Vec<SourceRequest>, Failure> {
    let mut sources: Vec<SourceRequest> = Vec::new();
    for SourceArg {
        namespace: of_service,
        name,
        source_ip,
    } in &args.sources
    {
        let of_service = of_service.clone().unwrap_or_else(|| namespace.to_owned());
        let service = NamespacedName {
            namespace: of_service,
            name: name.clone(),
        };
        let source_ip = match source_ip {
            Some(ip) => *ip,
            None => ask_for_source_ip(&service, &sources, seen, prompter)?,
        };
        sources.push(SourceRequest { service, source_ip });
    }
    if !args.sources.is_empty() {
        return Ok(sources);
    }
    loop {
        let service = ask_for_service(namespace, &sources, seen, prompter)?;
        let source_ip = ask_for_source_ip(&service, &sources, seen, prompter)?;
        sources.push(SourceRequest { service, source_ip });
        let taken: Vec<_> = sources
            .iter()
            .map(|source| source.service.clone())
            .collect();
        let more = !offers::services(seen, namespace, &taken).is_empty();
        if !more || !ask_for_another(prompter)? {
            return Ok(sources);
        }
    }
}

fn ask_for_another(prompter: &dyn Prompter) -> Result<bool, Failure> {
    let items = ["no, that is all".to_owned(), "yes".to_owned()];
    let choice = Choice {
        question: "Another Service?",
        flag: "--source",
        items: &items,
    };
    Ok(prompter.choose(&choice)? == 1)
}

fn ask_for_service(
    namespace: &str,
    sources: &[SourceRequest],
    seen: &Surroundings,
    prompter: &dyn Prompter,
) -> Result<NamespacedName, Failure> {
    let taken: Vec<_> = sources
        .iter()
        .map(|source| source.service.clone())
        .collect();
    let offered = offers::services(seen, namespace, &taken);
    if offered.is_empty() {
        return Err(Failure::failed(format!(
            "there is no Service that an ExternalService in namespace {namespace} may list"
        ))
        .next(format!(
            "make one in namespace {namespace}; as an administrator, run this with \
                     -n {} to choose among those of all namespaces",
            seen.connector_namespace
        )));
    }
    let items: Vec<String> = offered.iter().map(|offer| offer.text.clone()).collect();
    let chosen = prompter.choose(&Choice {
        question: "Service",
        flag: "--source",
        items: &items,
    })?;
    Ok(offered[chosen].key.clone())
}

fn ask_for_source_ip(
    service: &NamespacedName,
    sources: &[SourceRequest],
    seen: &Surroundings,
    prompter: &dyn Prompter,
) -> Result<Ipv4Addr, Failure> {
    const OTHER: &str = "another address";
    let taken: Vec<Ipv4Addr> = sources.iter().map(|source| source.source_ip).collect();
    let offered = offers::source_ips(seen, &taken);
    let question = format!("Source IP of {service}");
    let flag = format!("--source {service}=IP");
    if !offered.is_empty() {
        let texts = offered.iter().map(|offer| offer.text.clone());
        let items: Vec<String> = texts.chain([OTHER.to_owned()]).collect();
        let chosen = prompter.choose(&Choice {
            question: &question,
            flag: &flag,
            items: &items,
        })?;
        if let Some(offer) = offered.get(chosen) {
            return Ok(offer.ip);
        }
    }
    let check = |text: &str| request::address(text).map(drop);
    let answer = prompter.line(&Line {
        question: &question,
        flag: &flag,
        default: None,
        check: &check,
    })?;
    request::address(&answer).map_err(Failure::usage)
}

#[cfg(test)]
mod tests {
    use extconn_api::permission::Namespaces;

    use super::*;
    use crate::expose::fixtures;
    use crate::prompt::scripted::Scripted;

    #[test]
    fn answers_become_a_request() {
        let answers = [
            "203.0.113.8",
            "15432:5432, 80",
            "ns2/api",
            "192.0.2.11",
            "yes",
            "ns1/web",
            "another",
            "192.0.2.12",
            "yes",
            "ns2/headless",
            "192.0.2.10",
            "",
        ];
        let prompter = Scripted::new(&answers);
        let mut seen = fixtures::surroundings();
        seen.trusted = Some(Namespaces::parse("ns2"));
        let request = ask(&ExposeArgs::default(), "ns2", &seen, &prompter).unwrap();
        prompter.finish();
        assert_eq!(request.key.to_string(), "ns2/server-203-0-113-8");
        assert_eq!(request.ports.len(), 2);
        let sources: Vec<String> = request
            .sources
            .iter()
            .map(|s| format!("{}={}", s.service, s.source_ip))
            .collect();
        assert_eq!(
            sources,
            [
                "ns2/api=192.0.2.11",
                "ns1/web=192.0.2.12",
                "ns2/headless=192.0.2.10"
            ]
        );
    }

    #[test]
    fn with_all_flags_nothing_is_asked() {
        let args = ExposeArgs {
            name: Some("db".into()),
            target: Some(Ipv4Addr::new(203, 0, 113, 8)),
            ports: vec!["5432".parse().unwrap()],
            sources: vec!["api=192.0.2.11".parse().unwrap()],
            one_way: true,
            ..ExposeArgs::default()
        };
        let request = ask(&args, "ns2", &Surroundings::default(), &Scripted::new(&[])).unwrap();
        assert_eq!(request.sources[0].service.to_string(), "ns2/api");
        assert_eq!(request.directions, Directions::EgressOnly);
    }

    #[test]
    fn a_source_without_its_address_asks_for_just_that() {
        let args = ExposeArgs {
            name: Some("db".into()),
            target: Some(Ipv4Addr::new(203, 0, 113, 8)),
            ports: vec!["5432".parse().unwrap()],
            sources: vec!["ns1/web".parse().unwrap()],
            ..ExposeArgs::default()
        };
        let request = ask(
            &args,
            "ns2",
            &fixtures::surroundings(),
            &Scripted::new(&["192.0.2.11"]),
        )
        .unwrap();
        assert_eq!(request.sources[0].source_ip, Ipv4Addr::new(192, 0, 2, 11));
    }
}
