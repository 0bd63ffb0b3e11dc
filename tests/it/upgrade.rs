//! Another process takes over from a running one, under load.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::origin::{Origin, Refusing};
use crate::support::program::{Orphan, Program, api, at, folder, free_port, signal, write};
use crate::support::proxy::eventually;

fn server(port: u16, name: &str) -> Value {
    let (status, text) = api(port, "GET", &format!("/api/servers/{name}"), &Value::Null);
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn no_request_fails_while_three_processes_take_over_with_other_numbers_of_workers() {
    let origins = [Origin::named("a"), Origin::named("b")];
    let broken = Refusing::new();
    let file = folder("upgrade-load").join("config.json");
    let (port, api_port) = (free_port(), free_port());
    let configure = |workers: usize| {
        let servers = [
            at("a", origins[0].address),
            at("b", origins[1].address),
            at("broken", broken.address),
        ];
        write(
            &file,
            &json!({
                "servers": servers,
                "listen": {"port": port},
                "process": {"workers": workers},
                "routing": {"hash_key": ["path"]},
                "health_check": {"enabled": false},
                "ejection": {"base": 300},
                "api": {"host": "127.0.0.1", "port": api_port},
            }),
        );
    };
    configure(2);
    let mut program = Program::start(&file, port);
    // What operators say and what traffic says has to survive.
    let weight = json!({"weight": 3});
    assert_eq!(
        api(api_port, "PUT", "/api/servers/b/weight", &weight).0,
        200
    );
    let draining = json!({"state": "draining"});
    assert_eq!(
        api(api_port, "PUT", "/api/servers/b/state", &draining).0,
        200
    );
    for i in 0.. {
        if server(api_port, "broken")["ejected"] == true {
            break;
        }
        assert_eq!(
            Client::connect(program.proxy).get(&format!("/{i}")).text(),
            "a"
        );
    }
    let (is_over, n_requests) = (AtomicBool::new(false), AtomicU32::new(0));
    let mut orphans: Vec<Orphan> = Vec::new();
    std::thread::scope(|scope| {
        for n in 0..4 {
            let (is_over, n_requests, address) = (&is_over, &n_requests, program.proxy);
            scope.spawn(move || {
                let keeps = n % 2 == 0;
                let mut client = Client::connect(address);
                for i in 0.. {
                    // Anything that is refused, reset or cut short panics here.
                    let answer = client.get(&format!("/{n}/{i}"));
                    assert_eq!((answer.status, answer.text()), (200, "a"));
                    n_requests.fetch_add(1, Relaxed);
                    if !keeps || answer.all("connection") == ["close"] {
                        client = Client::connect(address);
                    }
                    if is_over.load(Relaxed) {
                        break;
                    }
                }
            });
        }
        for (i, workers) in [1, 3, 2].into_iter().enumerate() {
            let n = n_requests.load(Relaxed);
            eventually("requests go on", || n_requests.load(Relaxed) > n + 100);
            configure(workers);
            match orphans.last() {
                None => program.signal("-USR2"),
                Some(orphan) => signal(&orphan.0, "-USR2"),
            }
            eventually("a process starts", || program.successors().len() > i);
            orphans.push(Orphan(program.successors().remove(i)));
            program.says("this process has taken over", i + 1);
            program.says("stopped", i + 1);
            let broken = server(api_port, "broken");
            assert_eq!(broken["ejected"], true, "{broken}");
            assert!(broken["ejected_for_s"].as_f64() > Some(200.0), "{broken}");
            let b = server(api_port, "b");
            assert_eq!((&b["weight"], &b["state"]), (&json!(3), &json!("draining")));
            let n = n_requests.load(Relaxed);
            eventually("requests go on", || n_requests.load(Relaxed) > n + 100);
        }
        is_over.store(true, Relaxed);
    });
    let status = program.process.wait().expect("it is a child");
    assert!(status.success(), "{status}: {}", program.log());
    let (_, text) = api(api_port, "GET", "/metrics", &Value::Null);
    assert!(
        text.contains(r#"ringway_upgrades_total{result="done"} 1"#),
        "{text}"
    );
    assert!(!program.log().contains("ERROR"), "{}", program.log());
}

#[test]
fn what_cannot_take_over_leaves_the_old_process_as_it_was() {
    let origin = Origin::named("a");
    let file = folder("upgrade-broken").join("config.json");
    let (port, api_port) = (free_port(), free_port());
    let document = json!({
        "servers": [at("a", origin.address)],
        "listen": {"port": port},
        "process": {"workers": 1},
        "health_check": {"enabled": false},
        "api": {"host": "127.0.0.1", "port": api_port},
    });
    write(&file, &document);
    let mut program = Program::start(&file, port);
    let mut kept = Client::connect(program.proxy);
    let mut bad = document.clone();
    bad["servers"][0]["weight"] = 0.into();
    let mut elsewhere = document.clone();
    elsewhere["listen"]["port"] = free_port().into();
    let mut same_id = document;
    same_id["servers"][0]["id"] = 7.into();
    let other = json!({"name": "x", "address": "127.0.0.1", "port": 9, "id": 7});
    assert_eq!(api(api_port, "POST", "/api/servers", &other).0, 201);
    for (i, (document, why)) in [
        (bad, "servers[0].weight"),
        (elsewhere, "needs a restart; an upgrade keeps the sockets"),
        (same_id, "there is already a server with the id 7"),
    ]
    .into_iter()
    .enumerate()
    {
        write(&file, &document);
        program.signal("-USR2");
        program.says("this one goes on", i + 1);
        assert!(program.log().contains(why), "{}", program.log());
        assert_eq!(kept.get("/").text(), "a");
        assert_eq!(Client::connect(program.proxy).get("/").text(), "a");
        let weight = json!({"weight": 2 + i});
        assert_eq!(
            api(api_port, "PUT", "/api/servers/a/weight", &weight).0,
            200
        );
    }
    let (_, text) = api(api_port, "GET", "/metrics", &Value::Null);
    assert!(
        text.contains(r#"ringway_upgrades_total{result="failed"} 3"#),
        "{text}"
    );
    program.end();
}
