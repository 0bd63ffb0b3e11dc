//! What there is to show of the fleet, and of one server.

use super::{LoadBalancer, Member};
use crate::engine::admission::Admission;
use crate::engine::health::Standing;
use crate::engine::ring::Share;
use crate::engine::server::ServerName;
use crate::engine::snapshot::{Figures, ServerFigures, ServerSnapshot, Snapshot};
use crate::engine::table::TableServer;
use crate::engine::time::Timestamp;

impl LoadBalancer {
    /// Everything worth showing.
    pub fn snapshot(&self, now: Timestamp) -> Snapshot {
        let mut primary_shares = self
            .primary
            .shares()
            .into_iter()
            .zip(self.primary.expected_shares());
        let mut backup_shares = self
            .backup
            .shares()
            .into_iter()
            .zip(self.backup.expected_shares());
        let servers = self
            .servers
            .values()
            .zip(self.table.servers())
            .map(|(member, entry)| {
                let shares: &mut dyn Iterator<Item = _> = if member.server.backup {
                    &mut backup_shares
                } else {
                    &mut primary_shares
                };
                let (share_actual, share_expected) = shares.next().unwrap_or_default();
                member.snapshot(entry, share_actual, share_expected, now)
            })
            .collect();
        Snapshot {
            at: now,
            servers,
            total: self.traffic.total().clone(),
            last_minute: self.traffic.last_minute(now),
            fail_open: self.table.is_fail_open(),
        }
    }

    /// What changes from second to second.
    pub fn figures(&self, now: Timestamp) -> Figures<'_> {
        let members = self.servers.values().zip(self.table.servers());
        let servers: Vec<ServerFigures<'_>> = members
            .map(|(member, entry)| ServerFigures {
                id: member.id,
                name: &member.server.name,
                standing: entry.standing,
                load: member.traffic.figures(u64::from(member.in_flight), now),
                last_probe: member.last_probe.as_ref(),
            })
            .collect();
        let in_flight = servers.iter().map(|server| server.load.in_flight).sum();
        Figures {
            at: now,
            total: self.traffic.figures(in_flight, now),
            servers,
        }
    }

    /// What [`Self::snapshot`] says of the server called `name`, without asking for
    /// all others.
    pub fn snapshot_of(&self, name: &ServerName, now: Timestamp) -> Option<ServerSnapshot> {
        let member = self.servers.get(name)?;
        let layout = if member.server.backup {
            &self.backup
        } else {
            &self.primary
        };
        let rank = layout.rank(name)?;
        let expected = layout.expected_shares();
        let entry = self.table.server(self.table.find(name)?);
        Some(member.snapshot(
            entry,
            layout.share(rank),
            *expected.get(rank as usize)?,
            now,
        ))
    }
}

impl Member {
    /// Everything worth showing of it, beside what the table and the layout say.
    fn snapshot(
        &self,
        entry: &TableServer,
        share_actual: Share,
        share_expected: f64,
        now: Timestamp,
    ) -> ServerSnapshot {
        ServerSnapshot {
            id: self.id,
            server: self.server.clone(),
            state: self.state,
            health: self.probes.health(),
            ejected_until: self.ejection.until(),
            is_on_trial: self.ejection.is_on_trial(),
            standing: entry.standing,
            admission: match entry.standing {
                Standing::Eligible | Standing::Draining => entry.admission,
                _ => Admission::NONE,
            },
            share_expected,
            share_actual,
            in_flight: self.in_flight,
            total: self.traffic.total().clone(),
            last_minute: self.traffic.last_minute(now),
            last_probe: self.last_probe.clone(),
        }
    }
}
