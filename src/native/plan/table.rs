//! A plan for people: how much moves first, then the servers, then from whom to
//! whom, cut to what fits a screen or two.

use std::collections::BTreeMap;
use std::io::{self, Write};

use indicatif::HumanCount;

use crate::wire::{
    BalanceView, BasisWord, KeySourceCountView, LoadShareView, PlanKeysView, PlanLogView, PlanView,
};

/// How many flows a table shows; all are in the JSON.
const FLOWS_SHOWN: usize = 20;

/// How many servers it shows.
const SERVERS_SHOWN: usize = 40;

/// What a server has and would have; nothing where it takes no keys.
#[derive(Clone, Copy, Default)]
struct Row {
    shares: [Option<f64>; 2],
    requests: [u64; 2],
}

/// Writes a plan for people.
///
/// # Errors
/// When `out` cannot be written to.
pub fn table(plan: &PlanView, mut out: impl Write) -> io::Result<()> {
    let basis = match (plan.basis, plan.sampled) {
        (BasisWord::Exact, _) => "exactly".to_owned(),
        (BasisWord::Expected, _) => "as expected over the draws".to_owned(),
        (BasisWord::Sampled, n) => format!("by a sample of {} keys", n.unwrap_or(0)),
    };
    writeln!(
        out,
        "moved {} of all keys, {basis}; no rule could move fewer than {}",
        percent(plan.moved),
        percent(plan.minimum),
    )?;
    if let Some(keys) = &plan.keys {
        requests(keys, &mut out)?;
    }
    servers(plan, &mut out)?;
    balances(plan, &mut out)?;
    flows(plan, &mut out)
}

/// Writes what becomes of the requests given, and how they were read.
fn requests(keys: &PlanKeysView, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "of {} requests {} move ({}); of {} keys in them {} ({})",
        HumanCount(keys.total),
        HumanCount(keys.moved),
        percent(part(keys.moved, keys.total)),
        HumanCount(keys.distinct),
        HumanCount(keys.distinct_moved),
        percent(part(keys.distinct_moved, keys.distinct)),
    )?;
    let Some(log) = &keys.log else {
        return Ok(());
    };
    let [before, after] = sources(log);
    if before == after {
        writeln!(out, "keys are from {before}")?;
    } else {
        writeln!(out, "keys are from {before}\n   after, from {after}")?;
    }
    if let Some(first) = &log.first_skipped {
        let lines = match log.skipped {
            1 => "line is no request; it",
            _ => "lines are no requests; the first",
        };
        writeln!(
            out,
            "{} {lines} is line {}: {}",
            HumanCount(log.skipped),
            HumanCount(first.line),
            first.fault
        )?;
    }
    Ok(())
}

/// `client_ip: 27,405; no key: 0`, as it is and as it would be.
fn sources(log: &PlanLogView) -> [String; 2] {
    let listed = |side: usize| {
        let text = |view: &KeySourceCountView| {
            let count = [view.before, view.after][side]?;
            let source = view.source.as_deref().unwrap_or("no key");
            Some(format!("{source}: {}", HumanCount(count)))
        };
        let texts: Vec<String> = log.sources.iter().filter_map(text).collect();
        texts.join("; ")
    };
    [listed(0), listed(1)]
}

/// Writes what each server has and would have, or those that change most.
fn servers(plan: &PlanView, out: &mut impl Write) -> io::Result<()> {
    let mut by_name: BTreeMap<&str, Row> = BTreeMap::new();
    for (i, load) in [&plan.before, &plan.after].into_iter().enumerate() {
        for share in &load.servers {
            by_name.entry(&share.server).or_default().shares[i] = Some(share.share);
        }
    }
    let counts = plan.keys.iter().flat_map(|keys| &keys.servers);
    let mut totals = [0, 0];
    for count in counts {
        by_name.entry(&count.server).or_default().requests = [count.before, count.after];
        totals[0] += count.before;
        totals[1] += count.after;
    }
    let has_requests = totals != [0, 0];
    let mut rows: Vec<(&str, Row)> = by_name.into_iter().collect();
    let left_out = rows.len().saturating_sub(SERVERS_SHOWN);
    if left_out > 0 {
        let change = |row: &Row| {
            let of_keys = row.shares.map(|share| share.unwrap_or(0.0));
            let of_requests = [0, 1].map(|i| part(row.requests[i], totals[i]));
            let [before, after] = if has_requests { of_requests } else { of_keys };
            (after - before).abs()
        };
        rows.sort_by(|(_, a), (_, b)| change(b).total_cmp(&change(a)));
        rows.truncate(SERVERS_SHOWN);
    }
    let names = rows.iter().map(|(name, _)| name.chars().count());
    let width = names.max().unwrap_or(0).max(6);
    let heads = if has_requests {
        "    requests     share       after     share"
    } else {
        ""
    };
    writeln!(out, "\n{:width$}     keys    after{heads}", "server")?;
    for (name, row) in &rows {
        let [before, after] = row
            .shares
            .map(|share| share.map_or("-".to_owned(), percent));
        write!(out, "{name:width$}  {before:>7}  {after:>7}")?;
        if has_requests {
            for i in [0, 1] {
                let is_there = row.shares[i].is_some() || row.requests[i] > 0;
                let (count, share) = match is_there {
                    true => (
                        HumanCount(row.requests[i]).to_string(),
                        percent(part(row.requests[i], totals[i])),
                    ),
                    false => ("-".to_owned(), "-".to_owned()),
                };
                write!(out, "  {count:>10}  {share:>8}")?;
            }
        }
        writeln!(out)?;
    }
    if left_out > 0 {
        writeln!(out, "and {left_out} that change less; --json has all")?;
    }
    Ok(())
}

/// Writes how even it all is, and who is at the peak.
fn balances(plan: &PlanView, out: &mut impl Write) -> io::Result<()> {
    let loads = [&plan.before, &plan.after];
    let of_keys = loads.map(|load| {
        let shares = load.servers.iter().map(|s| (s, s.share));
        evenness(&load.balance, shares)
    });
    writeln!(out, "\npeak to mean {}, after {}", of_keys[0], of_keys[1])?;
    let Some(keys) = &plan.keys else {
        return Ok(());
    };
    let (Some(before), Some(after)) = (&keys.balance_before, &keys.balance_after) else {
        return Ok(());
    };
    let counts: BTreeMap<&str, [u64; 2]> = (keys.servers.iter())
        .map(|count| (&*count.server, [count.before, count.after]))
        .collect();
    let of_requests = [(0, before), (1, after)].map(|(i, balance)| {
        let shares = loads[i].servers.iter().map(|s| {
            let counted = counts.get(&*s.server).map_or(0, |counts| counts[i]);
            (s, counted as f64)
        });
        evenness(balance, shares)
    });
    writeln!(
        out,
        "of requests  {}, after {}",
        of_requests[0], of_requests[1]
    )
}

/// `1.108 (cache-1), cv 0.0846`: how even loads are, and the server whose load
/// is the most for what would be fair.
fn evenness<'a>(
    balance: &BalanceView,
    loads: impl Iterator<Item = (&'a LoadShareView, f64)>,
) -> String {
    let peak = loads
        .map(|(server, load)| (&server.server, load / server.fair))
        .max_by(|(_, a), (_, b)| a.total_cmp(b));
    let peak = peak.map_or("nobody", |(name, _)| name);
    format!("{:.3} ({peak}), cv {:.4}", balance.peak_to_mean, balance.cv)
}

fn flows(plan: &PlanView, out: &mut impl Write) -> io::Result<()> {
    let mut flows: Vec<_> = plan.flows.iter().collect();
    flows.sort_by(|a, b| b.fraction.total_cmp(&a.fraction));
    if !flows.is_empty() {
        writeln!(out, "\nfrom -> to")?;
    }
    for flow in flows.iter().take(FLOWS_SHOWN) {
        writeln!(
            out,
            "{} -> {}  {}",
            flow.from,
            flow.to,
            percent(flow.fraction)
        )?;
    }
    if flows.len() > FLOWS_SHOWN {
        writeln!(
            out,
            "and {} smaller ones; --json has all",
            flows.len() - FLOWS_SHOWN
        )?;
    }
    Ok(())
}

fn percent(part: f64) -> String {
    format!("{:.2}%", 100.0 * part)
}

/// A part of a whole that may be nothing.
fn part(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}
