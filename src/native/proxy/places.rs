//! How many connections there may be at a time, which a reload may change.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places for connections, shared by all workers.
#[derive(Debug)]
pub struct Places {
    free: Arc<Semaphore>,
    /// How many there are; held only by who changes it.
    number: Mutex<usize>,
    /// How many of those in use are to go when they are given back.
    n_owed: AtomicUsize,
}

/// One of them; given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    permit: Option<OwnedSemaphorePermit>,
    places: Arc<Places>,
}

impl Places {
    /// `number` places.
    pub fn new(number: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(number)),
            number: Mutex::new(number),
            n_owed: AtomicUsize::new(0),
        })
    }

    /// Waits for a place; `None` never comes, as places are never closed.
    pub async fn take(self: &Arc<Self>) -> Option<Place> {
        let permit = Arc::clone(&self.free).acquire_owned().await.ok();
        permit.map(|permit| self.place(permit))
    }

    /// A place, if one is free.
    pub fn try_take(self: &Arc<Self>) -> Option<Place> {
        let permit = Arc::clone(&self.free).try_acquire_owned().ok();
        permit.map(|permit| self.place(permit))
    }

    fn place(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Place {
        Place {
            permit: Some(permit),
            places: Arc::clone(self),
        }
    }

    /// From now on there are `number`; those in use beyond it stay for as long
    /// as they are.
    pub fn resize(&self, number: usize) {
        let mut before = self.number.lock().unwrap_or_else(PoisonError::into_inner);
        if number < *before {
            let fewer = *before - number;
            let n_forgotten = self.free.forget_permits(fewer);
            self.n_owed.fetch_add(fewer - n_forgotten, Relaxed);
        }
        for _ in *before..number {
            if !self.pays() {
                self.free.add_permits(1);
            }
        }
        *before = number;
    }

    /// Takes one off what is owed, if anything is.
    fn pays(&self) -> bool {
        let less = |n: usize| n.checked_sub(1);
        self.n_owed.fetch_update(Relaxed, Relaxed, less).is_ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.places.n_owed.load(Relaxed) > 0
            && self.places.pays()
            && let Some(permit) = self.permit.take()
        {
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_and_go_while_they_are_in_use() {
        let places = Places::new(2);
        let mut taken: Vec<_> = (0..3).map(|_| places.try_take()).collect();
        assert!(taken[1].is_some() && taken[2].is_none());
        places.resize(3);
        taken[2] = places.try_take();
        assert!(taken[2].is_some());
        places.resize(1);
        // Two have to be given back before one of them is free again.
        for is_free in [false, false, true] {
            taken.pop();
            assert_eq!(places.try_take().is_some(), is_free);
        }
        let one = places.try_take();
        places.resize(0);
        places.resize(2);
        assert!(
            places.try_take().is_some(),
            "what was owed is not owed twice"
        );
        drop(one);
        let all: Vec<_> = (0..2).map(|_| places.try_take()).collect();
        assert!(all.iter().all(Option::is_some) && places.try_take().is_none());
    }
}
