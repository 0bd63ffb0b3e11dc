//! Connections to one server that are kept by this thread while nothing is on
//! them, whatever is spoken over them.
//!
//! A kept connection is used again last in, first out, so that those that a
//! quieter time does not need grow old and are closed.

use core::time::Duration;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::config;
use crate::engine::Timestamp;
use crate::native::proxy::timer::Timers;

/// What is kept of a connection. Dropping it closes the connection.
pub(super) trait Kept {
    /// Whether the connection has ended.
    fn is_closed(&mut self) -> bool {
        !self.is_ready()
    }

    /// Whether it is fit for a request: neither ended by the server since, nor
    /// still busy with what was on it (an upload that the answer overtook).
    fn is_ready(&mut self) -> bool;
}

/// One server's connections.
pub(super) struct Pool<C> {
    /// The longest unused ones first.
    idle: RefCell<Vec<Idle<C>>>,
    limits: Cell<Limits>,
    timers: Rc<Timers>,
}

/// How many connections are kept, and how long.
#[derive(Clone, Copy)]
struct Limits {
    n_max: usize,
    idle_max: Duration,
    age_max: Duration,
}

impl From<&config::Pool> for Limits {
    fn from(limits: &config::Pool) -> Self {
        Self {
            n_max: limits.max_idle.number() as usize,
            idle_max: limits.idle.duration(),
            age_max: limits.max_age.duration(),
        }
    }
}

/// A connection without a request on it.
struct Idle<C> {
    connection: C,
    made: Timestamp,
    since: Timestamp,
}

/// A connection with a request on it. Dropping it closes the connection.
pub(super) struct Lease<C> {
    pool: Rc<Pool<C>>,
    pub(super) connection: C,
    made: Timestamp,
}

impl<C: Kept> Pool<C> {
    /// No connections yet.
    pub(super) fn new(limits: &config::Pool, timers: &Rc<Timers>) -> Rc<Self> {
        Rc::new(Self {
            idle: RefCell::default(),
            limits: Cell::new(limits.into()),
            timers: Rc::clone(timers),
        })
    }

    /// Keeps connections by other limits from now on.
    pub(super) fn set_limits(&self, limits: &config::Pool) {
        self.limits.set(limits.into());
    }

    /// Closes connections that have not been used for too long, and those that
    /// are too many.
    pub(super) fn sweep(&self, now: Timestamp) {
        let limits = self.limits.get();
        let mut idle = self.idle.borrow_mut();
        idle.retain_mut(|kept| {
            !kept.connection.is_closed()
                && now.since(kept.since) < limits.idle_max
                && now.since(kept.made) < limits.age_max
        });
        let n_over = idle.len().saturating_sub(limits.n_max);
        idle.drain(..n_over);
    }

    /// A kept connection that is fit for a request.
    pub(super) fn take(self: &Rc<Self>) -> Option<Lease<C>> {
        let mut idle = self.idle.borrow_mut();
        while let Some(kept) = idle.pop() {
            let Idle {
                mut connection,
                made,
                ..
            } = kept;
            if connection.is_ready() {
                return Some(Lease {
                    pool: Rc::clone(self),
                    connection,
                    made,
                });
            }
        }
        None
    }

    /// A connection that was just made, for a request.
    pub(super) fn add(self: &Rc<Self>, connection: C) -> Lease<C> {
        Lease {
            pool: Rc::clone(self),
            connection,
            made: self.timers.now(),
        }
    }
}

impl<C> Lease<C> {
    /// The request on it has ended: it is kept, if there is room.
    pub(super) fn give_back(self) {
        let Self {
            pool,
            connection,
            made,
        } = self;
        let since = pool.timers.now();
        let mut idle = pool.idle.borrow_mut();
        let limits = pool.limits.get();
        if idle.len() < limits.n_max && since.since(made) < limits.age_max {
            idle.push(Idle {
                connection,
                made,
                since,
            });
        }
    }
}
