//! Up to as many sources as an ExternalService may have, with the longest names, in namespaces of
//! others. What a policy may cost is bounded, and each question whether eve may edit a Service is a
//! third of it.

use anyhow::ensure;
use extconn_lab::walkthrough::ask::cluster;
use serde_json::json;

use crate::{create_as_eve, with_tenants};

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn many_sources_of_others_are_refused_with_a_sentence_and_not_for_their_number() {
    with_tenants("many", |tenants| {
        let eve = tenants.eve();
        for count in [1, 2, 3, 16, 64] {
            let own = (eve.namespace.as_str(), eve.service.as_str());
            let mut object = tenants.external_service(eve, "many", own, eve);
            let long = |word: &str, i: usize| format!("{word}-{i:02}-{}", "x".repeat(50));
            let source = |i| {
                json!({"service": {"namespace": long("team", i), "name": long("web", i)},
                       "sourceIP": format!("192.168.122.{}", 1 + i)})
            };
            object["spec"]["sources"] = (0..count).map(source).collect();
            let said = create_as_eve(&object, &["--dry-run=server"])?;
            let sentence = format!("does not consent to {}", eve.namespace);
            let first = format!("Service {}/{}", long("team", 0), long("web", 0));
            ensure!(
                !said.success && said.stderr.contains(&sentence) && said.stderr.contains(&first),
                "{count}: {}{}",
                said.stdout,
                said.stderr
            );
            // Who may edit the Services is warned.
            let create = ["create", "--dry-run=server", "-f", "-"];
            let said = cluster(&create, &object.to_string())?;
            ensure!(
                said.success && said.stderr.contains(&sentence),
                "{count}, as the administrator: {}",
                said.stderr
            );
        }
        Ok(())
    });
}
