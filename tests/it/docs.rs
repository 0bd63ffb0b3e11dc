//! What the documentation must not forget.

use std::fs;
use std::path::Path;

use ringway::config::Config;
use serde_json::Value;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What a reference within the schema `root` leads to.
fn referred<'a>(root: &'a Value, reference: &str) -> &'a Value {
    let found = root.pointer(&reference[1..]);
    found.expect("a reference within the schema")
}

/// The properties of a schema, through one reference.
fn properties<'a>(root: &'a Value, schema: &'a Value) -> &'a serde_json::Map<String, Value> {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => referred(root, reference),
        None => schema,
    };
    schema["properties"].as_object().expect("an object")
}

#[test]
fn operating_md_lists_every_setting_with_its_default() {
    let text = read("docs/operating.md");
    let schema = Config::schema();
    let mut missing = Vec::new();
    for (section, body) in properties(&schema, &schema) {
        // What may be one or a list of them is described by the one.
        let body = match &body["$ref"] {
            Value::String(reference) => match referred(&schema, reference) {
                any if any["anyOf"].is_array() => &any["anyOf"][0],
                _ => body,
            },
            _ => body,
        };
        let (heading, fields) = match body["items"].is_object() {
            true => (
                format!("### `{section}[]`"),
                properties(&schema, &body["items"]),
            ),
            false => (format!("### `{section}`"), properties(&schema, body)),
        };
        let Some(start) = text.find(&heading) else {
            missing.push(heading);
            continue;
        };
        let part = &text[start..];
        let part = part[4..].find("\n###").map_or(part, |end| &part[..end + 4]);
        for (field, body) in fields {
            let row = part
                .lines()
                .find(|line| line.starts_with(&format!("| `{field}` |")));
            let Some(row) = row else {
                missing.push(format!("{section}.{field}"));
                continue;
            };
            let default = match (&body["default"], field.as_str()) {
                // Depends on another setting, which the row explains.
                (_, "fast_interval") => continue,
                (Value::Null, _) if body.get("default").is_none() => "| required |".to_owned(),
                (default, _) => format!("| `{default}` |"),
            };
            if !row.contains(&default) {
                missing.push(format!("{section}.{field}: the default is {default}"));
            }
        }
    }
    assert!(missing.is_empty(), "docs/operating.md lacks {missing:#?}");
}

#[test]
fn what_migrating_md_shows_is_good_and_what_it_names_is_there() {
    let text = read("docs/migrating.md");
    let mut n_examples = 0;
    for example in text.split("```json\n").skip(1) {
        let (document, _) = example.split_once("```").expect("an end");
        if let Err(faults) = Config::parse(document.as_bytes()) {
            panic!("{faults}\n{document}");
        }
        n_examples += 1;
    }
    assert_eq!(n_examples, 3);

    let schema = Config::schema();
    let sections = properties(&schema, &schema);
    let mut n_names = 0;
    // Ours stand in the last column: `section.setting`, or just a section.
    let rows = text.lines().filter(|line| line.starts_with('|'));
    let ours = rows.filter_map(|row| row.trim_end_matches(" |").rsplit("| ").next());
    for name in ours.flat_map(|cell| cell.split('`').skip(1).step_by(2)) {
        let (section, field) = name.split_once('.').unwrap_or((name, ""));
        let Some(section) = sections.get(section.trim_end_matches("[]")) else {
            continue;
        };
        let body = match section["items"].is_object() {
            true => &section["items"],
            false => section,
        };
        let is_there = field.is_empty() || properties(&schema, body).contains_key(field);
        assert!(is_there, "docs/migrating.md names {name}");
        n_names += 1;
    }
    assert!(n_names > 40, "{n_names}");
}

#[test]
fn the_changelog_speaks_of_this_version() {
    let heading = format!("## {}", env!("CARGO_PKG_VERSION"));
    assert!(read("docs/changelog.md").contains(&heading), "no {heading}");
}
