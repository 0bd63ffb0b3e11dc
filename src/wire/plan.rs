//! What a plan says: `POST /api/plan`, `ringway plan`, `plan()`.

use schemars::JsonSchema;
use serde::Serialize;

use super::{BalanceView, FlowView, PlanKeysView};
use crate::engine::{Basis, Load, Plan};

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
        /// What would move if a key's hash modulo the number of servers chose
        /// the server: for comparison, and without weights.
        pub modulo: f64,
        /// How `moved` and `flows` are known.
        pub basis: BasisWord,
        /// How many keys were asked for, where parts are estimated by a sample:
        /// the standard error of a part p is `sqrt(p (1 - p) / sampled)`; else
        /// null.
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
    /// How a part of all keys is known.
    #[serde(rename_all = "lowercase")]
    #[derive(Copy, Eq)]
    pub enum BasisWord {
        /// Counted, to the last position.
        Exact,
        /// What is to be expected, exactly, where servers or points draw for keys.
        Expected,
        /// Estimated by a sample of keys.
        Sampled,
    }
}

impl From<Basis> for BasisWord {
    fn from(basis: Basis) -> Self {
        match basis {
            Basis::Exact => Self::Exact,
            Basis::Expected => Self::Expected,
            Basis::Sampled(_) => Self::Sampled,
        }
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
            modulo: plan.modulo,
            basis: plan.moved.basis.into(),
            sampled: plan.moved.basis.n_sampled(),
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
