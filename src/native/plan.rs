//! `ringway plan`: what a change of the configuration would move.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

use super::clock;
use crate::config::{Config, Part};
use crate::engine::{CommandError, Idle, LoadBalancer, Plan, RoutingTable};
use crate::wire::{BasisWord, KeyCountView, PlanKeysView, PlanView};

/// How many flows a table shows; all are in the JSON.
const FLOWS_SHOWN: usize = 20;

/// Compares two configurations at rest, and where `keys` go by both.
///
/// # Errors
/// When the servers of one cannot form a fleet, which [`Config::parse`] has
/// ruled out, or `keys` cannot be read.
pub fn compare(
    before: &Config,
    after: &Config,
    keys: Option<&mut dyn BufRead>,
) -> io::Result<PlanView> {
    let balancer = |config: &Config| -> Result<LoadBalancer, CommandError> {
        LoadBalancer::new(config.settings(), config.servers(), clock::now())
    };
    let (before, after) = (
        balancer(before).map_err(io::Error::other)?,
        balancer(after).map_err(io::Error::other)?,
    );
    let counted = match keys {
        Some(keys) => Some(count(before.table(), after.table(), keys)?),
        None => None,
    };
    Ok(PlanView::new(&Plan::between(&before, &after), counted))
}

/// Counts where each line of `keys` goes by both tables.
fn count(
    before: &RoutingTable,
    after: &RoutingTable,
    keys: &mut dyn BufRead,
) -> io::Result<PlanKeysView> {
    let mut counts = [
        vec![0_u64; before.servers().len()],
        vec![0_u64; after.servers().len()],
    ];
    let (mut total, mut moved) = (0, 0);
    let mut line = Vec::new();
    while keys.read_until(b'\n', &mut line)? > 0 {
        let key = line.strip_suffix(b"\n").unwrap_or(&line);
        let [old, new] = [(before, 0), (after, 1)].map(|(table, i)| {
            let route = table.route(Some(table.position(key)), &Idle, &[]).ok()?;
            counts[i][route.server.as_usize()] += 1;
            Some(&table.server(route.server).server.name)
        });
        total += 1;
        moved += u64::from(old != new);
        line.clear();
    }
    let mut servers: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
    for (i, table) in [before, after].into_iter().enumerate() {
        for (entry, count) in table.servers().iter().zip(&counts[i]) {
            servers.entry(entry.server.name.as_str()).or_default()[i] = *count;
        }
    }
    let servers = servers
        .into_iter()
        .map(|(name, [before, after])| KeyCountView {
            server: name.to_owned(),
            before,
            after,
        });
    Ok(PlanKeysView {
        total,
        moved,
        servers: servers.collect(),
    })
}

/// Writes a plan for people.
///
/// # Errors
/// When `out` cannot be written to.
pub fn table(plan: &PlanView, mut out: impl Write) -> io::Result<()> {
    let percent = |part: f64| format!("{:.2}%", 100.0 * part);
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
    let mut rows: BTreeMap<&str, [Option<f64>; 2]> = BTreeMap::new();
    for (i, load) in [&plan.before, &plan.after].into_iter().enumerate() {
        for share in &load.servers {
            rows.entry(&share.server).or_default()[i] = Some(share.share);
        }
    }
    let width = |names: &mut dyn Iterator<Item = &str>| {
        names
            .map(|name| name.chars().count())
            .max()
            .unwrap_or(0)
            .max(6)
    };
    let name_width = width(&mut rows.keys().copied());
    let shown = |share: Option<f64>| share.map_or("-".to_owned(), percent);
    writeln!(out, "\n{:name_width$}   before    after", "server")?;
    for (name, [before, after]) in &rows {
        let (before, after) = (shown(*before), shown(*after));
        writeln!(out, "{name:name_width$}  {before:>7}  {after:>7}")?;
    }
    let (before, after) = (&plan.before.balance, &plan.after.balance);
    writeln!(
        out,
        "\npeak to mean {:.3}, after {:.3}; cv {:.4}, after {:.4}",
        before.peak_to_mean, after.peak_to_mean, before.cv, after.cv
    )?;
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
    if let Some(keys) = &plan.keys {
        let part = keys.moved as f64 / keys.total.max(1) as f64;
        writeln!(
            out,
            "\nof {} keys given {} move ({})\n{:name_width$}   before    after",
            keys.total,
            keys.moved,
            percent(part),
            "server"
        )?;
        for count in &keys.servers {
            let (before, after) = (count.before, count.after);
            writeln!(out, "{:name_width$}  {before:>7}  {after:>7}", count.server)?;
        }
    }
    Ok(())
}

/// A part of all keys as people write it: `5%` or `0.05`.
///
/// # Errors
/// What is wrong with it.
pub fn part(text: &str) -> Result<f64, String> {
    let part = Part::parse(text).map(Part::fraction);
    part.ok_or_else(|| Part::ALLOWED.to_owned())
}
