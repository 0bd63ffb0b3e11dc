//! Configuration by example; whole files are in `tests/data/config/`.

use core::time::Duration;

use super::*;

fn faults(text: &str) -> Vec<String> {
    match Config::parse(text.as_bytes()) {
        Ok(config) => panic!("accepted: {config:?}"),
        Err(faults) => faults.to_string().lines().map(str::to_owned).collect(),
    }
}

#[test]
fn the_original_configuration_loads_unchanged() {
    let config = Config::parse(include_bytes!("../../config.json")).expect("good");
    assert_eq!(config.servers.len(), 2);
    assert_eq!(config.servers[1].weight.number(), 2);
    assert_eq!(config.listen, Listen::default());
    assert_eq!(config.health_check, HealthCheck::default());
    assert_eq!(config.api, Api::default());
    assert_eq!(config.settings(), Settings::default());
}

#[test]
fn all_faults_are_reported_at_once_with_their_paths() {
    let found = faults(
        r#"{
            "servers": [
                {"name": "a", "address": "10.0.0.1", "port": 80, "weight": 0},
                {"name": "", "address": "http://x", "port": 70000, "wieght": 1},
                {"name": "c", "address": "c", "port": "80"},
                {"name": "c", "address": "c"}
            ],
            "health_check": {"interval": "30s", "timeout": 0},
            "lisen": {}
        }"#,
    );
    let expected = [
        "servers[0].weight: 0 is not allowed; give 1 to 1000, or drain the server instead",
        "servers[1].name: an empty name is not allowed; give 1 to 255 bytes of UTF-8 without control characters",
        "servers[1].address: \"http://x\" is not allowed; give an IP address or a host name, without scheme and port",
        "servers[1].port: 70000 is not allowed; give 1 to 65535",
        "servers[1].wieght: this name is not known here; known are name, address, port, weight, backup, id, hash_name, max_in_flight, protocol, tls, proxy_protocol",
        "servers[2].port: \"80\" is not allowed; give a whole number, 1 to 65535",
        "servers[3].port: this is required and was not given",
        "health_check.interval: \"30s\" is not allowed; give seconds, 0.001 to 86400",
        "health_check.timeout: 0 is not allowed; give seconds, 0.001 to 86400",
    ];
    for line in expected {
        assert!(
            found.contains(&line.to_owned()),
            "missing {line:?} in {found:#?}"
        );
    }
    assert_eq!(found.len(), expected.len() + 1, "{found:#?}");
}

#[test]
fn rules_that_join_settings_are_checked() {
    let check = |text: &str, expected: &str| assert_eq!(faults(text), [expected]);
    check(
        r#"{"servers": [{"name": "a", "address": "a", "port": 1}, {"name": "a", "address": "b", "port": 1}]}"#,
        "servers[1].name: \"a\" is also the name of servers[0]; names are unique",
    );
    check(
        r#"{"servers": [], "health_check": {"interval": 2}}"#,
        "health_check.timeout: a probe must end before the next begins; give at most health_check.interval",
    );
    check(
        r#"{"servers": [], "api": {"host": "0.0.0.0"}}"#,
        "api.token: api.host 0.0.0.0 can be reached from other machines; give a token (or token_file) of at least 16 characters",
    );
    check(
        r#"{"servers": [], "api": {"token": "short"}}"#,
        "api.token: give at least 16 printable ASCII characters without spaces",
    );
}

#[test]
fn hash_keys_are_read_and_written_alike() {
    let text =
        r#"["path",{"header":"x-user"},{"join":["uri",{"cookie":"c"},{"query":"q"}]},"client_ip"]"#;
    let issued = r#"[{"cookie":"c","issue":{"ttl":9,"path":"/a","http_only":false,"same_site":"none","secure":true}}]"#;
    for text in [text, issued] {
        let key: HashKey = wire::parse(text.as_bytes()).expect("good");
        assert_eq!(serde_json::to_string(&key).expect("plain"), text);
    }
    for bad in [
        r#"[]"#,
        r#"["ip"]"#,
        r#"[{"header":"a b"}]"#,
        r#"[{"join":[]}]"#,
        r#"[{}]"#,
        r#"[{"header":"a","cookie":"b"}]"#,
        r#"[{"body":"a"}]"#,
        r#"[{"header":"a","issue":{}}]"#,
        r#"[{"issue":{}}]"#,
        r#"[7]"#,
    ] {
        assert!(
            wire::parse::<HashKey>(bad.as_bytes()).is_err(),
            "{bad} was accepted"
        );
    }
}

#[test]
fn what_is_not_json_is_said_to_be_so() {
    for text in ["", "{", "nul", "{\"servers\": [}", "\u{feff}{}"] {
        assert!(
            faults(text)[0].starts_with("this is not JSON: "),
            "{text:?}"
        );
    }
    assert!(Config::parse(b"{\"servers\": \"\xff\"}").is_err());
    assert_eq!(faults("[]"), ["a list is not allowed; give an object"]);
}

#[test]
fn secrets_are_never_shown() {
    let text = r#"{"servers": [], "api": {"token": "0123456789abcdef"}}"#;
    let config = Config::parse(text.as_bytes()).expect("good");
    assert!(!format!("{config:?}").contains("0123456789abcdef"));
    let shown = serde_json::to_string(&config).expect("plain");
    assert!(!shown.contains("0123456789abcdef") && shown.contains("[redacted]"));
}

#[test]
fn what_is_written_out_is_read_back_the_same() {
    let config = Config::parse(include_bytes!("../../config.json")).expect("good");
    let document = serde_json::to_value(&config).expect("plain");
    assert_eq!(Config::read(document), Ok(config));
}

#[test]
fn the_schema_names_every_section() {
    let schema = Config::schema();
    let properties = schema["properties"].as_object().expect("an object");
    for section in [
        "servers",
        "listen",
        "process",
        "routing",
        "health_check",
        "ejection",
        "retries",
        "timeouts",
        "pool",
        "limits",
        "forwarding",
        "access_log",
        "tracing",
        "api",
    ] {
        assert!(properties.contains_key(section), "{section}");
    }
    assert_eq!(schema["required"], serde_json::json!(["servers"]));
}

#[test]
fn a_rate_limit_is_a_rule_or_a_list_and_its_burst_is_a_second_of_it() {
    let rules = |text: &str| {
        let config = Config::parse(text.as_bytes()).expect("good");
        config.rate_limit
    };
    let one =
        rules(r#"{"servers": [], "rate_limit": {"per": "client_ip", "requests_per_second": 2.5}}"#);
    let same = rules(
        r#"{"servers": [], "rate_limit": [{"per": "client_ip", "requests_per_second": 2.5}]}"#,
    );
    assert_eq!(one, same);
    assert_eq!(one.rules()[0].burst(), 3);
    assert_eq!(
        one.rules()[0].requests_per_second.interval(),
        Duration::from_millis(400)
    );
    let slow =
        rules(r#"{"servers": [], "rate_limit": {"per": "hash_key", "requests_per_second": 0.01}}"#);
    assert_eq!(slow.rules()[0].burst(), 1);
    let nine = [r#"{"per": "client_ip", "requests_per_second": 1}"#; 9].join(",");
    assert_eq!(
        faults(&format!(r#"{{"servers": [], "rate_limit": [{nine}]}}"#)),
        ["rate_limit: 9 rules are not allowed; give at most 8"]
    );
    assert_eq!(
        faults(r#"{"servers": [], "rate_limit": 10}"#),
        [
            "rate_limit: 10 is not allowed; give a rule, as {\"per\": \"client_ip\", \
             \"requests_per_second\": 10}, or a list of rules"
        ]
    );
}
