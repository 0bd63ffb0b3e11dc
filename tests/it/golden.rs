//! The golden vectors of `tests/data/golden`, replayed natively.
//!
//! The same files are replayed through WebAssembly in Node, and the routes by
//! implementations in Python that share no code with this one. Each line
//! holds a question and its answer; here the answers are computed again from
//! the questions. `UPDATE=1` writes them, which is a change of behaviour and
//! belongs in the changelog. The folder's README says what a replayer does.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ringway::config::Config;
use ringway::engine::{
    Command, CommandError, Events, Idle, LayoutError, LoadBalancer, Moved, Observation, Outcome,
    ProbeId, ProbeOutcome, RoutingTable, Server, ServerId, ServerName, Term, Timestamp,
};
use ringway::wire::{
    self, ChangeView, EventView, HealthView, MetricsView, ServerSpec, ServerView, ServersView,
    StateSpec, WeightSpec,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

mod algorithms;
mod keyless;

/// What the test of each file does: answers the file's questions again and
/// compares the two line by line, or writes the file.
fn check(file: &str, answer: impl Fn(&str) -> String) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(&path).expect("the file is there");
    let answered = answer(&text);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, answered).expect("the file can be written");
        return;
    }
    for (i, (found, expected)) in answered.lines().zip(text.lines()).enumerate() {
        assert_eq!(found, expected, "{file}, line {}", i + 1);
    }
    assert_eq!(answered.len(), text.len(), "{file} has as many lines");
}

// === routes.json ===

#[derive(Deserialize, Serialize)]
struct Routes {
    format: String,
    fleets: Vec<Fleet>,
    changes: Vec<Change>,
}

#[derive(Deserialize, Serialize)]
struct Fleet {
    about: String,
    config: Value,
    #[serde(default)]
    fingerprint: String,
    #[serde(default)]
    n_points: usize,
    #[serde(default)]
    points: Vec<PlacedPoint>,
    #[serde(default)]
    shares: Vec<OwnedShare>,
    routes: Vec<Keyed>,
}

#[derive(Deserialize, Serialize)]
struct PlacedPoint {
    index: usize,
    position: String,
    server: String,
}

#[derive(Deserialize, Serialize)]
struct OwnedShare {
    server: String,
    units: String,
}

#[derive(Deserialize, Serialize)]
struct Keyed {
    #[serde(flatten)]
    key: Key,
    #[serde(default)]
    position: String,
    owner: Option<String>,
    #[serde(default)]
    candidates: Vec<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Key {
    Key(String),
    KeyHex(String),
}

#[derive(Deserialize, Serialize)]
struct Change {
    before: usize,
    after: usize,
    #[serde(default)]
    total: String,
    /// Whether what moves is what is expected over the draws.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    expected: bool,
    #[serde(default)]
    flows: Vec<Flow>,
}

#[derive(Deserialize, Serialize)]
struct Flow {
    from: String,
    to: String,
    units: String,
}

impl Change {
    /// Writes down what moved.
    fn answer(&mut self, moved: &Moved) {
        self.total = units(moved.total.units());
        let flows = moved.flows.iter().map(|flow| Flow {
            from: flow.from.to_string(),
            to: flow.to.to_string(),
            units: units(flow.share.units()),
        });
        self.flows = flows.collect();
    }
}

/// How many candidates of a key are written down.
const CANDIDATES: usize = 8;

#[test]
fn every_golden_route_is_answered_as_written() {
    check("tests/data/golden/routes.json", |text| {
        let mut routes: Routes = serde_json::from_str(text).expect("valid vectors");
        let tables: Vec<Arc<RoutingTable>> = routes.fleets.iter().map(table_of).collect();
        for (fleet, table) in routes.fleets.iter_mut().zip(&tables) {
            answer_fleet(fleet, table);
        }
        for change in &mut routes.changes {
            let (before, after) = (&tables[change.before], &tables[change.after]);
            let moved = after.moved_since(before);
            change.answer(&moved);
        }
        written(&routes)
    });
}

fn table_of(fleet: &Fleet) -> Arc<RoutingTable> {
    let config = Config::read(fleet.config.clone()).expect("a valid configuration");
    let balancer = LoadBalancer::new(config.settings(), config.servers(), Timestamp::ZERO);
    Arc::clone(balancer.expect("a valid fleet").table())
}

fn answer_fleet(fleet: &mut Fleet, table: &RoutingTable) {
    let ring = table.primary().ring().expect("a ring");
    let name = |rank: u32| ring.servers()[rank as usize].name.to_string();
    fleet.fingerprint = format!("{:016x}", table.fingerprint());
    fleet.n_points = ring.points().len();
    let mut indexes: Vec<usize> = fleet.points.iter().map(|point| point.index).collect();
    if indexes.is_empty() {
        let last = fleet.n_points.saturating_sub(1);
        indexes = vec![0, 1, fleet.n_points / 2, last];
        indexes.retain(|&index| index < fleet.n_points);
        indexes.dedup();
    }
    let point = |index: usize| PlacedPoint {
        index,
        position: ring.points()[index].position().to_string(),
        server: name(ring.points()[index].server),
    };
    fleet.points = indexes.into_iter().map(point).collect();
    let shares = ring.shares().into_iter().zip(ring.servers());
    fleet.shares = shares
        .map(|(share, server)| OwnedShare {
            server: server.name.to_string(),
            units: units(share.units()),
        })
        .collect();
    for keyed in &mut fleet.routes {
        let bytes = match &keyed.key {
            Key::Key(text) => text.clone().into_bytes(),
            Key::KeyHex(hex) => bytes_of(hex),
        };
        let position = table.position(&bytes);
        keyed.position = position.to_string();
        let names = |server| table.server(server).server.name.to_string();
        let candidates = table.explain(position, &Idle, &[]);
        keyed.candidates = candidates
            .iter()
            .take(CANDIDATES)
            .map(|candidate| names(candidate.server))
            .collect();
        keyed.owner = keyed.candidates.first().cloned();
        // Nobody has been judged, so the owner is also where the key goes.
        let route = table.route(Some(position), &Idle, &[]);
        assert_eq!(route.ok().map(|route| names(route.server)), keyed.owner);
    }
}

/// Units of 2^-64 of the ring, in as many digits as the whole ring needs.
fn units(units: u128) -> String {
    format!("{units:017x}")
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .chars()
        .map(|digit| digit.to_digit(16).expect("a hexadecimal digit") as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| 16 * pair[0] + pair[1])
        .collect()
}

/// The document, one question on a line.
fn written(routes: &Routes) -> String {
    let mut out = format!("{{\"format\":{},\n\"fleets\":[", line(&routes.format));
    let fleets: Vec<String> = routes.fleets.iter().map(written_fleet).collect();
    let _ = write!(out, "\n{}", fleets.join(",\n"));
    out.push_str("],\n\"changes\":[");
    let changes: Vec<String> = routes.changes.iter().map(line).collect();
    let _ = write!(out, "\n {}", changes.join(",\n "));
    out.push_str("]}\n");
    out
}

fn written_fleet(fleet: &Fleet) -> String {
    let routes: Vec<String> = fleet.routes.iter().map(line).collect();
    [
        format!("{{\"about\":{},", line(&fleet.about)),
        format!(" \"config\":{},", line(&fleet.config)),
        format!(" \"fingerprint\":{},", line(&fleet.fingerprint)),
        format!(" \"n_points\":{},", line(&fleet.n_points)),
        format!(" \"points\":{},", line(&fleet.points)),
        format!(" \"shares\":{},", line(&fleet.shares)),
        format!(" \"routes\":[\n  {}]}}", routes.join(",\n  ")),
    ]
    .join("\n")
}

fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("a plain value")
}

// === docs/ring-format.md ===

#[test]
fn the_test_vectors_of_the_published_format_are_right() {
    check("docs/ring-format.md", |text| {
        let (before, rest) = text.split_once("```json\n").expect("a fleet");
        let (fleet, after) = rest.split_once("\n```").expect("an end of the fleet");
        let mut fleet: Fleet = serde_json::from_str(fleet).expect("valid vectors");
        let table = table_of(&fleet);
        answer_fleet(&mut fleet, &table);
        let before: String = before.split_inclusive('\n').map(hashed_row).collect();
        format!("{before}```json\n{}\n```{after}", written_fleet(&fleet))
    });
}

/// A row `| of what | bytes | hash |` with the hash of the bytes; other lines
/// as they are.
fn hashed_row(line: &str) -> String {
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let [_, what, bytes, hash, _] = cells[..] else {
        return line.to_owned();
    };
    let is_hash = hash.len() == 18 && hash.starts_with('`');
    if !is_hash {
        return line.to_owned();
    }
    let hex = bytes.trim_matches('`').replace(' ', "");
    let position = ringway::engine::Position::of_key(&bytes_of(&hex));
    format!("| {what} | {bytes} | `{position}` |\n").replace("|  |", "| |")
}

// === trace.jsonl ===

/// A line of the trace: what is done, and what came of it.
#[derive(Deserialize, Serialize)]
struct Line {
    #[serde(flatten)]
    step: Step,
    #[serde(flatten)]
    came: Map<String, Value>,
}

/// Named after the methods of the JavaScript class, with their arguments.
#[derive(Deserialize, Serialize)]
#[serde(tag = "do", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Step {
    New { config: Value },
    Advance { now_ms: u64 },
    AddServer { spec: Value },
    RemoveServer { name: String },
    SetWeight { name: String, weight: Value },
    SetState { name: String, state: Value },
    Begin { request: u64, key: String },
    Finish { request: u64, result: Finished },
    RecordProbe { id: String, result: Finished },
    Route { key: String },
    NextDeadlineMs,
    Fingerprint,
    Servers,
    Health,
    Metrics,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Finished {
    ok: bool,
    latency_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[test]
fn every_line_of_the_golden_trace_comes_out_as_written() {
    check("tests/data/golden/trace.jsonl", |text| {
        let mut lines = text.lines().map(|text| {
            let mut line: Line = serde_json::from_str(text).expect(text);
            line.came.clear();
            line
        });
        let Some(first) = lines.next() else {
            panic!("the trace begins with `new`");
        };
        let Step::New { config } = &first.step else {
            panic!("the trace begins with `new`");
        };
        let mut player = Player::new(config);
        let mut out = line(&first) + "\n";
        for mut step in lines {
            step.came = player.play(&step.step);
            out.push_str(&line(&step));
            out.push('\n');
        }
        out
    });
}

/// Does natively what the class does through WebAssembly.
struct Player {
    lb: LoadBalancer,
    now: Timestamp,
    requests: BTreeMap<u64, (ServerId, Term)>,
}

impl Player {
    fn new(config: &Value) -> Self {
        let config = Config::read(config.clone()).expect("a valid configuration");
        let now = Timestamp::ZERO;
        let lb = LoadBalancer::new(config.settings(), config.servers(), now);
        Self {
            lb: lb.expect("a valid fleet"),
            now,
            requests: BTreeMap::new(),
        }
    }

    fn play(&mut self, step: &Step) -> Map<String, Value> {
        match step {
            Step::New { .. } => panic!("`new` stands in the first line only"),
            Step::Advance { now_ms } => {
                self.now = Timestamp::from_millis(*now_ms);
                let events = self.lb.advance(self.now);
                self.events(&events)
            }
            Step::AddServer { spec } => match wire::read::<ServerSpec>(spec.clone()) {
                Ok(spec) => {
                    let server = Server::from(spec);
                    let name = server.name.to_string();
                    self.change(&name, |_| Command::AddServer(server))
                }
                Err(_) => refused("invalid-argument"),
            },
            Step::RemoveServer { name } => self.change(name, Command::RemoveServer),
            Step::SetWeight { name, weight } => {
                match wire::read::<WeightSpec>(json!({ "weight": weight })) {
                    Ok(spec) => self.change(name, |name| Command::SetWeight(name, spec.weight)),
                    Err(_) => refused("invalid-argument"),
                }
            }
            Step::SetState { name, state } => {
                match wire::read::<StateSpec>(json!({ "state": state })) {
                    Ok(spec) => self.change(name, |name| Command::SetState(name, spec.state)),
                    Err(_) => refused("invalid-argument"),
                }
            }
            Step::Begin { request, key } => {
                let found = self.route(key);
                if let Some((server, _)) = found {
                    self.requests
                        .insert(*request, (server, self.lb.term(server)));
                    let started = Observation::RequestStarted { server };
                    assert!(self.lb.observe(started, self.now).as_slice().is_empty());
                }
                answer(found.map(|(_, name)| name))
            }
            Step::Finish { request, result } => {
                let Some((server, term)) = self.requests.remove(request) else {
                    return self.events(&Events::default());
                };
                self.observe(Observation::RequestFinished {
                    server,
                    term,
                    outcome: if result.ok {
                        Outcome::Status(200)
                    } else {
                        Outcome::NoAnswer
                    },
                    latency: Duration::from_millis(result.latency_ms),
                })
            }
            Step::RecordProbe { id, result } => {
                let (server, round) = id.split_once('-').expect("server-round");
                let number = |text: &str| text.parse().expect("a number");
                let why = || result.error.clone().unwrap_or_else(|| "failed".to_owned());
                self.observe(Observation::ProbeFinished {
                    probe: ProbeId {
                        server: ServerId::from_number(number(server)),
                        round: number(round),
                    },
                    outcome: if result.ok {
                        ProbeOutcome::Good
                    } else {
                        ProbeOutcome::Failed(why())
                    },
                    took: Duration::from_millis(result.latency_ms),
                })
            }
            Step::Route { key } => answer(self.route(key).map(|(_, name)| name)),
            Step::NextDeadlineMs => {
                let nanos = self.lb.next_deadline().map(Timestamp::as_nanos);
                answer(nanos.map(|nanos| nanos.div_ceil(1_000_000)))
            }
            Step::Fingerprint => answer(format!("{:016x}", self.lb.table().fingerprint())),
            Step::Servers => answer(ServersView::from(&self.lb.snapshot(self.now)).servers),
            Step::Health => answer(HealthView::from(&self.lb.snapshot(self.now))),
            Step::Metrics => answer(MetricsView::from(&self.lb.snapshot(self.now))),
        }
    }

    fn route(&self, key: &str) -> Option<(ServerId, String)> {
        let table = self.lb.table();
        let position = table.position(key.as_bytes());
        let route = table.route(Some(position), &self.lb, &[]).ok()?;
        let entry = table.server(route.server);
        Some((entry.id, entry.server.name.to_string()))
    }

    fn change(
        &mut self,
        name: &str,
        command: impl FnOnce(ServerName) -> Command,
    ) -> Map<String, Value> {
        let Ok(name) = ServerName::new(name) else {
            return refused("unknown-server");
        };
        let before = Arc::clone(self.lb.table());
        let events = match self.lb.apply(command(name.clone()), self.now) {
            Ok(events) => events,
            Err(CommandError::DuplicateName(_)) => return refused("duplicate-name"),
            Err(CommandError::UnknownServer(_)) => return refused("unknown-server"),
            Err(CommandError::DuplicateId(_)) => return refused("duplicate-id"),
            Err(CommandError::Layout(LayoutError::TooManyPoints(_))) => {
                return refused("too-many-points");
            }
            Err(error @ (CommandError::Layout(_) | CommandError::NoKeys(_))) => panic!("{error}"),
        };
        let after = self.lb.table();
        let moved = after.moved_since(&before);
        let snapshot = self.lb.snapshot(self.now);
        let server = snapshot.servers.iter().find(|s| s.server.name == name);
        let mut came = answer(ChangeView {
            server: server.map(|server| ServerView::new(server, self.now)),
            moved: (&moved).into(),
        });
        came.append(&mut self.events(&events));
        came
    }

    fn observe(&mut self, observation: Observation) -> Map<String, Value> {
        let events = self.lb.observe(observation, self.now);
        self.events(&events)
    }

    fn events(&self, events: &Events) -> Map<String, Value> {
        let views: Vec<EventView> = events
            .as_slice()
            .iter()
            .map(|event| EventView::new(event, self.now))
            .collect();
        came("events", views)
    }
}

fn answer(value: impl Serialize) -> Map<String, Value> {
    came("answer", value)
}

fn refused(code: &str) -> Map<String, Value> {
    came("error", code)
}

fn came(what: &str, value: impl Serialize) -> Map<String, Value> {
    let value = serde_json::to_value(value).expect("a plain value");
    Map::from_iter([(what.to_owned(), value)])
}
