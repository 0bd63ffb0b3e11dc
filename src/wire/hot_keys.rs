//! `GET /api/hot-keys`: the keys with most of the traffic.

use schemars::JsonSchema;
use serde::Serialize;

use crate::engine::{HotKeys, Idle, KeyCount, KeyCounts, RoutingTable, ServerIndex};

shape! { out
    /// The keys with most of the traffic. All numbers of requests are aged: a
    /// request counts half after each half-life.
    pub struct HotKeysView {
        /// The requests that had a key.
        pub total: f64,
        /// Seconds after which a request counts half.
        pub half_life_s: f64,
        /// How many keys are counted; 0 when none are.
        #[cfg_attr(test, ts(type = "number"))]
        pub capacity: usize,
        /// The hottest first.
        pub keys: Vec<HotKeyView>,
    }
}

shape! { out
    /// A key and its traffic.
    pub struct HotKeyView {
        /// Its first 128 bytes as text, what is not UTF-8 replaced.
        pub key: String,
        /// Whether it has more bytes than those.
        pub truncated: bool,
        /// Where it stands: sixteen hexadecimal digits.
        pub position: String,
        /// The most requests it may have had.
        pub count: f64,
        /// How many of them may be other keys'.
        pub error: f64,
        /// Its part of all requests that had a key.
        pub share: HotShareView,
        /// Where it goes now, when it is not spread; null when nowhere.
        pub server: Option<String>,
        /// The names of the servers that it is spread over, in order; null when
        /// it is not.
        pub spread: Option<Vec<String>>,
    }
}

shape! { out
    /// A part of all requests, as a fraction, between two bounds.
    pub struct HotShareView {
        /// What it surely has.
        pub at_least: f64,
        /// The most it may have.
        pub at_most: f64,
    }
}

impl HotKeysView {
    /// The first `limit` of `counts`, and where they go by `table`.
    pub fn new(counts: &KeyCounts, settings: &HotKeys, table: &RoutingTable, limit: usize) -> Self {
        let view = |key: &KeyCount| HotKeyView::new(counts, settings, table, key);
        Self {
            total: counts.total(),
            half_life_s: settings.half_life.as_secs_f64(),
            capacity: settings.capacity as usize,
            keys: counts.keys().take(limit).map(view).collect(),
        }
    }
}

impl HotKeyView {
    fn new(counts: &KeyCounts, settings: &HotKeys, table: &RoutingTable, key: &KeyCount) -> Self {
        let name = |index: ServerIndex| table.server(index).server.name.to_string();
        let (at_least, at_most) = counts.shares(key);
        let route = table.route(Some(key.position), &Idle, &[]);
        let spread = key.is_spread.then(|| {
            let over = table.spread_over(key.position, settings.spread);
            over.into_iter().map(name).collect()
        });
        Self {
            key: String::from_utf8_lossy(&key.key).into_owned(),
            truncated: key.is_truncated,
            position: key.position.to_string(),
            count: key.count(),
            error: key.error(),
            share: HotShareView { at_least, at_most },
            server: route.ok().map(|route| name(route.server)),
            spread,
        }
    }
}
