//! The keys with most of the traffic, all workers together.

use http::StatusCode;

use super::call::{Answer, Call, json};
use crate::engine::KeySketch;
use crate::wire::{Fault, Faults, HotKeysView};

/// Keys in an answer: by default, and at most.
pub(super) const KEYS: usize = 20;
pub(super) const KEYS_MAX: usize = KeySketch::CAPACITY_MAX as usize;

pub(super) fn hot_keys(call: &Call) -> Answer {
    let limit = match call.text("limit") {
        None => KEYS,
        Some(text) => match text.parse() {
            Ok(limit) if (1..=KEYS_MAX).contains(&limit) => limit,
            _ => {
                Faults::check(vec![Fault {
                    path: "limit".to_owned(),
                    message: format!(
                        "{text:?} is not allowed; give a whole number, 1 to {KEYS_MAX}"
                    ),
                }])?;
                KEYS
            }
        },
    };
    let shared = &call.admin.shared;
    let settings = call.admin.shared.config().hot_keys.settings();
    let view = HotKeysView::new(&shared.hot_keys(), &settings, &shared.table(), limit);
    Ok(json(StatusCode::OK, &view))
}
