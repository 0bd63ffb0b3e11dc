//! The requests of one worker that wait for a place at a full server, in the
//! order in which they came.
//!
//! Only the first of a line tries for a place: when it comes to stand there, when
//! its worker is called since one may be free (see [`Waiting`]), and whenever its
//! connection is looked at anyway.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};

use crate::engine::ServerId;
use crate::native::queue::Waiting;
use crate::native::shared::ServerRuntime;

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum At {
    /// A place at the server of this stay.
    Server(ServerId),
    /// A place at any server.
    Anywhere,
}

/// The lines of one worker.
pub(super) struct Lines {
    worker: usize,
    anywhere: Arc<Waiting>,
    lines: RefCell<BTreeMap<At, VecDeque<Rc<Waiter>>>>,
}

/// Who stands in a line.
#[derive(Default)]
struct Waiter {
    waker: Cell<Option<Waker>>,
}

/// A request's stand in a line, which it leaves when this is dropped.
pub(super) struct Stand<'a> {
    lines: &'a Lines,
    at: At,
    /// Whose line it is, unless it is that for any server.
    server: Option<Arc<ServerRuntime>>,
    waiter: Rc<Waiter>,
}

impl Lines {
    /// Nobody waits at the `worker` of this number.
    pub(super) fn new(worker: usize, anywhere: Arc<Waiting>) -> Self {
        Self {
            worker,
            anywhere,
            lines: RefCell::default(),
        }
    }

    /// Who waits for a place at any server, of all workers.
    pub(super) fn anywhere(&self) -> &Waiting {
        &self.anywhere
    }

    /// Goes to the end of the line at `server`, or of that for any one; `None`
    /// when there are `max` in it already, of all workers together.
    pub(super) fn join(&self, server: Option<&Arc<ServerRuntime>>, max: u32) -> Option<Stand<'_>> {
        let waiting = server.map_or(&*self.anywhere, |server| &server.waiting);
        if !waiting.enter(self.worker, max) {
            return None;
        }
        let at = server.map_or(At::Anywhere, |server| At::Server(server.id));
        let waiter = Rc::<Waiter>::default();
        let mut lines = self.lines.borrow_mut();
        let line = lines.entry(at).or_default();
        line.push_back(Rc::clone(&waiter));
        Some(Stand {
            lines: self,
            at,
            server: server.map(Arc::clone),
            waiter,
        })
    }

    /// There may be places: has the first of each line try.
    pub(super) fn call(&self) {
        let lines = self.lines.borrow();
        let first = lines.values().filter_map(VecDeque::front);
        first.for_each(|waiter| waiter.wake());
    }

    /// Has everybody look around: the fleet is another.
    pub(super) fn wake_all(&self) {
        let lines = self.lines.borrow();
        lines.values().flatten().for_each(|waiter| waiter.wake());
    }
}

impl Waiter {
    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Stand<'_> {
    /// Has the task of `cx` woken when there is something to do.
    pub(super) fn watch(&self, cx: &Context<'_>) {
        self.waiter.waker.set(Some(cx.waker().clone()));
    }

    /// Whether nobody of this worker has waited longer.
    pub(super) fn is_first(&self) -> bool {
        let lines = self.lines.lines.borrow();
        let first = lines.get(&self.at).and_then(VecDeque::front);
        first.is_some_and(|first| Rc::ptr_eq(first, &self.waiter))
    }

    /// It has waited for as long as it may.
    pub(super) fn time_out(&self) {
        self.waiting().time_out();
    }

    fn waiting(&self) -> &Waiting {
        let server = self.server.as_ref();
        server.map_or(&*self.lines.anywhere, |server| &server.waiting)
    }
}

impl Drop for Stand<'_> {
    fn drop(&mut self) {
        let is_first = self.is_first();
        let mut lines = self.lines.lines.borrow_mut();
        if let Some(line) = lines.get_mut(&self.at) {
            line.retain(|waiter| !Rc::ptr_eq(waiter, &self.waiter));
            if line.is_empty() {
                lines.remove(&self.at);
            }
        }
        drop(lines);
        self.waiting().leave(self.lines.worker);
        // Whoever was first may have been called, for one place or for several.
        if is_first {
            match &self.server {
                Some(server) => server.call(),
                None => drop(self.waiting().call()),
            }
        }
    }
}
