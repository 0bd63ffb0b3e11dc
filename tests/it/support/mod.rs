//! What several test modules need. Nothing here makes a judgement: a check
//! belongs beside the statement it proves.

pub(crate) mod api;
pub(crate) mod authority;
pub(crate) mod client;
pub(crate) mod echo;
pub(crate) mod faulty;
pub(crate) mod frames;
pub(crate) mod fuzz;
pub(crate) mod http2;
pub(crate) mod json_text;
pub(crate) mod logged;
pub(crate) mod origin;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod rng;
pub(crate) mod schema;
pub(crate) mod websocket;

use std::collections::BTreeMap;

use ringway::engine::{
    Address, AdminState, Command, Events, LoadBalancer, Loads, Observation, Port, Ring, Server,
    ServerId, ServerIndex, ServerName, Term, Timestamp, Verdict, VirtualNodes, Weight,
};

/// A valid name, or the test is wrong.
pub(crate) fn name(text: &str) -> ServerName {
    ServerName::new(text).expect("the test gives a valid name")
}

/// A valid weight, or the test is wrong.
pub(crate) fn weight(n: u64) -> Weight {
    Weight::new(n).expect("the test gives a valid weight")
}

/// A valid number of virtual nodes, or the test is wrong.
pub(crate) fn virtual_nodes(n: u64) -> VirtualNodes {
    VirtualNodes::new(n).expect("the test gives a valid number of virtual nodes")
}

/// A primary server of this name and weight; its address does not matter.
pub(crate) fn server(text: &str, n: u64) -> Server {
    Server {
        name: name(text),
        address: Address::new("127.0.0.1").expect("a valid address"),
        port: Port::new(8080).expect("a valid port"),
        weight: weight(n),
        backup: false,
        id: None,
        hash_name: None,
        max_in_flight: None,
        link: None,
    }
}

/// Names and weights, as [`Ring::new`] takes them.
pub(crate) type Fleet = BTreeMap<ServerName, Weight>;

/// The fleet of these names and weights.
pub(crate) fn fleet<'a>(servers: impl IntoIterator<Item = (&'a str, u64)>) -> Fleet {
    servers
        .into_iter()
        .map(|(text, n)| (name(text), weight(n)))
        .collect()
}

/// The ring of a fleet small enough to have one.
pub(crate) fn ring(n_virtual_nodes: u64, fleet: &Fleet) -> Ring {
    Ring::new(virtual_nodes(n_virtual_nodes), fleet).expect("few enough points")
}

/// Has a request that was just sent to `server` speak for or against it.
pub(crate) fn judge(
    lb: &mut LoadBalancer,
    server: ServerId,
    verdict: Verdict,
    now: Timestamp,
) -> Events {
    let term = lb.term(server);
    let judged = Observation::Judged {
        server,
        term,
        verdict,
    };
    lb.observe(judged, now)
}

/// Drains or ejects one server a second, named `s0`, `s1`… as they come.
pub(crate) fn trouble(lb: &mut LoadBalancer, rng: &mut rng::Rng, n_rounds: u64) {
    let n = lb.table().servers().len() as u64;
    for round in 0..n_rounds {
        let now = Timestamp::from_millis(1000 * round);
        let i = rng.below(n);
        if rng.chance(50) {
            let drained = Command::SetState(name(&format!("s{i}")), AdminState::Draining);
            let _ = lb.apply(drained, now).expect("it is there");
            continue;
        }
        let server = lb.table().servers()[i as usize].id;
        for _ in 0..5 {
            let _ = judge(lb, server, Verdict::Failed, now);
        }
    }
}

/// The stay of the server of this name.
pub(crate) fn id_of(lb: &LoadBalancer, name: &ServerName) -> ServerId {
    let mut entries = lb.table().servers().iter();
    let entry = entries.find(|entry| entry.server.name == *name);
    entry.expect("it is there").id
}

/// Nothing is in flight, but for one request at each server on trial.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AllTrialsTaken;

impl Loads for AllTrialsTaken {
    fn in_flight(&self, _: ServerIndex) -> u32 {
        0
    }

    fn has_trial(&self, _: ServerIndex, _: Term) -> bool {
        true
    }
}
