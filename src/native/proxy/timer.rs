//! The deadlines of one worker: one coarse clock and one queue for all of them.
//!
//! A timer of the runtime for each request would cost more than the rest of its
//! bookkeeping. Here a deadline is a number in a cell. The queue looks at a
//! timer when its deadline may have come, and if it was moved on meanwhile (as
//! it is with every request on a busy connection) queues it anew, so moving a
//! deadline on costs a store. Deadlines are kept to a tick, late and never
//! early.

use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;

use tokio::sync::Notify;

use crate::engine::Timestamp;
use crate::native::clock;

/// How far the coarse clock moves at a time. The shortest default timeout is
/// 3 s; a fiftieth of a second more does not matter there, and twenty wake-ups
/// a second cost nothing to speak of.
const TICK: Duration = Duration::from_millis(50);

/// A deadline that never comes.
const NEVER: Timestamp = Timestamp::from_nanos(u64::MAX);

/// How long a deadline is set for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wait {
    nanos: u64,
}

impl From<Duration> for Wait {
    fn from(duration: Duration) -> Self {
        // The clock may be a tick slow, and a deadline never comes early.
        let nanos = duration.saturating_add(TICK).as_nanos();
        Self {
            nanos: u64::try_from(nanos).unwrap_or(u64::MAX),
        }
    }
}

impl Wait {
    /// For how long, at most.
    pub(super) const fn duration(self) -> Duration {
        Duration::from_nanos(self.nanos)
    }
}

/// The queue and the coarse clock of one worker.
pub(super) struct Timers {
    now: Cell<Timestamp>,
    /// Whether the clock is kept moving; it rests while nothing is queued.
    is_ticking: Cell<bool>,
    queue: RefCell<BTreeMap<(Timestamp, u64), Rc<Entry>>>,
    next_id: Cell<u64>,
    wake: Notify,
}

/// What the queue knows of one timer.
struct Entry {
    id: u64,
    deadline: Cell<Timestamp>,
    /// When the queue looks at it next; [`NEVER`] when it is not queued.
    queued: Cell<Timestamp>,
    waker: Cell<Option<Waker>>,
    /// Whether its task wants to hear of other things than its deadline.
    is_attentive: Cell<bool>,
}

/// One deadline that is set again and again, and the task that waits for it.
pub(super) struct Timer {
    timers: Rc<Timers>,
    entry: Rc<Entry>,
}

impl Timers {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self {
            now: Cell::new(clock::now()),
            is_ticking: Cell::new(false),
            queue: RefCell::default(),
            next_id: Cell::new(0),
            wake: Notify::new(),
        })
    }

    /// Keeps the clock and the queue going, for as long as it is polled.
    pub(super) async fn run(&self) {
        loop {
            if self.queue.borrow().is_empty() {
                self.is_ticking.set(false);
                self.wake.notified().await;
            }
            tokio::time::sleep(TICK).await;
            self.turn();
        }
    }

    /// The coarse time: at most about a tick old while anything is timed.
    pub(super) fn now(&self) -> Timestamp {
        if !self.is_ticking.get() {
            self.now.set(clock::now());
        }
        self.now.get()
    }

    /// Wakes every task that waits for a deadline, so that it looks around.
    pub(super) fn wake_all(&self) {
        for entry in self.queue.borrow().values() {
            entry.wake();
        }
    }

    /// Wakes every task that has said that it is attentive.
    pub(super) fn wake_attentive(&self) {
        let queue = self.queue.borrow();
        let attentive = queue.values().filter(|entry| entry.is_attentive.get());
        attentive.for_each(|entry| entry.wake());
    }

    /// Wakes whose deadline has come.
    fn turn(&self) {
        let now = clock::now();
        self.now.set(now);
        let mut queue = self.queue.borrow_mut();
        while let Some(first) = queue.first_entry() {
            if first.key().0 > now {
                break;
            }
            let entry = first.remove();
            let deadline = entry.deadline.get();
            if deadline <= now {
                entry.queued.set(NEVER);
                entry.wake();
            } else {
                entry.queued.set(deadline);
                if deadline != NEVER {
                    queue.insert((deadline, entry.id), entry);
                }
            }
        }
    }
}

impl Entry {
    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Timer {
    /// A timer without a deadline.
    pub(super) fn new(timers: &Rc<Timers>) -> Self {
        let id = timers.next_id.get();
        timers.next_id.set(id + 1);
        Self {
            timers: Rc::clone(timers),
            entry: Rc::new(Entry {
                id,
                deadline: Cell::new(NEVER),
                queued: Cell::new(NEVER),
                waker: Cell::new(None),
                is_attentive: Cell::new(false),
            }),
        }
    }

    /// Sets the deadline to `wait` from now, whatever it was.
    pub(super) fn set(&self, wait: Wait) {
        let nanos = self.timers.now().as_nanos().saturating_add(wait.nanos);
        let deadline = Timestamp::from_nanos(nanos);
        self.entry.deadline.set(deadline);
        if deadline < self.entry.queued.get() {
            self.queue(deadline);
        }
    }

    /// Whether the deadline has come.
    pub(super) fn is_due(&self) -> bool {
        self.entry.deadline.get() <= self.timers.now.get()
    }

    /// Whether its task, while there is a deadline, is to be woken by
    /// [`Timers::wake_attentive`] too.
    pub(super) fn set_attentive(&self, is_attentive: bool) {
        self.entry.is_attentive.set(is_attentive);
    }

    /// Has its task look around.
    pub(super) fn wake(&self) {
        self.entry.wake();
    }

    /// Makes the task of `cx` the one that is woken.
    pub(super) fn watch(&self, cx: &Context<'_>) {
        let waker = self.entry.waker.take();
        let waker = waker.filter(|waker| waker.will_wake(cx.waker()));
        self.entry
            .waker
            .set(Some(waker.unwrap_or_else(|| cx.waker().clone())));
    }

    /// What `future` comes to, or `None` when the deadline comes first. For
    /// tasks that [`watch`](Self::watch) the timer.
    pub(super) async fn limit<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.is_due() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// The same for a task that waits for nothing else and watches no timer.
    pub(super) async fn in_time<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut limited = pin!(self.limit(future));
        poll_fn(|cx| {
            self.watch(cx);
            limited.as_mut().poll(cx)
        })
        .await
    }

    #[cold]
    fn queue(&self, deadline: Timestamp) {
        let mut queue = self.timers.queue.borrow_mut();
        let queued = self.entry.queued.replace(deadline);
        queue.remove(&(queued, self.entry.id));
        queue.insert((deadline, self.entry.id), Rc::clone(&self.entry));
        if !self.timers.is_ticking.replace(true) {
            self.timers.wake.notify_one();
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let key = (self.entry.queued.get(), self.entry.id);
        self.timers.queue.borrow_mut().remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::clock;

    /// Waits for a timer as a task that watches it does.
    async fn due(timer: &Timer) {
        poll_fn(|cx| {
            timer.watch(cx);
            if timer.is_due() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    fn run(test: impl Future<Output = ()> + 'static, timers: &Rc<Timers>) {
        let timers = Rc::clone(timers);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        runtime.block_on(async move {
            tokio::select! {
                () = timers.run() => {}
                () = test => {}
            }
        });
    }

    #[test]
    fn a_deadline_comes_late_and_never_early_however_it_was_moved() {
        let timers = Timers::new();
        let (first, other) = (Timer::new(&timers), Timer::new(&timers));
        let test = async move {
            other.set(Duration::from_secs(3600).into());
            for (before, wait) in [(None, 20), (Some(3_600_000), 20), (Some(1), 120)] {
                if let Some(millis) = before {
                    first.set(Duration::from_millis(millis).into());
                }
                let (began, wait) = (clock::now(), Duration::from_millis(wait));
                first.set(wait.into());
                due(&first).await;
                let took = clock::now().since(began);
                assert!(took >= wait, "{took:?} is before {wait:?}");
                assert!(!other.is_due());
            }
        };
        run(test, &timers);
        assert!(
            timers.queue.borrow().is_empty(),
            "a timer takes its entry with it"
        );
    }

    #[test]
    fn limits_let_through_what_is_in_time() {
        let timers = Timers::new();
        let timer = Timer::new(&timers);
        let test = async move {
            poll_fn(|cx| {
                timer.watch(cx);
                Poll::Ready(())
            })
            .await;
            timer.set(Duration::from_millis(1).into());
            assert_eq!(timer.limit(async { 7 }).await, Some(7));
            assert_eq!(timer.limit(std::future::pending::<()>()).await, None);
            timer.set(Duration::from_millis(1).into());
            assert_eq!(timer.in_time(async { 7 }).await, Some(7));
            assert_eq!(timer.in_time(std::future::pending::<()>()).await, None);
        };
        run(test, &timers);
    }
}
