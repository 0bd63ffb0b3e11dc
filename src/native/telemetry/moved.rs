//! How many keys a change has moved, about.

use std::sync::Arc;

use crate::engine::{RoutingTable, ServerName};

/// What part of all keys go elsewhere by `after` than by `before`.
///
/// An estimate: parts that change hands between servers that both take keys,
/// and what servers gain or lose by health, ejection and admin state. That some
/// of these may be the same keys is left out of account. By rules without keys
/// nothing moves, and from or to one everything.
pub fn estimate(before: &RoutingTable, after: &RoutingTable) -> f64 {
    match (before.keyless(), after.keyless()) {
        (None, None) => {}
        (Some(_), Some(_)) => return 0.0,
        _ => return 1.0,
    }
    let mut moved = 0.0;
    if !Arc::ptr_eq(before.primary(), after.primary()) {
        let flows = after.moved_since(before).flows;
        moved += flows
            .iter()
            .map(|flow| {
                let (from, to) = (admitted(before, &flow.from), admitted(after, &flow.to));
                flow.share.fraction() * from.unwrap_or(0.0) * to.unwrap_or(0.0)
            })
            .sum::<f64>();
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

/// What part of its keys a server takes; `None` without such a server.
fn admitted(table: &RoutingTable, name: &ServerName) -> Option<f64> {
    let servers = table.servers();
    let found = servers.binary_search_by(|entry| entry.server.name.cmp(name));
    found.ok().map(|i| match table.is_fail_open() {
        true => 1.0,
        false => servers[i].admission.fraction(),
    })
}
