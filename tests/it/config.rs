//! Whole configurations, good and bad, as files: `tests/data/config/`.

use std::fs;
use std::path::{Path, PathBuf};

use ringway::config::{Config, RoutingConfig};
use serde_json::Value;

fn files(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/config")
        .join(kind);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no {kind} configurations");
    files
}

#[test]
fn good_configurations_load_and_are_written_out_the_same() {
    for file in files("good") {
        let text = fs::read(&file).expect("a readable file");
        let config =
            Config::parse(&text).unwrap_or_else(|faults| panic!("{}:\n{faults}", file.display()));
        if config.api.token.is_none() {
            let written = serde_json::to_vec(&config).expect("plain JSON");
            assert_eq!(Config::parse(&written), Ok(config), "{}", file.display());
        }
    }
}

#[test]
fn bad_configurations_are_refused_with_every_fault() {
    for file in files("bad") {
        let text = fs::read(&file).expect("a readable file");
        let found = match Config::parse(&text) {
            Ok(_) => panic!("{} was accepted", file.display()),
            Err(faults) => format!("{faults}\n"),
        };
        let expected = file.with_extension("txt");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&expected, &found).expect("a writable file");
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(found, expected, "{}", file.display());
    }
}

/// What only the proxy goes by is passed over, good or bad; the rest is judged
/// alike, and comes to the same engine.
#[test]
fn the_package_reads_its_part_of_every_file_as_the_proxy_does() {
    let read = |file: &Path| serde_json::from_slice::<Value>(&fs::read(file).ok()?).ok();
    for file in files("good") {
        let document = read(&file).expect("it is JSON");
        let ours = Config::read(document.clone()).expect("it is good");
        let rules = RoutingConfig::read(document).expect("it is good");
        assert_eq!(rules, ours.rules(), "{}", file.display());
        assert_eq!(rules.settings(), ours.settings(), "{}", file.display());
        let written = serde_json::to_value(&rules).expect("plain JSON");
        assert_eq!(RoutingConfig::read(written.clone()).as_ref(), Ok(&rules));
        assert_eq!(
            Config::read(written).map(|config| config.rules()),
            Ok(rules)
        );
    }
    let mut n_alike = 0;
    for (file, document) in files("bad")
        .iter()
        .filter_map(|file| Some((file, read(file)?)))
    {
        let ours = Config::read(document.clone()).expect_err("it is bad");
        let found = RoutingConfig::read(document).map(|_| ()).err();
        for fault in found.iter().flat_map(|faults| faults.as_slice()) {
            assert!(
                ours.as_slice().contains(fault),
                "{}: {fault:?}",
                file.display()
            );
            n_alike += 1;
        }
    }
    assert!(n_alike >= 45, "{n_alike}");
}

#[test]
fn the_package_refuses_names_that_neither_knows() {
    let document = serde_json::json!({
        "servers": [], "lisen": {}, "listen": "anything",
        "routing": { "hash_key": 7, "debug_header": {}, "virtual_node": 1 },
        "health_check": { "path": 5, "intervall": 1 }, "hot_keys": { "top": 1 },
    });
    let faults = RoutingConfig::read(document).expect_err("four names are wrong");
    let paths: Vec<&str> = faults.as_slice().iter().map(|f| f.path.as_str()).collect();
    let wrong = [
        "health_check.intervall",
        "hot_keys.top",
        "lisen",
        "routing.virtual_node",
    ];
    assert_eq!(paths, wrong);
    let known = &faults.as_slice()[2].message;
    assert!(
        known.contains("servers, listen, http2, process, routing"),
        "{known}"
    );
}

#[test]
fn the_sample_configuration_is_the_original_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sample = fs::read_to_string(folder.join("config.json")).expect("a readable file");
    let original = fs::read_to_string(folder.join("tests/data/config/good/original.json"))
        .expect("a readable file");
    assert_eq!(sample, original);
}
