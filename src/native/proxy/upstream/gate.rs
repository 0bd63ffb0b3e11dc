//! What may wake the task of a connection to a server.
//!
//! Whoever takes a piece of an answer's body wakes the connection that it came
//! over, so that it reads on. After the last piece it has nothing to read on
//! for, and would be looked at in vain: once for each answer with a body.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Wake, Waker};

/// Every wake-up passes.
const OPEN: u8 = 0;
/// None passes.
const SHUT: u8 = 1;
/// None passes, and one has come.
const AWAITED: u8 = 2;

/// Stands before one connection's task. Both are of one thread.
#[derive(Default)]
pub(super) struct Gate {
    task: OnceLock<Waker>,
    state: AtomicU8,
}

impl Gate {
    /// What `connection` comes to. To be run as a task of its own.
    pub(super) async fn run<F: Future>(self: Arc<Self>, connection: F) -> F::Output {
        let mut connection = pin!(connection);
        let waker = Waker::from(Arc::clone(&self));
        poll_fn(|cx| {
            // A task is woken in the same way all its life. Were it not, this
            // gate would just be gone round.
            let task = self.task.get_or_init(|| cx.waker().clone());
            if task.will_wake(cx.waker()) {
                connection.as_mut().poll(&mut Context::from_waker(&waker))
            } else {
                connection.as_mut().poll(cx)
            }
        })
        .await
    }

    /// Lets nothing pass until it is opened.
    pub(super) fn shut(&self) {
        self.state.store(SHUT, Relaxed);
    }

    /// Lets everything pass again, and what has come meanwhile unless that was
    /// `in_vain`.
    pub(super) fn open(&self, in_vain: bool) {
        if self.state.swap(OPEN, Relaxed) == AWAITED && !in_vain {
            self.pass();
        }
    }

    fn pass(&self) {
        if let Some(task) = self.task.get() {
            task.wake_by_ref();
        }
    }
}

impl Wake for Gate {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.load(Relaxed) == OPEN {
            self.pass();
        } else {
            self.state.store(AWAITED, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::sync::atomic::AtomicUsize;
    use std::task::Poll;

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn only_what_is_in_vain_is_held_back() {
        let (gate, task) = (Arc::<Gate>::default(), Arc::<Task>::default());
        let n_woken = || task.0.load(Relaxed);
        let inner = RefCell::new(None);
        let mut connection = pin!(Arc::clone(&gate).run(poll_fn(|cx| {
            inner.replace(Some(cx.waker().clone()));
            Poll::<()>::Pending
        })));
        let waker = Waker::from(Arc::clone(&task));
        let polled = connection.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        let inner = inner.take().expect("it was polled");
        inner.wake_by_ref();
        assert_eq!(n_woken(), 1, "an open gate lets it pass");
        gate.shut();
        inner.wake_by_ref();
        assert_eq!(n_woken(), 1, "a shut one does not");
        gate.open(false);
        assert_eq!(n_woken(), 2, "but once it is open");
        gate.shut();
        inner.wake_by_ref();
        gate.open(true);
        assert_eq!(n_woken(), 2, "unless it was in vain");
        gate.shut();
        gate.open(false);
        assert_eq!(n_woken(), 2, "what has not come does not pass");
        inner.wake();
        assert_eq!(n_woken(), 3, "it is open again");
    }
}
