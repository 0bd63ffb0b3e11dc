//! What moves when a fleet changes or fails.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ringway::engine::{Algorithm, Layout, ServerName, TableSize, Weight};

use super::fleet::{Numbered, algorithms, fleet, layout, positions};
use super::plot::{self, Line};

/// What moved, as parts of all keys.
#[derive(Default)]
struct Moves {
    /// From or to the server that changed: the least that any rule moves.
    own: f64,
    /// Between servers that stayed as they were.
    others: f64,
}

fn moves(before: &Layout, after: &Layout, changed: &[&Numbered]) -> Moves {
    let is_changed = |name: &ServerName| changed.iter().any(|(server, _)| server.name == *name);
    let mut moves = Moves::default();
    let mut count = |from: &ServerName, to: &ServerName, part: f64| {
        if is_changed(from) || is_changed(to) {
            moves.own += part;
        } else {
            moves.others += part;
        }
    };
    let moved = before.moved_to(after);
    assert_eq!(moved.basis.n_sampled(), None, "no samples here");
    for flow in &moved.flows {
        count(&flow.from, &flow.to, flow.share.fraction());
    }
    moves
}

pub(crate) fn one_server(out: &mut String) {
    out.push_str("| algorithm | servers | change | moved, % | least, % | between servers that stayed, % | moved ÷ least |\n|---|---:|---|---:|---:|---:|---:|\n");
    let mut lines: Vec<Line> = Vec::new();
    for algorithm in algorithms() {
        let mut ratios = Vec::new();
        for n in [10, 100, 1000] {
            let all = fleet(0, n + 1, |_| 1);
            let (new, old) = all.split_last().expect("servers");
            let base = layout(&algorithm, 100, old);
            // Jump loses its last shard only.
            let leaving = if algorithm == Algorithm::Jump {
                n - 1
            } else {
                n / 2
            } as usize;
            let mut fewer = old.to_vec();
            let gone = fewer.remove(leaving);
            let mut heavier = old.to_vec();
            heavier[leaving].0.weight = Weight::new(2).expect("a valid weight");
            let changes: [(&str, &[Numbered], &Numbered); 3] = [
                ("added", &all, new),
                ("removed", &fewer, &gone),
                ("weight 1 to 2", &heavier, &gone),
            ];
            for (change, after, changed) in changes {
                if algorithm == Algorithm::Jump && change.starts_with("weight") {
                    let _ = writeln!(out, "| jump | {n} | {change} | no weights | | | |");
                    continue;
                }
                let moves = moves(&base, &layout(&algorithm, 100, after), &[changed]);
                let ratio = (moves.own + moves.others) / moves.own;
                if change == "removed" {
                    ratios.push((f64::from(n), ratio));
                }
                let _ = writeln!(
                    out,
                    "| {} | {n} | {change} | {:.3} | {:.3} | {} | {ratio:.2} |",
                    algorithm.name(),
                    (moves.own + moves.others) * 100.0,
                    moves.own * 100.0,
                    percent(moves.others),
                );
            }
        }
        let drawn = ["ring", "local-rendezvous", "maglev", "envoy-maglev"];
        if drawn.contains(&algorithm.name()) {
            lines.push(Line {
                name: algorithm.name().to_owned(),
                is_theory: false,
                points: ratios,
            });
        }
    }
    plot::lines(
        "disruption",
        "One server removed: what moved over what had to",
        "servers",
        "moved ÷ least",
        &lines,
    );
}

fn percent(part: f64) -> String {
    if part == 0.0 {
        "0".to_owned()
    } else {
        format!("{:.4}", part * 100.0)
    }
}

pub(crate) fn maglev_sizes(out: &mut String) {
    out.push_str("| slots | servers | cv | peak to mean | one removed: moved ÷ least | a tenth removed: moved, % | least, % | moved ÷ least |\n|---:|---:|---:|---:|---:|---:|---:|---:|\n");
    for size in [65_537, 655_373] {
        let algorithm = Algorithm::Maglev(TableSize::new(size).expect("a prime"));
        for n in [10, 100, 1000] {
            let all = fleet(0, n, |_| 1);
            let base = layout(&algorithm, 100, &all);
            let balance = base.balance();
            // Every tenth, and the first of them alone.
            let (gone, rest): (Vec<&Numbered>, Vec<&Numbered>) =
                all.iter().partition(|(_, number)| number % 10 == 5);
            let own = |servers: Vec<&Numbered>| servers.into_iter().cloned().collect::<Vec<_>>();
            let without_one = all.iter().filter(|s| s.1 != gone[0].1).collect();
            let one = moves(
                &base,
                &layout(&algorithm, 100, &own(without_one)),
                &gone[..1],
            );
            let tenth = moves(&base, &layout(&algorithm, 100, &own(rest)), &gone);
            let ratio = |moves: &Moves| (moves.own + moves.others) / moves.own;
            let _ = writeln!(
                out,
                "| {size} | {n} | {:.4} | {:.4} | {:.2} | {:.2} | {:.2} | {:.2} |",
                balance.cv,
                balance.peak_to_mean,
                ratio(&one),
                (tenth.own + tenth.others) * 100.0,
                tenth.own * 100.0,
                ratio(&tenth)
            );
        }
    }
}

pub(crate) fn failure(out: &mut String) {
    out.push_str("| algorithm | failed | their keys, % | keys of others that moved | servers that got some of one server's keys | the most that one got, % |\n|---|---:|---:|---:|---:|---:|\n");
    for algorithm in algorithms() {
        let layout = layout(&algorithm, 100, &fleet(0, 100, |_| 1));
        for n_failed in [1, 10_u32] {
            let is_failed = |rank: u32| rank % 10 == 5 && rank / 10 < n_failed;
            let n_keys = 200_000;
            let (mut n_own, mut n_others) = (0_u32, 0_u32);
            let mut heirs: BTreeMap<u32, u32> = BTreeMap::new();
            let mut of_first = 0_u32;
            for position in positions(n_keys) {
                let owner = layout.owner(position).expect("servers");
                let now = layout
                    .first(position, |rank| (!is_failed(rank)).then_some(rank))
                    .expect("servers that work");
                n_own += u32::from(is_failed(owner));
                n_others += u32::from(!is_failed(owner) && now != owner);
                if owner == 5 {
                    of_first += 1;
                    *heirs.entry(now).or_default() += 1;
                }
            }
            let most = heirs.values().max().copied().unwrap_or(0);
            let _ = writeln!(
                out,
                "| {} | {n_failed} of 100 | {:.2} | {n_others} | {} | {:.1} |",
                algorithm.name(),
                f64::from(n_own) / n_keys as f64 * 100.0,
                heirs.len(),
                f64::from(most) / f64::from(of_first.max(1)) * 100.0
            );
        }
    }
}
