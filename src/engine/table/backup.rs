//! A backup server for a request that every primary one has failed.

use super::{Route, RoutingTable, ServerIndex};
use crate::engine::health::Standing;
use crate::engine::ring::Position;

impl RoutingTable {
    /// The eligible backup server that the key at `position` prefers of those not
    /// `tried` (without a key, the first by name); `None` when there is none, or
    /// when backups are what is in use anyway.
    ///
    /// For a request that was tried at all servers that [`Self::route`] has for
    /// it: one that is down for the others is better than no answer.
    pub fn route_backup(&self, key: Option<Position>, tried: &[ServerIndex]) -> Option<Route> {
        if std::sync::Arc::ptr_eq(&self.layout, &self.backup) {
            return None;
        }
        let members = self.members(true);
        let may_use = |server: ServerIndex| {
            let is_eligible = self.server(server).standing == Standing::Eligible;
            (is_eligible && !tried.contains(&server)).then_some(server)
        };
        let found = match key {
            Some(position) => self
                .backup
                .first(position, |rank| may_use(members[rank as usize])),
            None => members.iter().copied().find_map(may_use),
        };
        found.map(|server| self.unbounded(server))
    }
}
