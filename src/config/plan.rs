//! What is to be planned: a list of changes, as `POST /api/plan` and `plan()`
//! take it.

use schemars::JsonSchema;

use super::{AlgorithmName, RoutingConfig};
use crate::engine::{AdminState, Change, ServerName, VirtualNodes, Weight};
use crate::wire::{Fault, Faults, ServerSpec, fields};

fields! {
    /// Changes, one after the other, of which nothing is done.
    #[derive(Clone, Debug, PartialEq, JsonSchema)]
    #[cfg_attr(test, derive(ts_rs::TS))]
    #[schemars(deny_unknown_fields)]
    pub struct PlanSpec {
        /// What is to be planned, in this order.
        pub changes: Vec<ChangeSpec>,
    }
}

fields! {
    /// One change: exactly one of these.
    #[derive(Clone, Debug, PartialEq, JsonSchema)]
    #[cfg_attr(test, derive(ts_rs::TS))]
    #[schemars(deny_unknown_fields)]
    pub struct ChangeSpec {
        /// Add this server.
        #[deserr(default)]
        #[cfg_attr(test, ts(optional))]
        pub add: Option<ServerSpec>,
        /// Remove the server of this name.
        #[deserr(default)]
        #[cfg_attr(test, ts(type = "string", optional))]
        pub remove: Option<ServerName>,
        /// Change a server's weight.
        #[deserr(default)]
        #[cfg_attr(test, ts(optional))]
        pub weight: Option<WeightChange>,
        /// Drain a server, or let it take requests again.
        #[deserr(default)]
        #[cfg_attr(test, ts(optional))]
        pub state: Option<StateChange>,
        /// Change the points for each unit of weight.
        #[deserr(default)]
        #[cfg_attr(test, ts(type = "number", optional))]
        pub virtual_nodes: Option<VirtualNodes>,
        /// Change the rule by which keys go to servers.
        #[deserr(default)]
        #[cfg_attr(test, ts(optional))]
        pub algorithm: Option<AlgorithmName>,
    }
}

fields! {
    /// A server's new weight.
    #[derive(Clone, Debug, PartialEq, JsonSchema)]
    #[cfg_attr(test, derive(ts_rs::TS))]
    #[schemars(deny_unknown_fields)]
    pub struct WeightChange {
        /// The server's name.
        #[cfg_attr(test, ts(type = "string"))]
        pub server: ServerName,
        /// Its new weight, 1 to 1000.
        #[cfg_attr(test, ts(type = "number"))]
        pub weight: Weight,
    }
}

fields! {
    /// A server's new admin state.
    #[derive(Clone, Debug, PartialEq, JsonSchema)]
    #[cfg_attr(test, derive(ts_rs::TS))]
    #[schemars(deny_unknown_fields)]
    pub struct StateChange {
        /// The server's name.
        #[cfg_attr(test, ts(type = "string"))]
        pub server: ServerName,
        /// active or draining.
        #[cfg_attr(test, ts(type = "'active' | 'draining'"))]
        pub state: AdminState,
    }
}

impl PlanSpec {
    /// The changes as the engine takes them; options of a new rule are those
    /// of `config`.
    ///
    /// # Errors
    /// Every change that is none or several.
    pub fn changes(self, config: &RoutingConfig) -> Result<Vec<Change>, Faults> {
        let mut changes = Vec::with_capacity(self.changes.len());
        let mut faults = Vec::new();
        for (i, spec) in self.changes.into_iter().enumerate() {
            match spec.change(config) {
                Ok(change) => changes.push(change),
                Err(message) => faults.push(Fault {
                    path: format!("changes[{i}]"),
                    message,
                }),
            }
        }
        Faults::check(faults).map(|()| changes)
    }
}

impl ChangeSpec {
    fn change(self, config: &RoutingConfig) -> Result<Change, String> {
        let rule = |name| config.algorithm_called(name).map(Change::Algorithm);
        let algorithm = self.algorithm.map(rule);
        let given = [
            self.add.map(|spec| Ok(Change::Add(spec.into()))),
            self.remove.map(|name| Ok(Change::Remove(name))),
            self.weight
                .map(|to| Ok(Change::Weight(to.server, to.weight))),
            self.state.map(|to| Ok(Change::State(to.server, to.state))),
            self.virtual_nodes.map(|n| Ok(Change::VirtualNodes(n))),
            algorithm,
        ];
        let mut given = given.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(change), None) => change,
            _ => Err(
                "give exactly one of add, remove, weight, state, virtual_nodes or algorithm"
                    .to_owned(),
            ),
        }
    }
}
