//! What a reload did: `POST /api/reload`.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{BasisWord, MovedView, ServerSpec};
use crate::engine::{Plan, RoutingTable, Server};

shape! { out
    /// What a reload of the configuration changed.
    pub struct ReloadView {
        /// Whether anything did.
        pub changed: bool,
        /// What became of the servers.
        pub servers: ReloadServersView,
        /// The settings that have another value now.
        pub settings: Vec<SettingView>,
        /// What changed hands while nothing is wrong.
        pub moved: MovedView,
        /// How `moved` is known.
        pub basis: BasisWord,
        /// How many keys were asked for, where it is estimated by a sample; else
        /// null.
        pub sampled: Option<u32>,
    }
}

shape! { out
    /// What became of the servers, by their names.
    pub struct ReloadServersView {
        /// Those that joined.
        pub added: Vec<String>,
        /// Those that left.
        pub removed: Vec<String>,
        /// Those that are no longer what they were.
        pub changed: Vec<ReloadServerView>,
    }
}

shape! { out
    /// A server that is no longer what it was.
    pub struct ReloadServerView {
        /// Its name.
        pub server: String,
        /// What of it differs, as `weight`.
        pub settings: Vec<String>,
    }
}

shape! { out
    /// A setting that has another value now.
    pub struct SettingView {
        /// Where it stands: `routing.fail_open`.
        pub path: String,
        /// Its value before.
        #[cfg_attr(test, ts(type = "unknown"))]
        pub before: Value,
        /// Its value now.
        #[cfg_attr(test, ts(type = "unknown"))]
        pub after: Value,
    }
}

impl ReloadView {
    /// The shape of a step from one table to another, by its plan, with the
    /// settings that differ.
    pub fn new(
        before: &RoutingTable,
        after: &RoutingTable,
        plan: &Plan,
        settings: Vec<SettingView>,
    ) -> Self {
        let servers = ReloadServersView::new(before, after);
        let ReloadServersView {
            added,
            removed,
            changed,
        } = &servers;
        Self {
            changed: !(settings.is_empty()
                && added.is_empty()
                && removed.is_empty()
                && changed.is_empty()),
            servers,
            settings,
            moved: (&plan.moved).into(),
            basis: plan.moved.basis.into(),
            sampled: plan.moved.basis.n_sampled(),
        }
    }
}

impl ReloadServersView {
    fn new(before: &RoutingTable, after: &RoutingTable) -> Self {
        let find = |table: &RoutingTable, server: &Server| -> Option<Server> {
            let servers = table.servers();
            let found = servers.binary_search_by(|entry| entry.server.name.cmp(&server.name));
            found.ok().map(|i| servers[i].server.clone())
        };
        let names_without = |table: &RoutingTable, other: &RoutingTable| {
            let servers = table.servers().iter().map(|entry| &entry.server);
            let missing = servers.filter(|server| find(other, server).is_none());
            missing.map(|server| server.name.to_string()).collect()
        };
        let changed = after.servers().iter().filter_map(|entry| {
            let settings = differing(&find(before, &entry.server)?, &entry.server);
            let server = entry.server.name.to_string();
            (!settings.is_empty()).then_some(ReloadServerView { server, settings })
        });
        Self {
            added: names_without(after, before),
            removed: names_without(before, after),
            changed: changed.collect(),
        }
    }
}

/// What of a server differs, by the names of configuration.
fn differing(before: &Server, after: &Server) -> Vec<String> {
    let document = |server| serde_json::to_value(ServerSpec::from(server)).unwrap_or_default();
    let (old, new) = (document(before), document(after));
    let names = [
        "address",
        "port",
        "weight",
        "backup",
        "id",
        "hash_name",
        "max_in_flight",
        "protocol",
        "tls",
    ];
    let names = names
        .into_iter()
        .filter(|name| old.get(name) != new.get(name));
    names.map(str::to_owned).collect()
}
