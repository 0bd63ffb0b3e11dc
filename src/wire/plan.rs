//! What a plan says: `POST /api/plan`, `ringway plan`, `plan()`.

use schemars::JsonSchema;
use serde::Serialize;

use super::{BalanceView, FlowView, PlanKeysView};
use crate::engine::{Load, Plan};

shape! { out
    /// What a change would do, before it is made. Health is left out of it: two
    /// fleets at rest are compared. The keys of draining servers count as going
    /// to their next candidates.
    pub struct PlanView {
        /// What part of all keys would go to another server, as a fraction.
        pub moved: f64,
        /// The least that any rule could move: what the fair shares of those
        /// who gain grow by.
        pub minimum: f64,
        /// How many positions were asked, where parts are not counted exactly but
        /// estimated; else null.
        pub sampled: Option<u32>,
        /// The moved part by giver and taker, by their names.
        pub flows: Vec<FlowView>,
        /// The fleet as it is.
        pub before: LoadSharesView,
        /// The fleet as it would be.
        pub after: LoadSharesView,
        /// What given keys, or the requests of an access log, would do; null when
        /// none were given.
        pub keys: Option<PlanKeysView>,
    }
}

shape! { out
    /// How a fleet shares all keys.
    pub struct LoadSharesView {
        /// How even the shares are.
        pub balance: BalanceView,
        /// What goes to each server that takes keys, by name.
        pub servers: Vec<LoadShareView>,
    }
}

shape! { out
    /// What part of all keys goes to a server.
    pub struct LoadShareView {
        /// Its name.
        pub server: String,
        /// What goes to it, as a fraction.
        pub share: f64,
        /// What would be fair.
        pub fair: f64,
    }
}

impl PlanView {
    /// The shape of `plan`, and of what became of keys, if any were given.
    pub fn new(plan: &Plan, keys: Option<PlanKeysView>) -> Self {
        let flows = plan.moved.flows.iter().map(|flow| FlowView {
            from: flow.from.to_string(),
            to: flow.to.to_string(),
            fraction: flow.share.fraction(),
        });
        Self {
            moved: plan.moved.total.fraction(),
            minimum: plan.minimum,
            sampled: plan.moved.sampled,
            flows: flows.collect(),
            before: (&plan.before).into(),
            after: (&plan.after).into(),
            keys,
        }
    }
}

impl From<&Load> for LoadSharesView {
    fn from(load: &Load) -> Self {
        let servers = load.shares.iter().map(|(name, share, fair)| LoadShareView {
            server: name.to_string(),
            share: share.fraction(),
            fair: *fair,
        });
        Self {
            balance: BalanceView {
                peak_to_mean: load.balance.peak_to_mean,
                cv: load.balance.cv,
            },
            servers: servers.collect(),
        }
    }
}
