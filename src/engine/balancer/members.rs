//! The servers of a fleet by name, and by id: sorted lists, which need a tenth
//! of a tree's code.

use super::Member;
use crate::engine::message::ServerId;
use crate::engine::server::ServerName;

/// The members, by name. Each is in a box of its own: what moves when one comes
/// or goes are pointers.
#[derive(Clone, Debug, Default)]
#[expect(clippy::vec_box, reason = "a member is large, and the list is shifted")]
pub(super) struct Members(Vec<Box<Member>>);

impl Members {
    fn find(&self, name: &ServerName) -> Result<usize, usize> {
        self.0
            .binary_search_by(|member| member.server.name.cmp(name))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn contains_key(&self, name: &ServerName) -> bool {
        self.find(name).is_ok()
    }

    pub(super) fn get(&self, name: &ServerName) -> Option<&Member> {
        Some(&self.0[self.find(name).ok()?])
    }

    pub(super) fn get_mut(&mut self, name: &ServerName) -> Option<&mut Member> {
        let at = self.find(name).ok()?;
        Some(&mut self.0[at])
    }

    /// Adds a member, or replaces the one of its name.
    pub(super) fn insert(&mut self, member: Member) {
        let member = Box::new(member);
        match self.find(&member.server.name) {
            Ok(at) => self.0[at] = member,
            Err(at) => self.0.insert(at, member),
        }
    }

    pub(super) fn remove(&mut self, name: &ServerName) -> Option<Member> {
        let at = self.find(name).ok()?;
        Some(*self.0.remove(at))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &ServerName> {
        self.values().map(|member| &member.server.name)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Member> {
        self.0.iter().map(|member| &**member)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.0.iter_mut().map(|member| &mut **member)
    }
}

/// The names of the members, by id. Ids grow, so that a new one comes last.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(Vec<(ServerId, ServerName)>);

impl Names {
    fn find(&self, id: ServerId) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| other.cmp(&id))
    }

    pub(super) fn get(&self, id: ServerId) -> Option<&ServerName> {
        Some(&self.0[self.find(id).ok()?].1)
    }

    pub(super) fn insert(&mut self, id: ServerId, name: ServerName) {
        match self.find(id) {
            Ok(at) => self.0[at].1 = name,
            Err(at) => self.0.insert(at, (id, name)),
        }
    }

    pub(super) fn remove(&mut self, id: ServerId) {
        if let Ok(at) = self.find(id) {
            self.0.remove(at);
        }
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = ServerId> {
        self.0.iter().map(|&(id, _)| id)
    }
}
