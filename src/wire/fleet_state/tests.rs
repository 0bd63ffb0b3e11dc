use super::*;

/// Servers by name and weight, in order.
fn fleet(text: &str) -> Vec<ServerSpec> {
    let server = |word: &str| {
        let (name, weight) = word.split_once('*').unwrap_or((word, "1"));
        let document = format!(
            r#"{{"name": "{name}", "address": "127.0.0.1", "port": 1, "weight": {weight}}}"#
        );
        super::super::parse(document.as_bytes()).expect("a server")
    };
    text.split_whitespace().map(server).collect()
}

/// The same with admin states: `!` after a name is drained.
fn roster(text: &str) -> Vec<(Server, AdminState)> {
    let word = |word: &str| {
        let (word, state) = match word.strip_suffix('!') {
            Some(word) => (word, AdminState::Draining),
            None => (word, AdminState::Active),
        };
        let mut spec = fleet(word);
        (Server::from(spec.remove(0)), state)
    };
    text.split_whitespace().map(word).collect()
}

/// The inverse.
fn shown(servers: &[Server], drained: &BTreeSet<ServerName>) -> String {
    let word = |server: &Server| {
        let weight = match server.weight.number() {
            1 => String::new(),
            n => format!("*{n}"),
        };
        let mark = if drained.contains(&server.name) {
            "!"
        } else {
            ""
        };
        format!("{}{weight}{mark}", server.name)
    };
    servers.iter().map(word).collect::<Vec<_>>().join(" ")
}

fn after(configured: &str, made_of_it: &str, configured_now: &str) -> String {
    let state = FleetState::between(&fleet(configured), &roster(made_of_it));
    let state = FleetState::parse(&state.text()).expect("what was written is read");
    let (servers, drained) = state.over(&fleet(configured_now));
    shown(&servers, &drained)
}

#[test]
fn over_the_same_configuration_everything_is_as_it_was() {
    for made_of_it in [
        "a b c",
        "a b*5 c",
        "a c",
        "",
        "a b c x y!",
        "a! b*3! c",
        // One was removed and came back: it stands at the end since.
        "b c a",
        "a c x b*2",
        // All of it at once.
        "b*7 y! a*2 x",
    ] {
        assert_eq!(after("a b c", made_of_it, "a b c"), made_of_it);
    }
    assert_eq!(
        FleetState::between(&fleet("a b"), &roster("a b")),
        FleetState::unchanged()
    );
}

#[test]
fn over_another_configuration_what_it_says_anew_holds() {
    for (made_of_it, now, expected) in [
        // The entry is another one: it holds.
        ("a b*5 c", "a b*3 c", "a b*3 c"),
        ("a c", "a b*3 c", "a b*3 c"),
        ("a c b*2", "a b*3 c", "a b*3 c"),
        // It is as it was: what operators said holds.
        ("a b*5 c", "a*3 b c", "a*3 b*5 c"),
        ("a c", "c*9 b a", "c*9 a"),
        // What is no longer configured leaves, what is new comes.
        ("a b*5 c!", "a d", "a d"),
        ("a b*5 c!", "d a b c", "d a b*5 c!"),
        // Somebody has written down what was added.
        ("a b c x*2", "a b c x*4", "a b c x*4"),
        ("a b c x*2 y", "a x b c", "a x b c y"),
        // Drained is a name that is there.
        ("a! b c", "a*4 b", "a*4! b"),
    ] {
        let found = after("a b c", made_of_it, now);
        assert_eq!(found, expected, "{made_of_it} over {now}");
    }
}

#[test]
fn other_versions_and_other_documents_are_refused() {
    let message = |text: &str| {
        let faults = FleetState::parse(text.as_bytes()).expect_err("it is refused");
        faults.to_string()
    };
    assert_eq!(
        message(r#"{"version": 2, "regions": []}"#),
        "version: 2 is not known here; known is 1: it was written by a newer Ringway"
    );
    assert!(message(r#"{"version": 0}"#).contains("no Ringway has written such a file"));
    assert!(message(r#"{"servers": []}"#).contains("version: this is required"));
    assert!(message("[]").contains("a list is not allowed"));
    assert!(message("").contains("this is not JSON"));
}

#[test]
fn a_text_cut_short_anywhere_is_refused() {
    let state = FleetState::between(&fleet("a b c"), &roster("b*7 y! a*2 x"));
    let text = state.text();
    // The last byte ends the last line.
    for n in 0..text.len() - 1 {
        assert!(
            FleetState::parse(&text[..n]).is_err(),
            "{n} bytes were taken"
        );
    }
    assert_eq!(FleetState::parse(&text), Ok(state));
}
