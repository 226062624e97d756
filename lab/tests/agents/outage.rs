//! The API server is away: what is set up goes on, for old connections and new ones, and a gateway
//! that starts meanwhile serves what it served last.

use crate::api_server::Outage;
use crate::pod::Pod;
use crate::world::{
    gateway_metric, gateway_says, in_scenario, of_external_service, on_gateway, until,
    until_carries, until_says,
};

#[test]
#[ignore = "needs a lab with extconn in it: make installation"]
fn traffic_goes_on_without_the_api_server_and_through_a_restart_of_the_gateway() {
    in_scenario("outage", |scenario| {
        let source = &scenario.sources[0];
        let pod = Pod::of(scenario, source, &source.pod, source.node);
        let source_ip = source.source_ip.to_string();
        let mut old = pod.connects();
        assert!(old.asks().contains(&source_ip));

        let outage = Outage::begin(scenario);
        let says = ["ok, but the Kubernetes API does not answer"];
        until_says(|| gateway_says("/readyz"), "HTTP/1.0 200", &says);
        assert!(old.asks().contains(&source_ip), "an old connection broke");
        pod.asks().unwrap();

        drop(old);
        on_gateway("systemctl restart extconn-gateway");
        until(|| pod.asks());
        assert_eq!(gateway_metric("extconn_gateway_api_view "), Some(0.0));
        let mut newer = pod.connects();
        assert!(newer.asks().contains(&source_ip));

        drop(outage);
        until(|| match gateway_metric("extconn_gateway_api_view ") {
            Some(view) if view > 0.0 => Ok(()),
            view => Err(format!("{view:?}")),
        });
        assert!(
            newer.asks().contains(&source_ip),
            "the API's return broke a connection"
        );
        until_says(|| of_external_service(scenario, "Ready"), "True ", &[]);
        until_carries(scenario);
        Ok(())
    });
}
