//! Where the requests of a file go by two configurations.
//!
//! The file is read in large pieces that end with a line; each is shared among
//! threads, and what they counted is added up in the order of the file, so the
//! answer does not depend on how many threads there are. What is kept of a
//! request are eight bytes, and those of equal requests are merged now and then.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::thread;

use memchr::{memchr, memrchr};

use super::log_line::LoggedRequest;
use super::progress::Progress;
use crate::engine::{Idle, RoutingTable, ServerIndex};
use crate::native::proxy::hash_key::HashKey;

/// What the lines of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// Keys, whatever their bytes.
    Keys,
    /// Requests, as access logs have them.
    AccessLog,
}

/// How much of the file a thread gets at a time.
const PIECE_BYTES: usize = 1 << 20;

/// More threads would wait for the reading.
const THREADS_MAX: usize = 8;

/// The longest line: a request's head may have 1 MiB, and be escaped fourfold.
const LINE_BYTES_MAX: usize = 16 << 20;

/// How many requests are remembered at least before equal ones are merged.
const SEEN_MIN: usize = 1 << 20;

/// The two configurations: the one in use, and the one that would follow it.
pub(super) struct Sides<'a> {
    tables: [&'a RoutingTable; 2],
    hash_keys: [HashKey; 2],
    /// Whether both make the same key of a request.
    has_one_key: bool,
    /// Where the first table's servers stand in the second.
    successors: Vec<Option<usize>>,
    /// How many sources each hash key has.
    n_sources: [usize; 2],
}

/// What was counted; the first of two is as it is, the second as it would be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tally {
    pub(super) lines: u64,
    pub(super) requests: u64,
    pub(super) moved: u64,
    /// Requests by server.
    pub(super) servers: [Vec<u64>; 2],
    /// Requests by source of their key; the last are those without one.
    pub(super) sources: [Vec<u64>; 2],
    pub(super) skipped: u64,
    /// The number of the first line that is no request, from 1, and why it is none.
    pub(super) first_skipped: Option<(u64, String)>,
    /// For each request a hash of its key, the last bit replaced by whether it moves.
    seen: Vec<u64>,
    /// How many of them it takes until equal ones are merged.
    seen_max: usize,
}

impl<'a> Sides<'a> {
    pub(super) fn new(tables: [&'a RoutingTable; 2], chains: [&crate::config::HashKey; 2]) -> Self {
        let [before, after] = tables.map(RoutingTable::servers);
        let places: BTreeMap<_, _> = after
            .iter()
            .enumerate()
            .map(|(i, entry)| (&entry.server.name, i))
            .collect();
        let successors = before
            .iter()
            .map(|entry| places.get(&entry.server.name).copied());
        Self {
            tables,
            hash_keys: chains.map(HashKey::new),
            has_one_key: chains[0] == chains[1],
            successors: successors.collect(),
            n_sources: chains.map(|chain| chain.sources().len()),
        }
    }

    /// The names of a table's servers, in the order of their counts.
    pub(super) fn names(&self, side: usize) -> impl Iterator<Item = &'a str> + Clone {
        let servers = self.tables[side].servers().iter();
        servers.map(|entry| entry.server.name.as_str())
    }

    /// Which server of a table gets a key; none where there is nobody.
    fn server(&self, side: usize, key: &[u8]) -> Option<usize> {
        let table = self.tables[side];
        let route = table.route(Some(table.position(key)), &Idle, &[]).ok();
        route.map(|route| ServerIndex::as_usize(route.server))
    }
}

/// Counts all lines of `input`.
///
/// # Errors
/// When it cannot be read, or a line is longer than any can be.
pub(super) fn count(
    lines: Lines,
    input: &mut dyn Read,
    sides: &Sides<'_>,
    progress: &Progress,
) -> io::Result<Tally> {
    let n_threads = thread::available_parallelism().map_or(1, usize::from);
    let n_threads = n_threads.min(THREADS_MAX);
    let mut tally = Tally::new(sides);
    let mut buffer = vec![0; n_threads * PIECE_BYTES];
    let mut filled = 0;
    loop {
        let n_read = fill(input, &mut buffer[filled..])?;
        filled += n_read;
        let is_end = filled < buffer.len();
        let whole = match memrchr(b'\n', &buffer[..filled]) {
            _ if is_end => filled,
            Some(last) => last + 1,
            None if filled >= LINE_BYTES_MAX => {
                return Err(io::Error::other(format!(
                    "line {} is longer than {LINE_BYTES_MAX} bytes",
                    tally.lines + 1
                )));
            }
            None => {
                buffer.resize(2 * filled, 0);
                continue;
            }
        };
        let lines_before = tally.lines;
        for part in in_parallel(&split(&buffer[..whole], n_threads), |piece| {
            let mut part = Tally::new(sides);
            part.count(lines, piece, sides);
            part
        }) {
            tally.add(part);
        }
        progress.advance(whole as u64, tally.lines - lines_before);
        if is_end {
            tally.merge_seen();
            return Ok(tally);
        }
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
    }
}

/// Reads until `buffer` is full or `input` ends.
fn fill(input: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Splits `text` after lines into at most `n` pieces that are about as long.
fn split(mut text: &[u8], n: usize) -> Vec<&[u8]> {
    let length = text.len().div_ceil(n).max(1);
    let mut pieces = Vec::with_capacity(n);
    while !text.is_empty() {
        let least = length.min(text.len()) - 1;
        let end = memchr(b'\n', &text[least..]);
        let (piece, rest) = text.split_at(end.map_or(text.len(), |end| least + end + 1));
        pieces.push(piece);
        text = rest;
    }
    pieces
}

/// What `work` makes of each piece, in order, a thread for each.
fn in_parallel(pieces: &[&[u8]], work: impl Fn(&[u8]) -> Tally + Sync) -> Vec<Tally> {
    let Some((first, others)) = pieces.split_first() else {
        return Vec::new();
    };
    thread::scope(|scope| {
        let work = &work;
        let others: Vec<_> = others
            .iter()
            .map(|piece| scope.spawn(move || work(piece)))
            .collect();
        let mut done = vec![work(first)];
        for other in others {
            done.push(
                other
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            );
        }
        done
    })
}

impl Tally {
    fn new(sides: &Sides<'_>) -> Self {
        Self {
            lines: 0,
            requests: 0,
            moved: 0,
            servers: sides.tables.map(|table| vec![0; table.servers().len()]),
            sources: sides.n_sources.map(|n| vec![0; n + 1]),
            skipped: 0,
            first_skipped: None,
            seen: Vec::new(),
            seen_max: SEEN_MIN,
        }
    }

    /// How many different keys there were, and how many of them move.
    pub(super) fn distinct(&self) -> (u64, u64) {
        let groups = self.seen.chunk_by(|a, b| a >> 1 == b >> 1);
        let moved = self.seen.iter().filter(|&key| key & 1 == 1);
        (groups.count() as u64, moved.count() as u64)
    }

    fn count(&mut self, lines: Lines, text: &[u8], sides: &Sides<'_>) {
        let mut request = LoggedRequest::default();
        let mut rest = text;
        while !rest.is_empty() {
            let end = memchr(b'\n', rest);
            let line = &rest[..end.unwrap_or(rest.len())];
            rest = end.map_or(&[], |end| &rest[end + 1..]);
            self.lines += 1;
            if lines == Lines::Keys {
                self.count_request([Some(line); 2], sides);
                continue;
            }
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if let Err(fault) = request.read(line) {
                self.skipped += 1;
                self.first_skipped
                    .get_or_insert_with(|| (self.lines, fault.to_string()));
                continue;
            }
            let find = |side: usize| sides.hash_keys[side].find(request.parts());
            let before = find(0);
            let other = (!sides.has_one_key).then(|| find(1));
            let found = [&before, other.as_ref().unwrap_or(&before)];
            for (side, found) in found.into_iter().enumerate() {
                let source = found.as_ref().map(|(source, _)| *source);
                self.sources[side][source.unwrap_or(sides.n_sources[side])] += 1;
            }
            self.count_request(
                found.map(|found| found.as_ref().map(|(_, key)| &**key)),
                sides,
            );
        }
    }

    /// Counts a request that has these keys.
    fn count_request(&mut self, [before, after]: [Option<&[u8]>; 2], sides: &Sides<'_>) {
        let old = before.and_then(|key| sides.server(0, key));
        let new = after.and_then(|key| sides.server(1, key));
        for (side, server) in [old, new].into_iter().enumerate() {
            if let Some(server) = server {
                self.servers[side][server] += 1;
            }
        }
        let is_moved = match old {
            Some(old) => new.is_none() || sides.successors[old] != new,
            None => new.is_some(),
        };
        self.requests += 1;
        self.moved += u64::from(is_moved);
        if let Some(key) = before {
            let hash = xxhash_rust::xxh3::xxh3_64(key);
            self.seen.push(hash & !1 | u64::from(is_moved));
        }
    }

    /// Adds what was counted in the lines that follow.
    fn add(&mut self, other: Self) {
        let lines_before = self.lines;
        self.lines += other.lines;
        self.requests += other.requests;
        self.moved += other.moved;
        self.skipped += other.skipped;
        for side in 0..2 {
            for (sum, count) in self.servers[side].iter_mut().zip(&other.servers[side]) {
                *sum += count;
            }
            for (sum, count) in self.sources[side].iter_mut().zip(&other.sources[side]) {
                *sum += count;
            }
        }
        let skipped = other.first_skipped;
        let skipped = skipped.map(|(line, fault)| (lines_before + line, fault));
        self.first_skipped = self.first_skipped.take().or(skipped);
        self.seen.extend_from_slice(&other.seen);
        if self.seen.len() > self.seen_max {
            self.merge_seen();
            self.seen_max = SEEN_MIN.max(2 * self.seen.len());
        }
    }

    fn merge_seen(&mut self) {
        self.seen.sort_unstable();
        self.seen.dedup();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_end_with_lines_and_nothing_is_lost() {
        let text = b"a\nbb\n\nlonger than the others\nc";
        for n in 1..40 {
            let pieces = split(text, n);
            assert!(pieces.len() <= n, "{n}");
            assert_eq!(pieces.concat(), text, "{n}");
            let (_, whole) = pieces.split_last().expect("a piece");
            assert!(whole.iter().all(|piece| piece.ends_with(b"\n")), "{n}");
        }
        assert_eq!(split(b"a\nb\n", 2), [b"a\n", b"b\n"]);
        assert!(split(b"", 3).is_empty());
    }

    #[test]
    fn equal_keys_are_one_whenever_they_are_merged() {
        let config = crate::config::Config::parse(br#"{"servers": []}"#).expect("good");
        let table = crate::native::offline::table(&config).expect("a fleet");
        let sides = Sides::new([&table; 2], [&config.routing.hash_key; 2]);
        for seen_max in [0, 1, 3, 100] {
            let mut sum = Tally::new(&sides);
            sum.seen_max = seen_max;
            // Keys 2 and 6 move with some of their requests, key 4 with none.
            for seen in [vec![2, 4, 7], vec![3, 4], vec![7, 6], vec![4]] {
                let mut part = Tally::new(&sides);
                part.seen = seen;
                sum.add(part);
            }
            sum.merge_seen();
            assert_eq!(sum.distinct(), (3, 2), "{seen_max}");
        }
    }

    #[test]
    fn what_has_no_lines_is_refused_before_memory_is_full() {
        let config = crate::config::Config::parse(br#"{"servers": []}"#).expect("good");
        let table = crate::native::offline::table(&config).expect("a fleet");
        let sides = Sides::new([&table; 2], [&config.routing.hash_key; 2]);
        let error = count(
            Lines::Keys,
            &mut io::repeat(b'x'),
            &sides,
            &Progress::new(None),
        );
        let error = error.expect_err("a line without end").to_string();
        assert!(error.starts_with("line 1 is longer than"), "{error}");
    }
}
