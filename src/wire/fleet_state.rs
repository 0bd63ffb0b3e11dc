//! What operators have made of the configured fleet while the proxy ran: the
//! document of `process.state_file`, and part of what one process hands to the
//! next.
//!
//! It holds differences and what they are differences from, so that they can
//! be laid over a configuration that has changed since: see [`FleetState::over`].

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::{Faults, ServerSpec, read_version};
use crate::engine::{AdminState, Server, ServerName};

/// The version of the document that is written, and the newest that is read.
const VERSION: u64 = 1;

shape! { in
    /// How the fleet differs from the configured one.
    pub struct FleetState {
        /// The version of this document's form: 1.
        #[cfg_attr(test, ts(type = "number"))]
        pub version: u64,
        /// Configured servers that were removed, as they were configured.
        pub removed: Vec<ServerSpec>,
        /// Configured servers of which something was changed.
        pub changed: Vec<ChangedServer>,
        /// Servers that were added, in that order.
        pub joined: Vec<JoinedServer>,
        /// The servers that are drained, by name.
        #[cfg_attr(test, ts(type = "string[]"))]
        pub draining: Vec<ServerName>,
    }
}

shape! { in
    /// A configured server of which something was changed.
    pub struct ChangedServer {
        /// What it was configured as.
        pub configured: ServerSpec,
        /// What it is.
        pub server: ServerSpec,
    }
}

shape! { in
    /// A server that was added.
    pub struct JoinedServer {
        /// What was configured by that name, and had been removed.
        #[deserr(default)]
        pub configured: Option<ServerSpec>,
        /// What was added.
        pub server: ServerSpec,
    }
}

impl FleetState {
    /// How the servers of `roster`, in order, differ from those configured.
    pub fn between(configured: &[ServerSpec], roster: &[(Server, AdminState)]) -> Self {
        let names: BTreeMap<_, _> = configured.iter().map(|spec| (&spec.name, spec)).collect();
        let is_drained = |(_, state): &&(Server, AdminState)| *state == AdminState::Draining;
        let drained = roster.iter().filter(is_drained);
        let mut state = Self {
            draining: drained.map(|(server, _)| server.name.clone()).collect(),
            ..Self::unchanged()
        };
        let present: BTreeSet<_> = roster.iter().map(|(server, _)| &server.name).collect();
        let is_gone = |spec: &&ServerSpec| !present.contains(&spec.name);
        state.removed = configured.iter().filter(is_gone).cloned().collect();
        // Those that stayed stand first, and in the configured order.
        let mut places = configured.iter();
        for (server, _) in roster {
            let server = ServerSpec::from(server);
            match places.find(|spec| spec.name == server.name) {
                Some(configured) if *configured == server => {}
                Some(configured) => state.changed.push(ChangedServer {
                    configured: configured.clone(),
                    server,
                }),
                // From here on all have joined: no place is left.
                None => state.joined.push(JoinedServer {
                    configured: names.get(&server.name).map(|spec| (*spec).clone()),
                    server,
                }),
            }
        }
        state
    }

    /// The fleet as configured.
    pub fn unchanged() -> Self {
        Self {
            version: VERSION,
            removed: Vec::new(),
            changed: Vec::new(),
            joined: Vec::new(),
            draining: Vec::new(),
        }
    }

    /// Reads a document that [`Self::text`] has written.
    ///
    /// # Errors
    /// When it is not one, or of a version that is not known here.
    pub fn parse(text: &[u8]) -> Result<Self, Faults> {
        read_version(text, VERSION, |version| {
            if version > VERSION {
                ": it was written by a newer Ringway"
            } else {
                ": no Ringway has written such a file"
            }
        })
    }

    /// The document, for people to read, too.
    pub fn text(&self) -> Vec<u8> {
        // Shapes have only texts for keys and no serialiser that fails.
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// What becomes of these servers of a configuration, which may be another
    /// one by now, and which of them are drained. One whose entry is as it was
    /// becomes what operators made of it; one whose entry has been changed,
    /// added or removed is what the configuration says.
    pub fn over(&self, configured: &[ServerSpec]) -> (Vec<Server>, BTreeSet<ServerName>) {
        let names: BTreeMap<_, _> = configured.iter().map(|spec| (&spec.name, spec)).collect();
        let is_as_it_was = |spec: &&ServerSpec| names.get(&spec.name) == Some(spec);
        let came_back = |joined: &&JoinedServer| match &joined.configured {
            Some(spec) => is_as_it_was(&spec),
            None => !names.contains_key(&joined.server.name),
        };
        let joined: Vec<&JoinedServer> = self.joined.iter().filter(came_back).collect();
        let removed = self.removed.iter().filter(is_as_it_was);
        let moved = joined
            .iter()
            .filter_map(|joined| joined.configured.as_ref());
        let gone: BTreeSet<&ServerName> = removed.chain(moved).map(|spec| &spec.name).collect();
        let changed = self.changed.iter().filter(|c| is_as_it_was(&&c.configured));
        let changed: BTreeMap<_, _> = changed.map(|c| (&c.configured.name, &c.server)).collect();
        let stay = configured.iter().filter(|spec| !gone.contains(&spec.name));
        let servers: Vec<Server> = stay
            .map(|spec| *changed.get(&spec.name).unwrap_or(&spec))
            .chain(joined.iter().map(|joined| &joined.server))
            .map(|spec| Server::from(spec.clone()))
            .collect();
        let present: BTreeSet<_> = servers.iter().map(|server| &server.name).collect();
        let drained = self.draining.iter().filter(|name| present.contains(name));
        (servers.clone(), drained.cloned().collect())
    }
}

#[cfg(test)]
mod tests;
