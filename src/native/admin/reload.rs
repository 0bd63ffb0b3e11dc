//! `POST /api/reload`: reads the configuration file anew.

use std::sync::Arc;

use http::StatusCode;

use super::call::{Answer, Call, json};
use super::plan::{Guard, moves_too_much};
use super::problem::{Kind, Problem};
use crate::native::reload::{Asked, Outcome, Refusal};
use crate::wire::PlanView;

pub(super) async fn reload(call: Call) -> Answer {
    let guard = Guard::of(&call)?;
    let Some(reloader) = &call.admin.reloader else {
        let detail = "the program was started without a configuration file, so there is \
                      nothing to reload; start it by ringway serve";
        return Err(Problem::new(Kind::NoFile, detail));
    };
    let asked = if guard.is_dry_run {
        Asked::Plan
    } else {
        Asked::Reload(guard.max_moved)
    };
    match Arc::clone(reloader).reload(asked).await? {
        Outcome::Planned(plan) => Ok(json(StatusCode::OK, &PlanView::new(&plan, None))),
        Outcome::Reloaded(view) => Ok(json(StatusCode::OK, &view)),
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unreadable(_) | Refusal::Unwritable(_) => {
                Self::new(Kind::InvalidFile, refusal.to_string())
            }
            Refusal::Invalid(faults) => Self::from(faults).of_kind(Kind::InvalidFile),
            Refusal::NeedsRestart(faults) => Self::from(faults).of_kind(Kind::NeedsRestart),
            Refusal::Refused(error) => error.into(),
            Refusal::MovesTooMuch { plan, max_moved } => moves_too_much(&plan, max_moved),
        }
    }
}
