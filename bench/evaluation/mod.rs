//! The evaluation: how even, how stable and how costly each algorithm is.
//! `cargo bench -- evaluation` writes docs/evaluation.md and its pictures.
//!
//! All but the last section comes out the same, byte for byte, in every run.

mod balance;
mod bounded;
mod cost;
mod disruption;
mod fleet;
mod keyless;
mod plot;

/// What to fill in where the template says `{{name}}`.
type Experiment = (&'static str, fn(&mut String));

const EXPERIMENTS: [Experiment; 10] = [
    ("virtual-nodes", balance::against_virtual_nodes),
    ("algorithms", balance::by_algorithm),
    ("weights", balance::by_weight),
    ("one-server", disruption::one_server),
    ("maglev-sizes", disruption::maglev_sizes),
    ("failure", disruption::failure),
    ("bounded", bounded::experiment),
    ("one-slow-server", keyless::one_slow_server),
    ("memory", cost::memory),
    ("lookups", cost::lookups),
];

/// Runs all experiments and writes the document.
pub(crate) fn write() {
    let mut text = include_str!("template.md.in").to_owned();
    for (name, run) in EXPERIMENTS {
        let mut table = String::new();
        run(&mut table);
        let place = format!("{{{{{name}}}}}\n");
        assert!(
            text.contains(&place),
            "the template has no place for {name}"
        );
        text = text.replace(&place, &table);
        println!("{name}: done");
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/evaluation.md");
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{path}: {error}"));
    println!("docs/evaluation.md is written");
}
