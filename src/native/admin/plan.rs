//! What a change would move, asked for by itself or before a write.

use http::StatusCode;

use super::call::{Answer, Call, json};
use super::problem::{Kind, Problem};
use crate::config::PlanSpec;
use crate::engine::Plan;
use crate::native::plan::part;
use crate::wire::{Fault, Faults, PlanView};

pub(super) fn plan(call: &Call) -> Answer {
    let spec: PlanSpec = call.read()?;
    let changes = spec.changes(&call.admin.shared.config().rules())?;
    let plan = call.admin.shared.plan(changes)?;
    Ok(json(StatusCode::OK, &PlanView::new(&plan, None)))
}

/// What a write was asked to mind.
#[derive(Debug)]
pub(super) struct Guard {
    /// Whether nothing is to be done.
    pub(super) is_dry_run: bool,
    /// The most of all keys that may move, as a fraction.
    pub(super) max_moved: Option<f64>,
}

impl Guard {
    /// Reads `dry_run` and `max_moved` of the query.
    pub(super) fn of(call: &Call) -> Result<Self, Problem> {
        let mut faults = Vec::new();
        let mut fault = |path: &str, message: String| {
            faults.push(Fault {
                path: path.to_owned(),
                message,
            });
        };
        let is_dry_run = match call.text("dry_run").as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => {
                fault(
                    "dry_run",
                    format!("{other:?} is not allowed; give true or false"),
                );
                false
            }
        };
        let max_moved = call.text("max_moved").and_then(|text| match part(&text) {
            Ok(part) => Some(part),
            Err(allowed) => {
                fault("max_moved", format!("{text:?} is not allowed; {allowed}"));
                None
            }
        });
        Faults::check(faults)?;
        Ok(Self {
            is_dry_run,
            max_moved,
        })
    }
}

pub(super) fn moves_too_much(plan: &Plan, max_moved: f64) -> Problem {
    let percent = |part: f64| 100.0 * part;
    Problem::new(
        Kind::MovesTooMuch,
        format!(
            "{:.2}% of all keys would move, and max_moved allows {:.2}%; nothing was done \
             (no rule could move fewer than {:.2}%)",
            percent(plan.moved.total.fraction()),
            percent(max_moved),
            percent(plan.minimum)
        ),
    )
}
