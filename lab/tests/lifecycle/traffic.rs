//! Connections that are made while something else happens.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::SystemTime;

use extconn_lab::topology::Host;
use extconn_lab::walkthrough::scenario::Source;
use extconn_lab::walkthrough::{Scenario, access, egress, ingress};

/// Pods that ask the external server, and the external server that asks them, again and again,
/// over a new connection each time.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU32>,
    failures: Arc<Mutex<Vec<String>>>,
    asking: Vec<JoinHandle<()>>,
}

/// Asks once; what went wrong, if anything.
type Ask = fn(&Scenario, &Source) -> Option<String>;

/// The pod of a source is seen as its source IP.
fn outwards(scenario: &Scenario, source: &Source) -> Option<String> {
    let word = access::unique_word();
    let said = egress::get(scenario, &source.namespace, &source.pod, &word).unwrap();
    let right = said.stdout.contains(&source.source_ip.to_string());
    (!right).then(|| format!("{} asks: {}{}", source.pod, said.stdout, said.stderr))
}

/// The source IP leads to the pod of the source.
fn inwards(_: &Scenario, source: &Source) -> Option<String> {
    let said = ingress::get(Host::External, source, &access::unique_word()).unwrap();
    let right = said.stdout.starts_with(&format!("This is {}.", source.pod));
    (!right).then(|| format!("{} is asked: {}{}", source.pod, said.stdout, said.stderr))
}

impl Traffic {
    pub fn start(scenario: &Scenario) -> Self {
        let (stop, asked) = (Arc::<AtomicBool>::default(), Arc::<AtomicU32>::default());
        let failures = Arc::<Mutex<Vec<String>>>::default();
        let mut asking = vec![];
        for source in &scenario.sources {
            for ask in [outwards as Ask, inwards] {
                let (stop, asked, failures) = (stop.clone(), asked.clone(), failures.clone());
                let (scenario, source) = (scenario.clone(), source.clone());
                asking.push(std::thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let failure = ask(&scenario, &source);
                        asked.fetch_add(1, Ordering::Relaxed);
                        if let Some(failure) = failure {
                            let failure = format!("{:?} {failure}", SystemTime::now());
                            failures.lock().unwrap().push(failure);
                        }
                    }
                }));
            }
        }
        Self {
            stop,
            asked,
            failures,
            asking,
        }
    }

    /// Ends it; fails if a request did, or was not answered to or by the right one.
    pub fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for asking in self.asking {
            asking.join().unwrap();
        }
        let failures = self.failures.lock().unwrap();
        let asked = self.asked.load(Ordering::Relaxed);
        let failed = failures.len();
        assert!(
            failures.is_empty(),
            "{failed} of {asked} failed: {failures:#?}"
        );
        eprintln!("{asked} requests, each over a new connection, none failed");
        assert!(asked > 40, "only {asked} requests were made");
    }
}
