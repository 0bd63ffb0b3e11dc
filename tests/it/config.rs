//! Whole configurations, good and bad, as files: `tests/data/config/`.

use std::fs;
use std::path::{Path, PathBuf};

use ringway::config::Config;

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

#[test]
fn the_sample_configuration_is_the_original_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sample = fs::read_to_string(folder.join("config.json")).expect("a readable file");
    let original = fs::read_to_string(folder.join("tests/data/config/good/original.json"))
        .expect("a readable file");
    assert_eq!(sample, original);
}
