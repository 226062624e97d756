//! Pure: a status for people.

use super::view::{ExternalServiceView, SourceView, StatusView};
use crate::terminal::columns::Table;
use crate::terminal::style::{Mood, Style};
use crate::terminal::wrap;

/// One row for each source, then one line for each thing that is wrong.
pub(crate) fn table(view: &StatusView, style: Style, with_namespace: bool) -> String {
    let mut headings = vec![
        "NAME",
        "TARGET",
        "SERVICE",
        "SOURCE IP",
        "GATEWAY",
        "TUNNELS",
        "STATE",
    ];
    if with_namespace {
        headings.insert(0, "NAMESPACE");
    }
    let mut table = Table::new(&headings);
    for es in &view.external_services {
        for source in &es.sources {
            let mut row = vec![
                es.name.clone(),
                format!("{}:{}", es.target_ip, es.ports.join(",")),
                source.service.clone(),
                source.source_ip.clone(),
                source.gateway.clone().unwrap_or_else(|| "-".to_owned()),
                tunnels(source),
                state(es, style),
            ];
            if with_namespace {
                row.insert(0, es.namespace.clone());
            }
            table.row(row);
        }
    }
    let mut text = table.render(style);
    let troubles: Vec<String> = view
        .external_services
        .iter()
        .flat_map(|es| troubles(es, style))
        .collect();
    if !troubles.is_empty() {
        text.push('\n');
        for trouble in troubles {
            text.push_str(&wrap::wrap(&trouble, style.width, "  "));
            text.push('\n');
        }
    }
    text
}

fn tunnels(source: &SourceView) -> String {
    match (source.tunnels_up, source.replicas) {
        (Some(up), Some(replicas)) => format!("{up}/{replicas}"),
        _ => "?".to_owned(),
    }
}

fn state(es: &ExternalServiceView, style: Style) -> String {
    let mood = match (es.ready, es.reason.as_str()) {
        (true, _) => Mood::Good,
        (false, "Pending") => Mood::Unsure,
        (false, _) => Mood::Bad,
    };
    style.in_mood(mood, if es.ready { "Ready" } else { &es.reason })
}

fn troubles(es: &ExternalServiceView, style: Style) -> Vec<String> {
    let name = format!("{}/{}", es.namespace, es.name);
    let mut lines = Vec::new();
    if !es.ready {
        lines.push(format!("{} {name}: {}", style.sign(Mood::Bad), es.message));
    }
    for source in &es.sources {
        if let Some(message) = source
            .gateway_message
            .as_ref()
            .filter(|_| !es.message.contains(&source.source_ip))
        {
            lines.push(format!(
                "{} {name}: gateway of {}: {message}",
                style.sign(Mood::Bad),
                source.source_ip
            ));
        }
        for tunnel in &source.tunnels_down {
            let mood = if es.ready { Mood::Unsure } else { Mood::Bad };
            lines.push(format!(
                "{} {name}: tunnel to {} down in {tunnel}",
                style.sign(mood),
                source.source_ip
            ));
        }
    }
    lines
}
