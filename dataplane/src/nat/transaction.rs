//! Pure: what has to be written so that the rules of a host become those that are wanted.

use std::collections::HashSet;
use std::fmt::Write;

use super::ruleset::Table;
use super::saved::{Jump, Saved};

/// Input for `iptables-restore --noflush` that turns `present` into `wanted`: single
/// rules of chains that are partly right, jumps of the kernel's chains, and nothing else. `None`
/// when all is right.
pub(crate) fn transaction(present: &Saved, wanted: &Saved) -> Option<String> {
    let text: String = Table::ALL
        .into_iter()
        .filter_map(|table| of_table(table, present, wanted))
        .collect();
    (!text.is_empty()).then_some(text)
}

fn of_table(table: Table, present: &Saved, wanted: &Saved) -> Option<String> {
    let (mut declared, mut removed, mut added) = (String::new(), String::new(), String::new());
    for (jump, change) in jump_changes(&present.jumps, &wanted.jumps) {
        match change {
            _ if jump.table != table => {}
            // In front of others' rules, which might lead packets elsewhere.
            JumpChange::Insert => line(&mut added, &format!("-I {} 1 {}", jump.from, jump.rule)),
            JumpChange::Delete => line(&mut removed, &format!("-D {} {}", jump.from, jump.rule)),
        }
    }
    for (chain, rules) in wanted
        .chains
        .iter()
        .filter(|(chain, _)| chain.table == table)
    {
        let name = &chain.name;
        let edit = Edit::new(present.chains.get(chain), rules);
        if edit.whole {
            // Makes the chain, or empties it.
            line(&mut declared, &format!(":{name} - [0:0]"));
        }
        for rule in edit.delete {
            line(&mut removed, &format!("-D {name} {rule}"));
        }
        for rule in edit.append {
            line(&mut added, &format!("-A {name} {rule}"));
        }
    }
    let gone = present.chains.keys();
    for chain in gone.filter(|chain| chain.table == table && !wanted.chains.contains_key(*chain)) {
        line(&mut declared, &format!(":{} - [0:0]", chain.name));
        // When no rule leads there any more.
        line(&mut added, &format!("-X {}", chain.name));
    }
    let text = declared + &removed + &added;
    (!text.is_empty()).then(|| format!("*{}\n{text}COMMIT\n", table.name()))
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string takes everything");
}

/// How a chain becomes what is wanted. Order decides nothing.
#[derive(Default)]
struct Edit<'a> {
    /// Made or emptied first.
    whole: bool,
    delete: Vec<&'a str>,
    append: Vec<&'a str>,
}

impl<'a> Edit<'a> {
    fn new(present: Option<&'a Vec<String>>, wanted: &'a [String]) -> Self {
        let mut missing: HashSet<&str> = wanted.iter().map(String::as_str).collect();
        let Some(present) = present else {
            return Self::whole(wanted);
        };
        // A rule that is there twice is taken out once.
        let unwanted = |rule: &&String| !missing.remove(rule.as_str());
        let delete: Vec<&str> = present
            .iter()
            .filter(unwanted)
            .map(String::as_str)
            .collect();
        // For each rule to be deleted the whole chain is searched.
        if delete.len() > wanted.len() / 2 + 1 {
            return Self::whole(wanted);
        }
        let append = wanted.iter().map(String::as_str);
        Self {
            whole: false,
            delete,
            append: append.filter(|rule| missing.contains(rule)).collect(),
        }
    }

    fn whole(wanted: &'a [String]) -> Self {
        Self {
            whole: true,
            append: wanted.iter().map(String::as_str).collect(),
            ..Self::default()
        }
    }
}

/// A change of a chain that is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum JumpChange {
    /// Put in front of all other rules.
    Insert,
    /// Take out.
    Delete,
}

/// What has to change so that each jump of `wanted` is there exactly once, and no other.
fn jump_changes<'j>(present: &'j [Jump], wanted: &'j [Jump]) -> Vec<(&'j Jump, JumpChange)> {
    let mut missing: Vec<&Jump> = wanted.iter().collect();
    let mut changes = Vec::new();
    for jump in present {
        match missing.iter().position(|missing| *missing == jump) {
            Some(at) => drop(missing.remove(at)),
            None => changes.push((jump, JumpChange::Delete)),
        }
    }
    let inserts = missing.into_iter();
    changes.extend(inserts.map(|jump| (jump, JumpChange::Insert)));
    changes
}

#[cfg(test)]
mod tests {
    use super::super::ruleset::{Chain, Hook, Lines};
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

    #[track_caller]
    fn check(present: &[(&str, &[&str])], wanted: &[(&str, &[&str])], expect: Option<&str>) {
        let saved = |chains| Saved {
            chains: lines(chains),
            ..Saved::default()
        };
        let written = transaction(&saved(present), &saved(wanted));
        assert_eq!(written.as_deref(), expect);
    }

    #[test]
    fn nothing_is_written_when_all_is_right_in_whatever_order() {
        let present: &[(&str, &[&str])] = &[("EXTCONN-192.0.2.10", &["-j A", "-j B"])];
        check(present, present, None);
        check(present, &[("EXTCONN-192.0.2.10", &["-j B", "-j A"])], None);
    }

    #[test]
    fn only_rules_that_differ_are_written_and_chains_not_wanted_are_removed() {
        check(
            &[
                ("EXTCONN-192.0.2.10", &["-j A"]),
                ("EXTCONN-192.0.2.11", &["-j A", "-j B", "-j C", "-j D"]),
                ("EXTCONN-192.0.2.12", &["-j A"]),
            ],
            &[
                ("EXTCONN-192.0.2.10", &["-j A"]),
                ("EXTCONN-192.0.2.11", &["-j A", "-j C", "-j D", "-j E"]),
                ("EXTCONN-192.0.2.13", &["-j A"]),
            ],
            Some(
                "*nat\n\
                 :EXTCONN-192.0.2.13 - [0:0]\n\
                 :EXTCONN-192.0.2.12 - [0:0]\n\
                 -D EXTCONN-192.0.2.11 -j B\n\
                 -A EXTCONN-192.0.2.11 -j E\n\
                 -A EXTCONN-192.0.2.13 -j A\n\
                 -X EXTCONN-192.0.2.12\n\
                 COMMIT\n",
            ),
        );
    }

    #[test]
    fn a_rule_that_is_there_twice_is_taken_out_once() {
        check(
            &[("EXTCONN-192.0.2.10", &["-j A", "-j A", "-j B"])],
            &[("EXTCONN-192.0.2.10", &["-j A", "-j B"])],
            Some("*nat\n-D EXTCONN-192.0.2.10 -j A\nCOMMIT\n"),
        );
    }

    #[test]
    fn a_chain_of_which_little_is_right_is_written_anew() {
        check(
            &[("EXTCONN-192.0.2.10", &["-j A", "-j B", "-j C"])],
            &[("EXTCONN-192.0.2.10", &["-j A"])],
            Some(
                "*nat\n\
                 :EXTCONN-192.0.2.10 - [0:0]\n\
                 -A EXTCONN-192.0.2.10 -j A\n\
                 COMMIT\n",
            ),
        );
    }

    #[test]
    fn each_hook_leads_to_us_exactly_once() {
        let [nat, filter] = Hook::ALL.map(Jump::of_hook);
        let odd = Jump {
            rule: "-p tcp -j EXTCONN-DIALLED".to_owned(),
            ..nat.clone()
        };
        let check = |present: &[&Jump], expect: &[(&Jump, JumpChange)]| {
            let present: Vec<Jump> = present.iter().copied().cloned().collect();
            assert_eq!(jump_changes(&present, std::slice::from_ref(&nat)), expect);
        };
        check(&[&nat], &[]);
        check(&[], &[(&nat, JumpChange::Insert)]);
        check(&[&nat, &nat], &[(&nat, JumpChange::Delete)]);
        check(&[&odd, &nat], &[(&odd, JumpChange::Delete)]);
        check(&[&nat, &filter], &[(&filter, JumpChange::Delete)]);
    }
}
