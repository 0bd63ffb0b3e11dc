//! The layouts of the two tiers: made at start, and made anew, in part or as a
//! whole, when a server comes, goes or changes its weight.

use crate::engine::sort;
use std::sync::Arc;

use super::LoadBalancer;
use crate::engine::algorithm::Algorithm;
use crate::engine::layout::{AtRest, Difference, Layout, LayoutError, Placed};
use crate::engine::message::{CommandError, Events};
use crate::engine::ring::{POINTS_MAX, TooManyPoints};
use crate::engine::server::{AdminState, Server, ServerName, ServerNumber};
use crate::engine::settings::Settings;
use crate::engine::time::Timestamp;

/// The layouts of the primaries and of the backups among `servers`.
pub(super) fn of(
    settings: &Settings,
    servers: &[Server],
    numbers: &[ServerNumber],
) -> Result<[Arc<Layout>; 2], CommandError> {
    let [primary, backup] = tiers(servers, numbers)?;
    let layout = |tier: &[Placed<'_>]| Layout::new(settings, tier).map(Arc::new);
    let (primary, backup) = (layout(&primary)?, layout(&backup)?);
    within_limit(&primary, &backup)?;
    Ok([primary, backup])
}

/// The primaries and the backups of a configuration, each by name.
fn tiers<'a>(
    servers: &'a [Server],
    numbers: &[ServerNumber],
) -> Result<[Vec<Placed<'a>>; 2], CommandError> {
    let places = servers.iter().zip(0..).zip(numbers);
    let mut placed: Vec<Placed<'_>> = places
        .map(|((server, order), number)| Placed {
            server,
            order,
            number: number.number(),
        })
        .collect();
    sort::by(&mut placed, |a, b| a.server.name < b.server.name);
    let twice = |both: &&[Placed<'_>]| both[0].server.name == both[1].server.name;
    if let Some(both) = placed.windows(2).find(twice) {
        return Err(CommandError::DuplicateName(both[0].server.name.clone()));
    }
    let (backup, primary) = placed.into_iter().partition(|p| p.server.backup);
    Ok([primary, backup])
}

/// The number of each server at start: those that have one keep it, the others
/// are given the lowest that are free, in their order.
pub(super) fn numbers(servers: &[Server]) -> Result<Vec<ServerNumber>, CommandError> {
    let taken = in_order(servers.iter().filter_map(|server| server.id));
    if let Some(both) = taken.windows(2).find(|both| both[0] == both[1]) {
        return Err(CommandError::DuplicateId(both[0]));
    }
    let mut free = ServerNumber::free(&taken);
    let number = |server: &Server| server.id.or_else(|| free.next());
    Ok(servers.iter().filter_map(number).collect())
}

fn in_order(numbers: impl Iterator<Item = ServerNumber>) -> Vec<ServerNumber> {
    let mut numbers: Vec<_> = numbers.collect();
    sort::by_number(&mut numbers, |number| number.number().into());
    numbers
}

/// Whether all that decides how `algorithm` lays a tier out is the same for
/// two of them.
fn are_alike(algorithm: &Algorithm, before: &[Placed<'_>], after: &[Placed<'_>]) -> bool {
    let in_order = |tier: &[Placed<'_>]| {
        let mut places: Vec<usize> = (0..tier.len()).collect();
        sort::by_number(&mut places, |&place| tier[place].order);
        places
    };
    let (by_number, by_address) = (algorithm.goes_by_number(), algorithm.goes_by_address());
    let is_alike = |(before, after): (&Placed<'_>, &Placed<'_>)| {
        let (old, new) = (before.server, after.server);
        let hashed = |server: &Server| {
            let Server {
                address,
                port,
                hash_name,
                ..
            } = server.clone();
            (address, port, hash_name)
        };
        old.name == new.name
            && old.weight == new.weight
            && (!by_number || before.number == after.number)
            && (!by_address || hashed(old) == hashed(new))
    };
    before.len() == after.len()
        && before.iter().zip(after).all(is_alike)
        && (!by_address || in_order(before) == in_order(after))
}

/// Holds both layouts together to what one alone may have.
fn within_limit(layout: &Layout, other: &Layout) -> Result<(), TooManyPoints> {
    let points = layout.n_points() as u64 + other.n_points() as u64;
    if points > u64::from(POINTS_MAX) {
        return Err(TooManyPoints { points });
    }
    Ok(())
}

impl LoadBalancer {
    /// The layout of one tier after a change of one of its servers.
    pub(super) fn relaid(
        &self,
        difference: Difference<'_>,
        number: ServerNumber,
        is_backup: bool,
    ) -> Result<Arc<Layout>, LayoutError> {
        let mut placed: Vec<Placed<'_>> = self.tier(is_backup).collect();
        let find = |placed: &[Placed<'_>], name: &ServerName| {
            placed.binary_search_by(|placed| placed.server.name.cmp(name))
        };
        match difference {
            Difference::Added(server) => {
                let place = Placed {
                    server,
                    order: self.next_id,
                    number: number.number(),
                };
                let (Ok(at) | Err(at)) = find(&placed, &server.name);
                placed.insert(at, place);
            }
            Difference::Removed(name) => {
                if let Ok(at) = find(&placed, name) {
                    placed.remove(at);
                }
            }
            Difference::Reweighed(server) => {
                if let Ok(at) = find(&placed, &server.name) {
                    placed[at].server = server;
                }
            }
        }
        let (layout, other) = if is_backup {
            (&self.backup, &self.primary)
        } else {
            (&self.primary, &self.backup)
        };
        let layout = layout.after(&self.settings, difference, &placed)?;
        within_limit(&layout, other)?;
        Ok(Arc::new(layout))
    }

    /// The layouts of other servers by other settings; a tier of which nothing
    /// that decides its layout has changed keeps the one it has.
    pub(super) fn relaid_for(
        &self,
        settings: &Settings,
        servers: &[Server],
        numbers: &[ServerNumber],
    ) -> Result<[Arc<Layout>; 2], CommandError> {
        let rule = |settings: &Settings| (settings.algorithm.clone(), settings.virtual_nodes);
        let has_same_rule = rule(&self.settings) == rule(settings);
        let layout = |tier: &[Placed<'_>], is_backup, layout: &Arc<Layout>| {
            let before: Vec<Placed<'_>> = self.tier(is_backup).collect();
            if has_same_rule && are_alike(&settings.algorithm, &before, tier) {
                return Ok(Arc::clone(layout));
            }
            Layout::new(settings, tier).map(Arc::new)
        };
        let [primary, backup] = tiers(servers, numbers)?;
        let primary = layout(&primary, false, &self.primary)?;
        let backup = layout(&backup, true, &self.backup)?;
        within_limit(&primary, &backup)?;
        Ok([primary, backup])
    }

    /// The primary or the backup servers, by name.
    fn tier(&self, is_backup: bool) -> impl Iterator<Item = Placed<'_>> {
        let members = self.servers.values();
        members
            .filter(move |member| member.server.backup == is_backup)
            .map(|member| Placed {
                server: &member.server,
                order: member.order,
                number: member.number.number(),
            })
    }

    /// The number a new server has, or is given.
    pub(super) fn number_for(&self, server: &Server) -> Result<ServerNumber, CommandError> {
        let taken = in_order(self.servers.values().map(|member| member.number));
        match server.id {
            Some(number) if taken.binary_search(&number).is_ok() => {
                Err(CommandError::DuplicateId(number))
            }
            Some(number) => Ok(number),
            None => Ok(ServerNumber::lowest_free(&taken)),
        }
    }

    pub(super) fn layout_mut(&mut self, is_backup: bool) -> &mut Arc<Layout> {
        if is_backup {
            &mut self.backup
        } else {
            &mut self.primary
        }
    }

    /// The tier that takes keys while nothing is wrong: the primaries, unless
    /// all of them are drained.
    pub(in crate::engine) fn at_rest(&self) -> AtRest<'_> {
        let takes = |is_backup: bool| -> Vec<bool> {
            let tier = self
                .servers
                .values()
                .filter(|m| m.server.backup == is_backup);
            tier.map(|member| member.state == AdminState::Active)
                .collect()
        };
        let (primaries, backups) = (takes(false), takes(true));
        if !primaries.contains(&true) && backups.contains(&true) {
            return AtRest::new(&self.settings.algorithm, &self.backup, backups);
        }
        AtRest::new(&self.settings.algorithm, &self.primary, primaries)
    }

    /// The same fleet by other settings.
    pub(in crate::engine) fn relaid_by(
        mut self,
        change: impl FnOnce(&mut Settings),
    ) -> Result<Self, CommandError> {
        change(&mut self.settings);
        let layout = |is_backup| {
            let placed: Vec<Placed<'_>> = self.tier(is_backup).collect();
            Layout::new(&self.settings, &placed).map(Arc::new)
        };
        let (primary, backup) = (layout(false)?, layout(true)?);
        within_limit(&primary, &backup)?;
        (self.primary, self.backup) = (primary, backup);
        self.publish(&mut Events::default());
        Ok(self)
    }

    /// The latest time heard of.
    pub(in crate::engine) fn latest(&self) -> Timestamp {
        self.latest
    }
}
