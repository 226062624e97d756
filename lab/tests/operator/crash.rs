//! Killed at any of its writes, before or after the API server has carried it out, the operator
//! converges to the same objects, and leaves none behind.
//!
//! A user walks at random between a few states of the world. At each step the operator is killed
//! several times before it may finish; then everything there is must be as it was when nobody
//! was killed. `EXTCONN_KILLS` says how often (1,000 for `make operator-kills`). Every 20 kills the
//! walk, and where it is killed, go on by another seed: `EXTCONN_SEED` and those that follow it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::door::{Door, Moment, Trap};
use crate::process::Operator;
use crate::snapshot::{Snapshot, difference, snapshot};
use crate::world::{World, external_service, namespace, number, service, until};

const TARGET: &str = "203.0.113.7";
const LIMIT: Duration = Duration::from_secs(60);

/// Of one step, at most so many lives end early.
const KILLS_OF_A_STEP: usize = 6;

/// Kills of one seed.
const KILLS_OF_A_SEED: usize = 20;

/// Writes of one life at most, when a state is made from nothing.
const WRITES: usize = 14;

/// What the user wants to be there: ExternalServices and Services.
struct State {
    name: &'static str,
    objects: Vec<Value>,
}

fn fixed(namespace: &str, name: &str, ip: &str) -> Value {
    let mut service = service(namespace, name, &[80, 443]);
    service["spec"]["clusterIP"] = json!(ip);
    service
}

fn states() -> Vec<State> {
    let web = || fixed("shop", "web", "10.96.7.1");
    let pay = || fixed("bank", "pay", "10.96.7.2");
    let order =
        |sources: &[_], ports: &[_]| external_service(("shop", "order"), TARGET, sources, ports);
    let both = [("shop", "web", "192.0.2.10"), ("bank", "pay", "192.0.2.11")];
    let reference = || order(&both, &[8000]);
    // Shares a source IP with the other.
    let ledger = || {
        let sources = [("bank", "pay", "192.0.2.11")];
        let mut object = external_service(("bank", "ledger"), TARGET, &sources, &[9000]);
        object["spec"]["bidirectional"] = json!(false);
        object
    };
    let state = |name, objects| State { name, objects };
    vec![
        state("nothing", vec![web(), pay()]),
        state("one", vec![web(), pay(), reference()]),
        state(
            "two that share a gateway",
            vec![web(), pay(), reference(), ledger()],
        ),
        state(
            "one with a source less",
            vec![web(), pay(), order(&both[..1], &[8000])],
        ),
        state(
            "other ports",
            vec![web(), pay(), order(&both, &[8001, 8002])],
        ),
        state(
            "another source IP",
            vec![
                web(),
                pay(),
                order(&[("shop", "web", "192.0.2.12"), both[1]], &[8000]),
            ],
        ),
        state("only the other", vec![web(), pay(), ledger()]),
        state("a Service is missing", vec![web(), reference()]),
        state(
            "two of one name",
            vec![
                web(),
                pay(),
                reference(),
                external_service(
                    ("zoo", "order"),
                    TARGET,
                    &[("zoo", "bear", "192.0.2.13")],
                    &[1],
                ),
            ],
        ),
        state(
            "two of one source IP",
            vec![
                web(),
                pay(),
                reference(),
                external_service(
                    ("zoo", "rival"),
                    TARGET,
                    &[("shop", "web", "192.0.2.10")],
                    &[8000],
                ),
            ],
        ),
    ]
}

/// Makes the world as the user wants it; the operator has yet to follow.
async fn want(world: &World, state: &State) {
    for object in &state.objects {
        world.put(object).await;
    }
    let wanted: Vec<String> = state.objects.iter().map(World::path).collect();
    for kind in ["externalservices", "services"] {
        for object in world.users(kind).await {
            let path = World::path(&object);
            if !wanted.contains(&path) {
                world.delete(&path).await;
            }
        }
    }
}

/// Whether the operator has looked at the present generation, and it is not being deleted.
fn is_settled(external_service: &Value) -> bool {
    let metadata = &external_service["metadata"];
    metadata["deletionTimestamp"].is_null()
        && external_service["status"]["observedGeneration"] == metadata["generation"]
}

/// What is there once an operator that nobody kills has nothing more to do.
async fn undisturbed(world: &World, door: &Door, state: &State) -> Snapshot {
    let operator = Operator::start(world, door, "undisturbed");
    want(world, state).await;
    let idle = Duration::from_millis(700);
    until("the operator has nothing to do", LIMIT, async || {
        let all = world.users("externalservices").await;
        let written = door.since(Instant::now() - idle);
        let quiet = !written.iter().any(|request| request.is_write());
        (quiet && all.iter().all(is_settled)).then_some(())
    })
    .await;
    let snapshot = snapshot(world).await;
    assert!(operator.stop().await.success());
    snapshot
}

/// Runs and kills operators, at `most` so many, until the world is as expected; how many were
/// killed.
async fn disturbed(
    world: &World,
    door: &Door,
    expected: &Snapshot,
    most: usize,
    random: &mut StdRng,
) -> usize {
    let before = door.sprung().len();
    let begin = Instant::now();
    loop {
        let mut operator = Operator::start(world, door, "killed");
        let killed = door.sprung().len() - before;
        if killed < most {
            door.set(Some(Trap {
                at_write: random.random_range(1..=WRITES),
                moment: if random.random_bool(0.5) {
                    Moment::BeforeIt
                } else {
                    Moment::AfterIt
                },
                pid: operator.pid(),
            }));
        }
        let converged = until("converged, or killed", LIMIT, async || {
            if operator.ended().is_some() {
                return Some(false);
            }
            let there = snapshot(world).await;
            if begin.elapsed() > LIMIT {
                let said = operator.said();
                let end = said.len().saturating_sub(2000);
                panic!("{}\n{}", difference(expected, &there), &said[end..]);
            }
            (there == *expected).then_some(true)
        })
        .await;
        door.set(None);
        if converged {
            operator.kill();
            return door.sprung().len() - before;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab's programs: make control-plane"]
async fn an_operator_killed_at_any_write_converges_to_the_same_objects() {
    let wanted = usize::try_from(number("EXTCONN_KILLS", 60)).unwrap();
    let first_seed = number("EXTCONN_SEED", 1);
    let world = World::new().await;
    world.apply(&["shop", "bank", "zoo"].map(namespace));
    world.apply(&[fixed("zoo", "bear", "10.96.7.3")]);
    let door = world.door().await;
    let states = states();
    let mut expected = vec![];
    for state in &states {
        expected.push(undisturbed(&world, &door, state).await);
    }
    // From another state than before, it comes to the same.
    for (state, expected) in states.iter().zip(&expected).rev() {
        let again = undisturbed(&world, &door, state).await;
        assert!(
            again == *expected,
            "{}: {}",
            state.name,
            difference(expected, &again)
        );
    }

    let (mut at, mut steps, begin) = (0, 0, Instant::now());
    let seeds = wanted.div_ceil(KILLS_OF_A_SEED);
    for seed in (first_seed..).take(seeds) {
        let mut random = StdRng::seed_from_u64(seed);
        let (mut kills, mut walk) = (0, vec![]);
        while kills < KILLS_OF_A_SEED {
            at = (at + random.random_range(1..states.len())) % states.len();
            walk.push(at);
            want(&world, &states[at]).await;
            let most = KILLS_OF_A_STEP.min(KILLS_OF_A_SEED - kills);
            kills += disturbed(&world, &door, &expected[at], most, &mut random).await;
            steps += 1;
        }
        println!("seed {seed}: {kills} kills, states {walk:?}");
    }
    let mut where_killed: BTreeMap<String, usize> = BTreeMap::new();
    for (write, moment) in door.sprung() {
        let write = format!("{moment:?} {} {}", write.method, write.kind());
        *where_killed.entry(write).or_default() += 1;
    }
    println!(
        "{seeds} seeds: {} kills in {steps} steps of {} states, {:.0?}",
        door.sprung().len(),
        states.len(),
        begin.elapsed()
    );
    for (write, count) in where_killed {
        println!("{count:5}  {write}");
    }
}
