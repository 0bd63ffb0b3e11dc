//! `ringway plan`: what a change of the configuration would move.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::clock;
use crate::config::{Config, KeySource, Part};
use crate::engine::{CommandError, LoadBalancer, Plan};
use crate::wire::{
    BalanceView, KeyCountView, KeySourceCountView, LoadSharesView, PlanKeysView, PlanLogView,
    PlanView, SkippedLineView,
};

mod json_fields;

mod log_line;

mod count;
pub use count::Lines;
use count::{Sides, Tally};

mod progress;
use progress::Progress;

mod table;
pub use table::table;

/// What a plan is asked about: keys or requests.
pub struct Given {
    /// What the lines are.
    pub lines: Lines,
    /// Where they come from.
    pub input: Box<dyn Read>,
    /// How many bytes there are, where that is known.
    pub bytes: Option<u64>,
}

/// Compares two configurations at rest, and where what is `given` goes by both.
///
/// # Errors
/// When the servers of one cannot form a fleet, which [`Config::parse`] has
/// ruled out, when the rule of one has no keys, or what is given cannot be read.
pub fn compare(before: &Config, after: &Config, given: Option<Given>) -> io::Result<PlanView> {
    let balancer = |config: &Config| -> Result<LoadBalancer, CommandError> {
        LoadBalancer::new(config.settings(), config.servers(), clock::now())
    };
    let (old, new) = (
        balancer(before).map_err(io::Error::other)?,
        balancer(after).map_err(io::Error::other)?,
    );
    for table in [old.table(), new.table()] {
        if let Some(rule) = table.keyless() {
            return Err(io::Error::other(CommandError::NoKeys(rule)));
        }
    }
    let mut plan = PlanView::new(&Plan::between(&old, &new), None);
    if let Some(mut given) = given {
        let chains = [before, after].map(|config| &config.routing.hash_key);
        let sides = Sides::new([old.table(), new.table()], chains);
        let progress = Progress::new(given.bytes);
        let tally = count::count(given.lines, &mut given.input, &sides, &progress)?;
        let log = (given.lines == Lines::AccessLog).then(|| log_view(&tally, chains));
        plan.keys = Some(keys_view(&tally, &sides, [&plan.before, &plan.after], log));
    }
    Ok(plan)
}

fn keys_view(
    tally: &Tally,
    sides: &Sides<'_>,
    loads: [&LoadSharesView; 2],
    log: Option<PlanLogView>,
) -> PlanKeysView {
    let mut servers: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
    let mut balances = [None, None];
    for (i, load) in loads.into_iter().enumerate() {
        let fair: BTreeMap<&str, f64> = (load.servers.iter())
            .map(|share| (share.server.as_str(), share.fair))
            .collect();
        let names = sides.names(i).zip(tally.servers[i].iter().copied());
        balances[i] = BalanceView::of_counts(
            names
                .clone()
                .map(|(name, count)| (count, fair.get(name).copied().unwrap_or(0.0))),
        );
        for (name, count) in names {
            servers.entry(name).or_default()[i] = count;
        }
    }
    let servers = servers
        .into_iter()
        .map(|(name, [before, after])| KeyCountView {
            server: name.to_owned(),
            before,
            after,
        });
    let (distinct, distinct_moved) = tally.distinct();
    let [balance_before, balance_after] = balances;
    PlanKeysView {
        total: tally.requests,
        moved: tally.moved,
        distinct,
        distinct_moved,
        balance_before,
        balance_after,
        servers: servers.collect(),
        log,
    }
}

fn log_view(tally: &Tally, chains: [&crate::config::HashKey; 2]) -> PlanLogView {
    let mut sources: Vec<KeySourceCountView> = Vec::new();
    for (i, chain) in chains.into_iter().enumerate() {
        let named = chain.sources().iter().map(|source| Some(label(source)));
        for (source, count) in named.chain([None]).zip(&tally.sources[i]) {
            let at = sources.iter().position(|view| view.source == source);
            let at = at.unwrap_or_else(|| {
                sources.push(KeySourceCountView {
                    source,
                    before: None,
                    after: None,
                });
                sources.len() - 1
            });
            let view = &mut sources[at];
            // A source may stand in a chain twice.
            *[&mut view.before, &mut view.after][i].get_or_insert(0) += count;
        }
    }
    // Stable, so the rest keeps its order.
    sources.sort_by_key(|view| view.source.is_none());
    let first = tally.first_skipped.clone();
    PlanLogView {
        sources,
        skipped: tally.skipped,
        first_skipped: first.map(|(line, fault)| SkippedLineView { line, fault }),
    }
}

/// A source as the configuration has it; a word without its quotes.
fn label(source: &KeySource) -> String {
    match serde_json::to_value(source) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(object) => object.to_string(),
        Err(error) => error.to_string(),
    }
}

/// A part of all keys as people write it: `5%` or `0.05`.
///
/// # Errors
/// What is wrong with it.
pub fn part(text: &str) -> Result<f64, String> {
    let part = Part::parse(text).map(Part::fraction);
    part.ok_or_else(|| Part::ALLOWED.to_owned())
}
