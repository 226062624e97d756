//! Pure: a verdict from one condition of every Gateway object.

use extconn_api::condition;

use crate::check::Verdict;
use crate::check::snapshot::Snapshot;

/// Fails with the message of each Gateway whose condition `kind` is not `True`, and passes over
/// those that do not have it yet. `passed` says what holds for so many.
pub(super) fn verdict(
    seen: &Snapshot,
    kind: impl std::fmt::Display,
    passed: fn(usize) -> String,
) -> Verdict {
    let Some(gateways) = &seen.gateways else {
        return Verdict::Skipped("you may not list Gateways".to_owned());
    };
    let kind = kind.to_string();
    let told = gateways.iter().filter_map(|gateway| {
        let conditions = &gateway.status.as_ref()?.conditions;
        Some((gateway, condition::find(conditions, &kind)?))
    });
    let told: Vec<_> = told.collect();
    let untrue = told.iter().filter(|(_, found)| found.status != "True");
    let troubles: Vec<String> = untrue
        .map(|(gateway, found)| format!("{}: {}", gateway.spec.source_ip, found.message))
        .collect();
    match (told.len(), troubles.as_slice()) {
        (0, _) if gateways.is_empty() => Verdict::Skipped("no source IP is in use".to_owned()),
        (0, _) => Verdict::Skipped("no gateway has said anything of it".to_owned()),
        (count, []) => Verdict::Passed(passed(count)),
        (_, troubles) => Verdict::Failed(troubles.join("; ")),
    }
}
