//! Commands that answer from a configuration alone: check, route, explain, ring.
//!
//! They ask the same engine as the proxy, without a socket. All servers are
//! taken to be healthy.

use std::io::{self, BufRead, BufWriter, Write};

use super::clock;
use crate::config::Config;
use crate::engine::{CommandError, Idle, LoadBalancer, RoutingTable};
use crate::wire::{ExplainView, RingView, RoutedView};

/// The routing table of a configuration at rest.
///
/// # Errors
/// When its servers cannot form a fleet; [`Config::parse`] has ruled it out.
pub fn table(config: &Config) -> Result<std::sync::Arc<RoutingTable>, CommandError> {
    let balancer = LoadBalancer::new(config.settings(), config.servers(), clock::now())?;
    Ok(std::sync::Arc::clone(balancer.table()))
}

/// Writes a line of JSON for each of `keys`.
///
/// # Errors
/// When `out` cannot be written to.
pub fn route_keys<'a>(
    table: &RoutingTable,
    keys: impl IntoIterator<Item = &'a [u8]>,
    out: impl Write,
) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    keys.into_iter()
        .try_for_each(|key| route_key(table, key, &mut out))?;
    out.flush()
}

/// Writes a line of JSON for each line of `input`. A key is the bytes of a
/// line up to the newline, whatever they are.
///
/// # Errors
/// When `input` cannot be read or `out` cannot be written to.
pub fn route_lines(
    table: &RoutingTable,
    mut input: impl BufRead,
    out: impl Write,
) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        let key = line.strip_suffix(b"\n").unwrap_or(&line);
        route_key(table, key, &mut out)?;
        line.clear();
    }
    out.flush()
}

fn route_key(table: &RoutingTable, key: &[u8], out: &mut impl Write) -> io::Result<()> {
    let position = table.position(key);
    let route = table.route(Some(position), &Idle, &[]);
    let server = route
        .ok()
        .map(|route| table.server(route.server).server.name.as_str());
    serde_json::to_writer(&mut *out, &RoutedView::new(key, position, server))?;
    out.write_all(b"\n")
}

/// Why a key goes where it goes while nothing is wrong.
pub fn explained(table: &RoutingTable, key: &str) -> ExplainView {
    ExplainView::new(table, &Idle, key.as_bytes(), None)
}

/// Writes why a key goes where it goes, for people.
///
/// # Errors
/// When `out` cannot be written to.
pub fn explain_table(view: &ExplainView, mut out: impl Write) -> io::Result<()> {
    match &view.position {
        Some(position) => {
            let owner = view.owner.as_deref().unwrap_or("nobody");
            writeln!(
                out,
                "{:?} stands at {position} by {}; its owner is {owner}",
                view.key, view.algorithm
            )?;
        }
        None => writeln!(
            out,
            "{} has no keys: any request may go to any server that is usable",
            view.algorithm
        )?,
    }
    if let Some(key_from) = &view.key_from {
        for part in &key_from.parts {
            writeln!(out, "      {} is {:?}", part.source, part.value)?;
        }
        for source in &key_from.absent {
            writeln!(out, "      there is no {source}")?;
        }
    }
    let names = view.candidates.iter().map(|c| c.server.chars().count());
    let width = names.max().unwrap_or(0);
    for (i, candidate) in view.candidates.iter().enumerate() {
        let (name, reason) = (&candidate.server, candidate.reason.as_str());
        writeln!(out, "{:>4}. {name:width$}  {reason}", i + 1)?;
    }
    Ok(())
}

/// Writes the balance of a ring as a table.
///
/// # Errors
/// When `out` cannot be written to.
pub fn balance_table(table: &RoutingTable, mut out: impl Write) -> io::Result<()> {
    let view = RingView::new(table, None, 0);
    let width = view
        .servers
        .iter()
        .map(|s| s.name.chars().count())
        .max()
        .unwrap_or(0)
        .max(6);
    writeln!(
        out,
        "{:width$}  weight  points    share  expected  ratio",
        "server"
    )?;
    for server in &view.servers {
        let ratio = server.share.actual / server.share.expected;
        writeln!(
            out,
            "{:width$}  {:>6}  {:>6}  {:>6.2}%   {:>6.2}%  {ratio:>5.3}",
            server.name,
            server.weight,
            server.n_points,
            100.0 * server.share.actual,
            100.0 * server.share.expected,
        )?;
    }
    if let Some(rule) = table.keyless() {
        writeln!(
            out,
            "\n{} has no keys; shares are the parts of all requests that weights make expected",
            rule.name()
        )?;
    }
    writeln!(
        out,
        "\n{} points, peak to mean {:.3}, cv {:.4}, fingerprint {}",
        view.n_points, view.balance.peak_to_mean, view.balance.cv, view.fingerprint
    )
}

/// Writes a ring with all its points as JSON.
///
/// # Errors
/// When `out` cannot be written to.
pub fn ring_json(table: &RoutingTable, mut out: impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut out, &RingView::new(table, None, usize::MAX))?;
    out.write_all(b"\n")
}
