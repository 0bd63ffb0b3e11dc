//! The servers: add, show, change, remove.

use serde_json::{Value, json};

use super::{names, three};
use crate::support::api::{Api, document};

#[tokio::test]
async fn servers_are_added_shown_changed_and_removed() {
    let api = Api::start(document(&[])).await;
    assert_eq!(names(&api.get("/api/servers").await), [""; 0]);

    let spec = json!({ "name": "a", "address": "10.0.0.1", "port": 80, "weight": 2 });
    let added = api.post("/api/servers", &spec).await;
    assert_eq!(added.status, 201);
    assert_eq!(added.header("location"), "/api/servers/a");
    assert_eq!(added.header("content-type"), "application/json");
    assert_eq!(added.json()["server"]["weight"], 2);
    assert_eq!(added.json()["server"]["state"], "active");
    // Everything moved, from nobody.
    assert_eq!(
        added.json()["moved"],
        json!({ "fraction": 1.0, "flows": [] })
    );

    let spec = json!({ "name": "b", "address": "b.example", "port": 80 });
    let added = api.post("/api/servers", &spec).await;
    let moved = added.json()["moved"].clone();
    assert_eq!(moved["flows"][0]["from"], "a");
    assert_eq!(moved["flows"][0]["to"], "b");
    let fraction = moved["fraction"].as_f64().expect("a number");
    assert!((fraction - 1.0 / 3.0).abs() < 0.1, "{fraction}");
    assert_eq!(names(&api.get("/api/servers").await), ["a", "b"]);

    let shown = api.get("/api/servers/b").await;
    assert_eq!(shown.status, 200);
    assert_eq!(shown.json()["address"], "b.example");
    assert_eq!(shown.json()["weight"], 1);
    assert_eq!(shown.header("etag"), added.header("etag"));

    let changed = api
        .put("/api/servers/b/weight", &json!({ "weight": 2 }))
        .await;
    assert_eq!(changed.status, 200);
    assert_eq!(changed.json()["server"]["weight"], 2);
    assert_eq!(changed.json()["moved"]["flows"][0]["to"], "b");
    assert_ne!(changed.header("etag"), shown.header("etag"));

    let drained = api
        .put("/api/servers/b/state", &json!({ "state": "draining" }))
        .await;
    assert_eq!(drained.status, 200);
    assert_eq!(drained.json()["server"]["standing"], "draining");
    assert_eq!(drained.json()["server"]["eligible"], false);
    assert_eq!(drained.json()["moved"]["fraction"], 0.0);
    assert_ne!(drained.header("etag"), changed.header("etag"));
    let decided = api.post("/api/route", &json!({ "key": "k" })).await;
    assert_eq!(decided.json()["server"], "a");

    let removed = api.delete("/api/servers/b").await;
    assert_eq!(removed.status, 200);
    assert_eq!(removed.json()["server"], Value::Null);
    assert_eq!(removed.json()["moved"]["flows"][0]["from"], "b");
    assert_eq!(names(&api.get("/api/servers").await), ["a"]);
    assert_eq!(api.get("/api/servers/b").await.problem(), "unknown-server");
}

#[tokio::test]
async fn backups_move_keys_on_their_own_ring() {
    let api = Api::start(three()).await;
    for (name, moved) in [("x", 1.0), ("y", 0.5)] {
        let spec = json!({ "name": name, "address": "10.0.0.1", "port": 80, "backup": true });
        let added = api.post("/api/servers", &spec).await.json();
        let fraction = added["moved"]["fraction"].as_f64().expect("a number");
        assert!((fraction - moved).abs() < 0.15, "{name}: {fraction}");
        let flows = added["moved"]["flows"].as_array().expect("a list");
        assert!(flows.iter().all(|flow| flow["from"] == "x"));
    }
}

#[tokio::test]
async fn names_may_have_any_characters_and_stand_encoded_in_paths() {
    let api = Api::start(document(&[])).await;
    for (name, path) in [
        ("größe", "gr%C3%B6%C3%9Fe"),
        ("a/b", "a%2Fb"),
        ("a b", "a%20b"),
        ("a+b", "a%2Bb"),
        ("100%", "100%25"),
        ("?#&=;:@", "%3F%23%26%3D%3B%3A%40"),
        ("..", ".."),
        ("weight", "weight"),
        ("{name}", "%7Bname%7D"),
        ("\"'<script>", "%22%27%3Cscript%3E"),
        ("🦀", "%F0%9F%A6%80"),
        ("a-b_c.d~e", "a-b_c.d~e"),
    ] {
        let spec = json!({ "name": name, "address": "10.0.0.1", "port": 80 });
        let added = api.post("/api/servers", &spec).await;
        assert_eq!(added.status, 201, "{name}: {}", added.text());
        let location = format!("/api/servers/{path}");
        assert_eq!(added.header("location"), location);
        assert_eq!(api.get(&location).await.json()["name"], name);
        let weight = format!("{location}/weight");
        let changed = api.put(&weight, &json!({ "weight": 3 })).await;
        assert_eq!(changed.json()["server"]["name"], name);
        assert_eq!(api.delete(&location).await.status, 200);
        assert_eq!(api.get(&location).await.problem(), "unknown-server");
    }
    for bad in ["%00", "%0A", "a%FFb", "%E2%82"] {
        let reply = api.get(&format!("/api/servers/{bad}")).await;
        assert!((400..500).contains(&reply.status), "{bad}: {reply:?}");
        reply.problem();
    }
    let long = format!("/api/servers/{}", "x".repeat(256));
    assert_eq!(api.get(&long).await.faults(), ["name"]);
}

#[tokio::test]
async fn a_write_with_a_tag_is_done_only_on_what_was_read() {
    let api = Api::start(three()).await;
    let tag = api.get("/api/servers/a").await.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    let weight = |n: u32| json!({ "weight": n });
    let if_match = |tag: &str| format!("if-match: {tag}\r\n");
    let target = "/api/servers/a/weight";
    let done = api
        .with_json("PUT", target, &if_match(&tag), &weight(2))
        .await;
    assert_eq!(done.status, 200);
    let newer = done.header("etag").to_owned();
    let before = api.state();
    for (method, target) in [
        ("PUT", "/api/servers/a/weight"),
        ("DELETE", "/api/servers/a"),
        ("GET", "/api/servers/a"),
    ] {
        for stale in [&*tag, "\"\"", "W/\"x\"", "nonsense", &format!("W/{newer}")] {
            let reply = match method {
                "PUT" => {
                    api.with_json(method, target, &if_match(stale), &weight(9))
                        .await
                }
                _ => api.send(method, target, &if_match(stale), b"").await,
            };
            assert_eq!(reply.status, 412, "{method} {stale}");
            assert_eq!(reply.problem(), "precondition-failed");
            assert_eq!(reply.header("etag"), newer);
        }
    }
    let spec = json!({ "name": "z", "address": "10.0.0.1", "port": 80 });
    let reply = api
        .with_json("POST", "/api/servers", &if_match("*"), &spec)
        .await;
    assert_eq!(reply.status, 412);
    assert_eq!(api.state(), before);
    // The tag is of what is decided and not of what is observed, and comes back with it.
    let list = format!("\"other\", {newer}");
    let reply = api
        .with_json("PUT", target, &if_match(&list), &weight(1))
        .await;
    assert_eq!((reply.status, reply.header("etag")), (200, &*tag));
    let reply = api
        .send("DELETE", "/api/servers/a", &if_match("*"), b"")
        .await;
    assert_eq!(reply.status, 200);
    let reply = api
        .send("DELETE", "/api/servers/a", &if_match("*"), b"")
        .await;
    assert_eq!(reply.problem(), "unknown-server");
}

#[tokio::test]
async fn a_write_can_be_planned_and_held_to_what_may_move() {
    let api = Api::start(three()).await;
    let spec = json!({ "name": "d", "address": "127.0.0.1", "port": 9999 });
    let before = names(&api.get("/api/servers").await);

    let planned = api.post("/api/servers?dry_run=true", &spec).await;
    assert_eq!(planned.status, 200);
    let moved = planned.json()["moved"].as_f64().expect("a number");
    assert!((0.1..0.4).contains(&moved), "{moved}");
    assert_eq!(planned.json()["minimum"], 0.25);
    assert_eq!(planned.header("location"), "");
    assert_eq!(names(&api.get("/api/servers").await), before);

    let refused = api.post("/api/servers?max_moved=1%25", &spec).await;
    assert_eq!(refused.status, 409);
    assert_eq!(refused.problem(), "moves-too-much");
    assert_eq!(names(&api.get("/api/servers").await), before);

    let faulty = api
        .post("/api/servers?max_moved=lots&dry_run=maybe", &spec)
        .await;
    assert_eq!(faulty.faults(), ["dry_run", "max_moved"]);

    let done = api.post("/api/servers?max_moved=0.9", &spec).await;
    assert_eq!(done.status, 201);
    assert_eq!(
        names(&api.get("/api/servers").await).len(),
        before.len() + 1
    );

    let changes = json!({"changes": [{"remove": "d"}, {"add": spec, "remove": "d"}]});
    let faulty = api.post("/api/plan", &changes).await;
    assert_eq!(faulty.faults(), ["changes[1]"]);
}

#[tokio::test]
async fn servers_that_a_rule_cannot_have_are_refused_with_the_field() {
    let long = "x".repeat(76);
    for (routing, compat, more, field) in [
        ("envoy-ring", json!({}), json!({}), "address"),
        ("envoy-maglev", json!({}), json!({}), "address"),
        (
            "haproxy",
            json!({"server_key": "addr"}),
            json!({}),
            "address",
        ),
        (
            "haproxy",
            json!({"server_key": "addr-port"}),
            json!({}),
            "address",
        ),
        (
            "twemproxy",
            json!({}),
            json!({"hash_name": long}),
            "hash_name",
        ),
        ("jump", json!({}), json!({"weight": 2}), "weight"),
    ] {
        let first = json!([{ "name": "a", "address": "127.0.0.1", "port": 9999 }]);
        let rule = json!({ "algorithm": routing });
        let config = json!({ "servers": first, "routing": rule, "compat": compat });
        let api = Api::start(config).await;
        let mut spec = json!({ "name": "b", "address": "cache.example", "port": 9999 });
        let fields = spec.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        let refused = api.post("/api/servers", &spec).await;
        assert_eq!(refused.status, 409, "{routing}");
        assert_eq!(refused.problem(), "not-laid-out", "{routing}");
        assert_eq!(refused.faults(), [field], "{routing}");
        assert_eq!(names(&api.get("/api/servers").await), ["a"], "{routing}");
        // What was wrong put right, it joins.
        spec["address"] = json!("127.0.0.1");
        spec["weight"] = json!(1);
        spec["hash_name"] = json!(null);
        assert_eq!(api.post("/api/servers", &spec).await.status, 201);
    }
}
