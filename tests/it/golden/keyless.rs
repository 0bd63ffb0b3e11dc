//! keyless.json: whom rules without keys pick, request by request.

use std::time::Duration;

use ringway::config::Config;
use ringway::engine::{
    LoadBalancer, Observation, Outcome, Picker, RoutingTable, ServerId, ServerIndex, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{check, line};

#[derive(Deserialize, Serialize)]
struct Document {
    format: String,
    runs: Vec<Run>,
}

#[derive(Deserialize, Serialize)]
struct Run {
    about: String,
    config: Value,
    seed: u64,
    /// `b` begins a request, `f 3 20 ok` or `f 3 20 failed` ends the fourth after
    /// 20 ms, `t 1500` makes it 1.5 s.
    steps: Vec<String>,
    /// For each request in order: the place of its server in the configuration, as a
    /// digit; `-` without one.
    #[serde(default)]
    picked: String,
}

#[test]
fn every_golden_pick_is_made_as_written() {
    check("tests/data/golden/keyless.json", |text| {
        let mut document: Document = serde_json::from_str(text).expect("valid vectors");
        document.runs.iter_mut().for_each(answer);
        let runs: Vec<String> = document.runs.iter().map(line).collect();
        let format = line(&document.format);
        format!(
            "{{\"format\":{format},\n\"runs\":[\n{}]}}\n",
            runs.join(",\n")
        )
    });
}

fn answer(run: &mut Run) {
    let config = Config::read(run.config.clone()).expect("a valid configuration");
    let mut now = Timestamp::ZERO;
    let mut lb = LoadBalancer::new(config.settings(), config.servers(), now).expect("a fleet");
    let mut picker = Picker::new(run.seed);
    let mut begun: Vec<Option<(ServerId, ringway::engine::Term)>> = Vec::new();
    run.picked.clear();
    for step in &run.steps {
        let words: Vec<&str> = step.split(' ').collect();
        match words[..] {
            ["b"] => {
                let route = lb.table().pick(&mut picker, &lb, &[]).ok();
                let server = route.map(|route| lb.table().server(route.server).id);
                let place = route.and_then(|route| place(lb.table(), &config, route.server));
                run.picked.push(place.unwrap_or('-'));
                if let Some(server) = server {
                    let _ = lb.observe(Observation::RequestStarted { server }, now);
                }
                begun.push(server.map(|server| (server, lb.term(server))));
            }
            ["f", request, ms, word] => {
                let request: usize = request.parse().expect("a number");
                let Some((server, term)) = begun[request].take() else {
                    continue;
                };
                let finished = Observation::RequestFinished {
                    server,
                    term,
                    outcome: match word {
                        "ok" => Outcome::Status(200),
                        _ => Outcome::NoAnswer,
                    },
                    latency: Duration::from_millis(ms.parse().expect("a number")),
                };
                let _ = lb.observe(finished, now);
            }
            ["t", ms] => {
                now = Timestamp::from_millis(ms.parse().expect("a number"));
                let _ = lb.advance(now);
            }
            _ => panic!("{step:?} is no step"),
        }
    }
}

/// Where in the configuration a server stands, as a digit.
fn place(table: &RoutingTable, config: &Config, server: ServerIndex) -> Option<char> {
    let name = &table.server(server).server.name;
    let place = config.servers.iter().position(|spec| spec.name == *name)?;
    char::from_digit(place as u32, 36)
}
