//! The configuration file is read anew while the proxy runs: by the real
//! program under load, and by the API.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use ringway::engine::{AdminState, Health, Outcome, ServerSnapshot, Term};
use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::client::Client;
use crate::support::origin::Origin;
use crate::support::program::{Program, at, folder, free_port, write};
use crate::support::proxy::eventually;

#[test]
fn under_load_no_request_fails_and_untouched_servers_keep_their_keys_and_connections() {
    let stay = [Origin::named("a"), Origin::named("b"), Origin::named("c")];
    let guest = Origin::named("guest");
    let file = folder("reload-load").join("config.json");
    let (port, api_port) = (free_port(), free_port());
    let document = |round: usize| {
        let mut servers: Vec<Value> = ["a", "b", "c"]
            .iter()
            .zip(&stay)
            .map(|(name, origin)| at(name, origin.address))
            .collect();
        if round % 2 == 1 {
            servers.insert(0, at("guest", guest.address));
        }
        json!({
            "servers": servers,
            "listen": {"port": port},
            "process": {"workers": 1},
            "routing": {"hash_key": ["path"]},
            "health_check": {"enabled": false},
            // Another one each time, so that there are new rules, too.
            "timeouts": {"response_header": 20 + round},
            "pool": {"max_idle": 16 + round},
            "api": {"port": api_port},
        })
    };
    write(&file, &document(0));
    let program = Program::start(&file, port);
    let mut client = Client::connect(program.proxy);
    let homes: Vec<String> = (0..40)
        .map(|i| client.get(&format!("/{i}")).text().to_owned())
        .collect();
    let (is_over, n_requests, n_guest) =
        (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for start in 0..3 {
            let (homes, is_over, n_requests, n_guest, address) =
                (&homes, &is_over, &n_requests, &n_guest, program.proxy);
            scope.spawn(move || {
                // One connection each for the whole time: a failure would panic.
                let mut client = Client::connect(address);
                for i in (start..).map(|i| i % 40) {
                    let answer = client.get(&format!("/{i}"));
                    assert_eq!(answer.status, 200, "/{i}");
                    match answer.text() {
                        "guest" => _ = n_guest.fetch_add(1, Relaxed),
                        home => assert_eq!(home, homes[i], "/{i}"),
                    }
                    n_requests.fetch_add(1, Relaxed);
                    if is_over.load(Relaxed) {
                        break;
                    }
                }
            });
        }
        for round in 1..=8 {
            write(&file, &document(round));
            program.hang_up();
            program.says("configuration reloaded", round);
            let n = n_requests.load(Relaxed);
            eventually("requests go on", || n_requests.load(Relaxed) > n + 60);
        }
        is_over.store(true, Relaxed);
    });
    assert!(n_guest.load(Relaxed) > 0, "reloads had no effect");
    for origin in &stay {
        // Three at a time and the first client; reloads make no further ones.
        assert!(origin.n_connections() <= 4, "{}", origin.n_connections());
    }
}

#[test]
fn a_watched_file_is_read_again_and_a_bad_one_named_with_every_fault() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let folder = folder("reload-watch");
    let (port, api_port) = (free_port(), free_port());
    let document = |server: Value| {
        json!({
            "servers": [server],
            "listen": {"port": port},
            "process": {"workers": 1, "watch_config": true},
            "health_check": {"enabled": false},
            "api": {"port": api_port},
        })
    };
    // As Kubernetes mounts a ConfigMap: a link to a folder is swapped.
    for (version, server) in [("v1", at("a", a.address)), ("v2", at("b", b.address))] {
        std::fs::create_dir(folder.join(version)).expect("a folder");
        write(&folder.join(version).join("config.json"), &document(server));
    }
    std::fs::create_dir(folder.join("v3")).expect("a folder");
    let mut bad = document(json!({"name": "", "address": "b", "port": 0}));
    bad["timeouts"] = json!({"connect": -1});
    std::fs::write(folder.join("v3/config.json"), bad.to_string()).expect("a file");
    let swap = |version: &str| {
        let (new, data) = (folder.join("..data_tmp"), folder.join("..data"));
        std::os::unix::fs::symlink(version, &new).expect("a link");
        std::fs::rename(new, data).expect("a link");
    };
    swap("v1");
    let file = folder.join("config.json");
    std::os::unix::fs::symlink("..data/config.json", &file).expect("a link");
    let program = Program::start(&file, port);
    assert_eq!(Client::connect(program.proxy).get("/").text(), "a");
    swap("v2");
    program.says("configuration reloaded", 1);
    assert_eq!(Client::connect(program.proxy).get("/").text(), "b");
    swap("v3");
    program.says("configuration not reloaded", 1);
    for fault in ["servers[0].name", "servers[0].port", "timeouts.connect"] {
        program.says(fault, 1);
    }
    assert_eq!(Client::connect(program.proxy).get("/").text(), "b");
}

/// An API with a file behind it.
async fn api(name: &str, settings: Value) -> (Api, PathBuf, Value) {
    let file = folder(&format!("reload-{name}")).join("config.json");
    let mut document = settings;
    let server =
        |i: u16| json!({"name": format!("s{i}"), "address": "127.0.0.1", "port": 7000 + i});
    document["servers"] = (0..4).map(server).collect();
    write(&file, &document);
    let api = Api::start_over(document.clone(), Some(&file)).await;
    (api, file, document)
}

fn snapshot(api: &Api, name: &str) -> ServerSnapshot {
    let servers = api.shared.snapshot().servers;
    let mut found = servers
        .into_iter()
        .filter(|s| s.server.name.as_str() == name);
    found.next().expect("a server of that name")
}

async fn reload(api: &Api, query: &str) -> crate::support::api::Reply {
    api.send("POST", &format!("/api/reload{query}"), "", b"")
        .await
}

#[tokio::test]
async fn what_the_file_says_is_in_effect_and_what_is_known_of_servers_stays() {
    let (api, file, mut document) = api("truth", json!({})).await;
    let reply = reload(&api, "").await;
    assert_eq!(
        (reply.status, &reply.json()["changed"]),
        (200, &json!(false))
    );

    let guest = json!({"name": "guest", "address": "127.0.0.1", "port": 9});
    assert_eq!(api.post("/api/servers", &guest).await.status, 201);
    let draining = json!({"state": "draining"});
    assert_eq!(
        api.put("/api/servers/s1/state", &draining).await.status,
        200
    );
    let before = snapshot(&api, "s2");
    document["servers"][2]["weight"] = 5.into();
    document["servers"][3]["port"] = 7777.into();
    document["routing"] = json!({"fail_open": false, "hash_key": ["path"]});
    write(&file, &document);
    let reply = reload(&api, "").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let view = reply.json();
    assert_eq!(view["servers"]["removed"], json!(["guest"]));
    assert_eq!(view["servers"]["added"], json!([]));
    assert_eq!(
        view["servers"]["changed"],
        json!([{"server": "s2", "settings": ["weight"]}, {"server": "s3", "settings": ["port"]}])
    );
    let paths: Vec<&Value> = view["settings"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|s| &s["path"])
        .collect();
    assert_eq!(paths, ["routing.fail_open", "routing.hash_key"]);
    assert!(view["moved"]["fraction"].as_f64() > Some(0.1), "{view}");
    let after = snapshot(&api, "s2");
    assert_eq!((before.id, 5), (after.id, after.server.weight.number()));
    assert_eq!(snapshot(&api, "s1").state, AdminState::Draining);
    assert_eq!(snapshot(&api, "s3").health, Health::Unknown);
    let config = api.get("/api/config").await.json();
    assert_eq!(config["routing"]["fail_open"], false);
    assert_eq!(
        api.shared.fleet().load().config.routing.hash_key,
        api.shared.config().routing.hash_key
    );
}

#[tokio::test]
async fn an_ejected_server_stays_ejected() {
    let (api, file, mut document) =
        api("ejected", json!({"health_check": {"enabled": false}})).await;
    let fleet = api.shared.fleet().load_full();
    for _ in 0..3 {
        api.shared
            .report(&fleet.servers[0], Term::default(), Outcome::ConnectError);
    }
    let mut api = api;
    let reports = api.reports.take().expect("nobody else drives it");
    let stop = tokio_util::sync::CancellationToken::new();
    let shared = Arc::clone(&api.shared);
    tokio::spawn(ringway::native::driver::run(shared, reports, stop));
    for _ in 0..1000 {
        if snapshot(&api, "s0").ejected_until.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let until = snapshot(&api, "s0").ejected_until;
    assert!(until.is_some());
    document["servers"][0]["weight"] = 2.into();
    write(&file, &document);
    assert_eq!(reload(&api, "").await.status, 200);
    assert_eq!(snapshot(&api, "s0").ejected_until, until);
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_with_every_fault_and_changes_nothing() {
    let (api, file, document) = api("refused", json!({})).await;
    let before = (api.state(), api.shared.config());
    let mut needs_restart = document.clone();
    needs_restart["listen"] = json!({"port": 81});
    needs_restart["process"] = json!({"workers": 7});
    needs_restart["api"] = json!({"token": "0123456789abcdef"});
    needs_restart["retries"] = json!({"attempts": 0});
    let mut faulty = document.clone();
    faulty["servers"][0]["weight"] = 0.into();
    faulty["servers"][1]["name"] = "s2".into();
    faulty["timeouts"] = json!({"x": 1});
    let cases = [
        (needs_restart.to_string(), 409, "needs-restart", 3),
        (faulty.to_string(), 422, "invalid-file", 2),
        ("{\"servers\": [".to_owned(), 422, "invalid-file", 1),
    ];
    for (text, status, kind, n_faults) in cases {
        std::fs::write(&file, text).expect("a writable file");
        for query in ["", "?dry_run=true", "?max_moved=100%"] {
            let reply = reload(&api, query).await;
            assert_eq!(
                (reply.status, reply.problem().as_str()),
                (status, kind),
                "{reply:?}"
            );
            assert_eq!(reply.faults().len(), n_faults, "{reply:?}");
            let now = (api.state(), api.shared.config());
            assert_eq!(now.0, before.0);
            assert!(Arc::ptr_eq(&now.1, &before.1));
        }
    }
    std::fs::remove_file(&file).expect("it was there");
    let reply = reload(&api, "").await;
    assert_eq!(reply.problem(), "invalid-file");
    assert!(
        reply.json()["detail"]
            .as_str()
            .expect("text")
            .contains("cannot be read")
    );
    let reply = reload(&api, "?max_moved=lots").await;
    assert_eq!(
        (reply.status, reply.faults()),
        (400, vec!["max_moved".to_owned()])
    );

    let without = Api::start(document).await;
    let reply = reload(&without, "").await;
    assert_eq!((reply.status, reply.problem().as_str()), (409, "no-file"));
}

#[tokio::test]
async fn a_reload_that_moves_too_much_is_refused_and_a_dry_one_does_nothing() {
    let (api, file, mut document) = api("guard", json!({"process": {"max_moved": "5%"}})).await;
    let before = api.state();
    document["servers"][0]["weight"] = 9.into();
    // What is in effect before counts, and not what would come.
    document["process"]["max_moved"] = 1.into();
    write(&file, &document);
    let plan = reload(&api, "?dry_run=true").await;
    assert_eq!(plan.status, 200, "{plan:?}");
    let moved = plan.json()["moved"].as_f64().expect("a part");
    assert!(moved > 0.3, "{moved}");
    for query in ["", "?max_moved=10%"] {
        let reply = reload(&api, query).await;
        assert_eq!(
            (reply.status, reply.problem().as_str()),
            (409, "moves-too-much")
        );
    }
    assert_eq!(api.state(), before);
    let reply = reload(&api, "?max_moved=0.9").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.json()["moved"]["fraction"].as_f64(), Some(moved));
    assert_ne!(api.state(), before);
    document["servers"][0]["weight"] = 1.into();
    write(&file, &document);
    assert_eq!(reload(&api, "").await.status, 200, "100% may move by now");
}

#[test]
fn a_reload_changes_how_servers_are_probed_and_a_missing_file_is_refused() {
    let origin = Origin::new(|got, stream| {
        let status = if got.line.contains("/new ") {
            "200 OK"
        } else {
            "404 No"
        };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        let _ = std::io::Write::write_all(stream, answer.as_bytes());
        crate::support::origin::After::Close
    });
    let file = folder("reload-probes").join("config.json");
    let (port, api_port) = (free_port(), free_port());
    let document = |check: Value| {
        let mut check = check;
        (check["interval"], check["timeout"]) = (json!(0.2), json!(0.2));
        json!({"servers": [at("a", origin.address)], "listen": {"port": port},
            "process": {"workers": 1}, "health_check": check, "api": {"port": api_port}})
    };
    write(&file, &document(json!({"path": "/old"})));
    let program = Program::start(&file, port);
    program.says("server is unhealthy", 1);
    // Nobody to trust: refused, and probes go on as they were.
    let tls = json!({"kind": "https", "tls": {"ca_file": "nowhere/ca.pem"}});
    write(&file, &document(tls));
    program.hang_up();
    program.says("health_check.tls.ca_file", 1);
    let head = json!({"path": "/new", "method": "HEAD", "rise": 1});
    write(&file, &document(head));
    program.hang_up();
    program.says("server is healthy", 1);
    let lines: Vec<String> = origin.got().iter().map(|got| got.line.clone()).collect();
    assert!(lines[0].starts_with("GET /old "), "{lines:?}");
    let last = lines.last().expect("it was probed");
    assert!(last.starts_with("HEAD /new "), "{lines:?}");
}
