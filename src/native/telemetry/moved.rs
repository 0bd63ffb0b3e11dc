//! How many keys a change has moved, about.

use std::sync::Arc;

use crate::engine::{Algorithm, RoutingTable, ServerName, Standing};

/// What part of all keys go elsewhere by `after` than by `before`.
///
/// An estimate, and a quick one, as whoever waits for a change waits for this:
/// what changes hands between servers that both take keys (on a ring exactly,
/// by other rules the least that can), and what servers gain or lose by health,
/// ejection and admin state. That some of these may be the same keys is left out
/// of account. By rules without keys nothing moves, and from or to one everything.
pub fn estimate(before: &RoutingTable, after: &RoutingTable) -> f64 {
    match (before.keyless(), after.keyless()) {
        (None, None) => {}
        (Some(_), Some(_)) => return 0.0,
        _ => return 1.0,
    }
    let mut moved = 0.0;
    if !Arc::ptr_eq(before.primary(), after.primary()) {
        moved += match (before.algorithm(), after.algorithm()) {
            (Algorithm::Ring, Algorithm::Ring) => flows(before, after),
            _ => gains(before, after),
        };
    }
    let layout = after.primary();
    // Only now and then is there a server to look at, and shares take a while.
    let changes: Vec<(usize, f64)> = (layout.servers().iter().enumerate())
        .filter_map(|(rank, server)| {
            let change = admitted(after, &server.name)? - admitted(before, &server.name)?;
            (change != 0.0).then_some((rank, change.abs()))
        })
        .collect();
    if !changes.is_empty() {
        let shares = layout.shares();
        let of = |&(rank, change): &(usize, f64)| shares[rank].fraction() * change;
        moved += changes.iter().map(of).sum::<f64>();
    }
    moved.min(1.0)
}

/// What goes from one server to another on rings.
fn flows(before: &RoutingTable, after: &RoutingTable) -> f64 {
    let flows = after.moved_since(before).flows;
    let moved = flows.iter().map(|flow| {
        let (from, to) = (
            admitted(before, &flow.from).unwrap_or(0.0),
            admitted(after, &flow.to).unwrap_or(0.0),
        );
        flow.share.fraction() * from * to
    });
    moved.sum()
}

/// What servers own that they did not, by whatever rules.
fn gains(before: &RoutingTable, after: &RoutingTable) -> f64 {
    let (old, new) = (before.primary(), after.primary());
    let (old_shares, new_shares) = (old.shares(), new.shares());
    let gained = new.servers().iter().zip(new_shares).map(|(server, share)| {
        let found = old
            .servers()
            .binary_search_by(|other| other.name.cmp(&server.name));
        let had = found.map_or(0.0, |rank| old_shares[rank].fraction());
        let gain = (share.fraction() - had).max(0.0);
        gain * admitted(after, &server.name).unwrap_or(0.0)
    });
    gained.sum()
}

/// What part of its keys a server takes; `None` without such a server.
fn admitted(table: &RoutingTable, name: &ServerName) -> Option<f64> {
    let servers = table.servers();
    let found = servers.binary_search_by(|entry| entry.server.name.cmp(name));
    found.ok().map(|i| match servers[i].standing {
        _ if table.is_fail_open() => 1.0,
        Standing::Eligible | Standing::Draining => servers[i].admission.fraction(),
        // What it takes once it is back.
        _ => 0.0,
    })
}
