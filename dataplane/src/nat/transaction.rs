//! Pure: what has to be written so that the rules of a host become those that are wanted.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::ruleset::{Chain, Hook, Table};
use super::saved::{Jump, Saved};

/// Rules by chain, as `iptables-save` prints them.
pub(crate) type Lines = BTreeMap<Chain, Vec<String>>;

/// Input for `iptables-restore --noflush` that turns chains of ours from `present` to `wanted`.
/// Chains that are right are not touched. `None` when all are.
pub(crate) fn transaction(present: &Lines, wanted: &Lines) -> Option<String> {
    let text: String = Table::ALL
        .into_iter()
        .filter_map(|table| of_table(table, present, wanted))
        .collect();
    (!text.is_empty()).then_some(text)
}

fn of_table(table: Table, present: &Lines, wanted: &Lines) -> Option<String> {
    let in_table = |chain: &Chain| chain.table == table;
    let changed: Vec<(&Chain, &Vec<String>)> = wanted
        .iter()
        .filter(|(chain, lines)| in_table(chain) && present.get(*chain) != Some(*lines))
        .collect();
    let gone: Vec<&Chain> = present
        .keys()
        .filter(|chain| in_table(chain) && !wanted.contains_key(*chain))
        .collect();
    if changed.is_empty() && gone.is_empty() {
        return None;
    }
    let mut text = format!("*{}\n", table.name());
    let declared = changed.iter().map(|(chain, _)| *chain).chain(gone.clone());
    for chain in declared {
        // Makes the chain, or empties it.
        line(&mut text, &format!(":{} - [0:0]", chain.name));
    }
    for (chain, rules) in &changed {
        for rule in *rules {
            line(&mut text, &format!("-A {} {rule}", chain.name));
        }
    }
    for chain in gone {
        line(&mut text, &format!("-X {}", chain.name));
    }
    line(&mut text, "COMMIT");
    Some(text)
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string takes everything");
}

/// A change of a chain that is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JumpChange {
    /// Put in front of all other rules.
    Insert(Hook),
    /// Take out.
    Delete(Jump),
}

/// What has to change so that each hook of a chain in `wanted` leads there exactly once, and
/// nothing else leads into chains of ours.
pub(crate) fn jump_changes(present: &Saved, wanted: &Lines) -> Vec<JumpChange> {
    let hooks: Vec<Hook> = Hook::ALL
        .into_iter()
        .filter(|hook| wanted.keys().any(|chain| chain.name == hook.to))
        .collect();
    let mut missing = hooks.clone();
    let mut changes = Vec::new();
    for jump in &present.jumps {
        let hook = missing.iter().position(|hook| {
            jump.table == hook.table && jump.from == hook.from && jump.rule == hook.rule()
        });
        match hook {
            Some(at) => {
                missing.remove(at);
            }
            None => changes.push(JumpChange::Delete(jump.clone())),
        }
    }
    changes.extend(missing.into_iter().map(JumpChange::Insert));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chains: &[(&str, &[&str])]) -> Lines {
        let rules = |rules: &[&str]| rules.iter().map(|rule| (*rule).to_owned()).collect();
        let chain = |name: &str| Chain {
            table: Table::Nat,
            name: name.to_owned(),
        };
        let chains = chains.iter();
        chains
            .map(|(name, list)| (chain(name), rules(list)))
            .collect()
    }

    #[test]
    fn nothing_is_written_when_all_is_right() {
        let present = lines(&[("EXTCONN-DIALLED", &["-p tcp -j RETURN"])]);
        assert_eq!(transaction(&present, &present), None);
    }

    #[test]
    fn only_chains_that_differ_are_written_and_those_not_wanted_are_removed() {
        let present = lines(&[
            ("EXTCONN-192.0.2.10", &["-p tcp -j RETURN"]),
            ("EXTCONN-192.0.2.11", &["-p tcp -j RETURN"]),
            ("EXTCONN-192.0.2.12", &[]),
        ]);
        let wanted = lines(&[
            ("EXTCONN-192.0.2.10", &["-p tcp -j RETURN"]),
            ("EXTCONN-192.0.2.11", &["-p tcp -j ACCEPT"]),
            ("EXTCONN-192.0.2.13", &[]),
        ]);
        let expect = "*nat\n\
                      :EXTCONN-192.0.2.11 - [0:0]\n\
                      :EXTCONN-192.0.2.13 - [0:0]\n\
                      :EXTCONN-192.0.2.12 - [0:0]\n\
                      -A EXTCONN-192.0.2.11 -p tcp -j ACCEPT\n\
                      -X EXTCONN-192.0.2.12\n\
                      COMMIT\n";
        assert_eq!(transaction(&present, &wanted).as_deref(), Some(expect));
    }

    #[test]
    fn each_hook_leads_to_us_exactly_once() {
        let [nat, filter] = Hook::ALL;
        let jump = |hook: Hook, rule: &str| Jump {
            table: hook.table,
            from: hook.from.to_owned(),
            rule: rule.to_owned(),
        };
        let wanted = lines(&[(nat.to, &[])]);
        let check = |jumps: Vec<Jump>, expect: Vec<JumpChange>| {
            let present = Saved {
                jumps,
                ..Saved::default()
            };
            assert_eq!(jump_changes(&present, &wanted), expect);
        };
        let right = jump(nat, &nat.rule());
        let odd = jump(nat, "-p tcp -j EXTCONN-DIALLED");
        let unwanted = jump(filter, &filter.rule());
        check(vec![right.clone()], vec![]);
        check(vec![], vec![JumpChange::Insert(nat)]);
        check(
            vec![right.clone(), right.clone()],
            vec![JumpChange::Delete(right.clone())],
        );
        check(
            vec![odd.clone(), right.clone()],
            vec![JumpChange::Delete(odd)],
        );
        check(
            vec![right, unwanted.clone()],
            vec![JumpChange::Delete(unwanted)],
        );
    }
}
