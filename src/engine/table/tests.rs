//! The data half by example: which servers a table uses, and in which order.

use super::*;
use crate::engine::{Address, Placed, Port, ServerName, Weight};

/// Requests in flight, by index.
struct InFlight(&'static [u32]);

impl Loads for InFlight {
    fn in_flight(&self, server: ServerIndex) -> u32 {
        self.0[server.as_usize()]
    }
}

const IDLE: InFlight = InFlight(&[0; 8]);
const KEY: Position = Position::from_bits(0x1234_5678_9abc_def0);

/// A table of servers written as `name`, then `*weight`, then `!` for a backup.
fn table(servers: &[(&str, Standing)], may_fail_open: bool) -> RoutingTable {
    let mut entries: Vec<TableServer> = servers
        .iter()
        .zip(0..)
        .map(|(&(text, standing), id)| {
            let (text, backup) = match text.strip_suffix('!') {
                Some(text) => (text, true),
                None => (text, false),
            };
            let (text, weight) = text.split_once('*').unwrap_or((text, "1"));
            let weight = Weight::new(weight.parse().expect("a number"));
            TableServer {
                id: ServerId::from_number(id),
                term: Term::default(),
                server: Server {
                    name: ServerName::new(text).expect("a good name"),
                    address: Address::new("::1").expect("a good address"),
                    port: Port::new(80).expect("a good port"),
                    weight: weight.expect("a good weight"),
                    backup,
                    id: None,
                    hash_name: None,
                    max_in_flight: None,
                    link: None,
                },
                number: id as u32 + 1,
                standing,
                is_out: matches!(standing, Unhealthy | Ejected),
                admission: match standing {
                    Draining => Admission::NONE,
                    _ => Admission::FULL,
                },
            }
        })
        .collect();
    entries.sort_by(|a, b| a.server.name.cmp(&b.server.name));
    let settings = Settings {
        fail_open: may_fail_open,
        ..Settings::default()
    };
    let layout = |is_backup| {
        let placed: Vec<Placed<'_>> = entries
            .iter()
            .zip(0..)
            .map(|(entry, order)| Placed {
                server: &entry.server,
                order,
                number: entry.number,
            })
            .filter(|placed| placed.server.backup == is_backup)
            .collect();
        Arc::new(Layout::new(&settings, &placed).expect("few points"))
    };
    let (primary, backup) = (layout(false), layout(true));
    RoutingTable::new(1, &settings, entries, primary, backup)
}

/// Expected names, in order.
type Names = &'static [&'static str];

/// The names tried one after the other, and why there is no further one.
fn attempts(table: &RoutingTable, key: Option<Position>) -> (Vec<String>, NoServer) {
    let mut tried = Vec::new();
    loop {
        match table.route(key, &IDLE, &tried) {
            Ok(route) => tried.push(route.server),
            Err(why) => {
                let name = |&index| table.server(index).server.name.to_string();
                return (tried.iter().map(name).collect(), why);
            }
        }
    }
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

use Standing::{Draining, Ejected, Eligible, Unhealthy, Unproven};

#[test]
fn the_first_tier_with_anybody_in_it_is_used() {
    let cases: [(&[(&str, Standing)], Names); 6] = [
        (
            &[("a", Eligible), ("b", Unproven), ("x!", Eligible)],
            &["a"],
        ),
        (
            &[("a", Unhealthy), ("b", Unproven), ("x!", Eligible)],
            &["x"],
        ),
        (
            &[("a", Unhealthy), ("b", Unproven), ("x!", Unproven)],
            &["b"],
        ),
        (&[("a", Unhealthy), ("x!", Unproven)], &["x"]),
        (
            &[
                ("a", Unhealthy),
                ("b", Ejected),
                ("c", Draining),
                ("x!", Unhealthy),
            ],
            &["a", "b"],
        ),
        (&[("a", Draining), ("x!", Ejected)], &["x"]),
    ];
    for (servers, expected) in cases {
        let (names, why) = attempts(&table(servers, true), Some(KEY));
        assert_eq!(sorted(names), expected, "of {servers:?}");
        assert_eq!(why, NoServer::AllTried);
    }
}

#[test]
fn failing_open_is_said_and_can_be_forbidden() {
    let servers = [("a", Unhealthy), ("b", Ejected)];
    let open = table(&servers, true);
    assert!(open.is_fail_open());
    assert!(
        open.route(Some(KEY), &IDLE, &[])
            .expect("a server")
            .fail_open
    );
    let closed = table(&servers, false);
    assert!(!closed.is_fail_open());
    assert_eq!(
        closed.route(Some(KEY), &IDLE, &[]),
        Err(NoServer::NoneEligible)
    );
    assert_eq!(closed.route(None, &IDLE, &[]), Err(NoServer::NoneEligible));
}

#[test]
fn a_fleet_that_is_empty_or_drained_has_no_server() {
    let empty = table(&[], true);
    assert_eq!(attempts(&empty, Some(KEY)), (vec![], NoServer::Empty));
    assert_eq!(attempts(&empty, None), (vec![], NoServer::Empty));
    let drained = table(&[("a", Draining), ("x!", Draining)], true);
    assert_eq!(
        attempts(&drained, Some(KEY)),
        (vec![], NoServer::NoneEligible)
    );
    // Even for a request that has tried somebody while that was possible.
    let tried = [ServerIndex(0)];
    assert_eq!(
        drained.route(Some(KEY), &IDLE, &tried),
        Err(NoServer::NoneEligible)
    );
}

#[test]
fn attempts_go_clockwise_over_the_usable_servers_only() {
    let standings = [
        ("a", Eligible),
        ("b", Ejected),
        ("c", Eligible),
        ("d", Eligible),
    ];
    let table = table(&standings, true);
    let clockwise: Vec<String> = table
        .primary()
        .candidates(KEY)
        .into_iter()
        .map(|rank| table.primary().servers()[rank as usize].name.to_string())
        .filter(|name| name != "b")
        .collect();
    assert_eq!(attempts(&table, Some(KEY)), (clockwise, NoServer::AllTried));
}

#[test]
fn a_key_moves_only_when_its_own_server_stops_being_eligible() {
    let all = table(&[("a", Eligible), ("b", Eligible), ("c", Eligible)], true);
    let less = table(&[("a", Eligible), ("b", Unhealthy), ("c", Eligible)], true);
    for bits in (0..u64::MAX - (1 << 54)).step_by(1 << 54) {
        let route = |table: &RoutingTable| {
            let position = Position::from_bits(bits);
            table
                .route(Some(position), &IDLE, &[])
                .expect("a server")
                .server
        };
        assert!(route(&all) == route(&less) || route(&all) == ServerIndex(1));
    }
}

#[test]
fn without_a_key_the_least_loaded_for_its_weight_is_taken() {
    let table = table(&[("a", Eligible), ("b*4", Eligible), ("c", Ejected)], true);
    let least = |loads: &'static [u32], tried: &[ServerIndex]| {
        let route = table.route(None, &InFlight(loads), tried);
        route.map(|route| table.server(route.server).server.name.to_string())
    };
    assert_eq!(least(&[1, 3, 0], &[]).as_deref(), Ok("b"));
    assert_eq!(least(&[1, 5, 0], &[]).as_deref(), Ok("a"));
    assert_eq!(
        least(&[1, 4, 0], &[]).as_deref(),
        Ok("a"),
        "the first of equals"
    );
    assert_eq!(least(&[u32::MAX; 3], &[]).as_deref(), Ok("b"));
    assert_eq!(least(&[0; 3], &[ServerIndex(0)]).as_deref(), Ok("b"));
    assert_eq!(
        least(&[0; 3], &[ServerIndex(0), ServerIndex(1)]),
        Err(NoServer::AllTried)
    );
}

#[test]
fn an_explanation_lists_everybody_with_a_reason_and_agrees_with_the_route() {
    let table = table(
        &[
            ("a", Eligible),
            ("b", Unhealthy),
            ("c", Eligible),
            ("x!", Eligible),
            ("y!", Draining),
        ],
        true,
    );
    for bits in [0, 1 << 62, 1 << 63, u64::MAX] {
        let position = Position::from_bits(bits);
        let explained = table.explain(position, &IDLE, &[]);
        assert_eq!(explained.len(), 5);
        let reason = |name: &str| {
            let found = explained
                .iter()
                .find(|c| table.server(c.server).server.name.as_str() == name);
            found.expect("everybody is listed").reason
        };
        assert_eq!(reason("b"), Reason::NotUsable(Unhealthy));
        assert_eq!(reason("x"), Reason::Backup);
        assert_eq!(reason("y"), Reason::NotUsable(Draining));
        let mut chosen = explained.iter().filter(|c| c.reason == Reason::Chosen);
        let route = table.route(Some(position), &IDLE, &[]).expect("a server");
        assert_eq!(chosen.next().map(|c| c.server), Some(route.server));
        assert_eq!(chosen.next(), None);
        assert!([reason("a"), reason("c")].contains(&Reason::Next));
    }
}

#[test]
fn the_fingerprint_tells_fleets_apart_by_what_decides_routes_only() {
    let base = table(&[("a*2", Eligible), ("b", Eligible)], true).fingerprint();
    let same = table(&[("b", Draining), ("a*2", Unhealthy)], false).fingerprint();
    assert_eq!(base, same, "health and order are not in it");
    for other in [
        &[("a", Eligible), ("b", Eligible)][..],
        &[("a*2", Eligible), ("b!", Eligible)],
        &[("a*2", Eligible), ("c", Eligible)],
        &[("a*2", Eligible)],
        &[],
    ] {
        assert_ne!(base, table(other, true).fingerprint(), "{other:?}");
    }
}
