//! A request whose server is full waits for a place there, for a while and among
//! not too many, and goes elsewhere or nowhere then.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use super::Attempts;
use crate::config::AfterQueue;
use crate::engine::{NoServer, ServerIndex};
use crate::native::proxy::body::InFlight;
use crate::native::proxy::line::At;
use crate::native::proxy::timer::Wait;
use crate::native::proxy::worker::{NoEntry, Turn};

/// How it is when a stand in a line ends.
enum Waited {
    /// There is a place, or none to wait for.
    Ended(Result<(ServerIndex, InFlight), NoEntry>),
    /// The fleet is another.
    Anew,
}

impl Attempts<'_> {
    /// Where the request goes that found no place `at` its server.
    ///
    /// # Errors
    /// When it goes nowhere.
    pub(super) async fn wait(&mut self, at: At) -> Result<(ServerIndex, InFlight), NoServer> {
        let mut at = at;
        // One deadline for all its stands.
        let mut is_timed = false;
        loop {
            match self.stand(at, &mut is_timed).await {
                None => return self.overflow(at),
                Some(Waited::Ended(Ok(entered))) => return Ok(entered),
                Some(Waited::Ended(Err(NoEntry::NoServer(why)))) => return Err(why),
                Some(Waited::Ended(Err(NoEntry::Full(elsewhere)))) => at = elsewhere,
                Some(Waited::Anew) => {
                    self.follow();
                    match self.enter(Turn::Last) {
                        Ok(entered) => return Ok(entered),
                        Err(NoEntry::NoServer(why)) => return Err(why),
                        Err(NoEntry::Full(elsewhere)) => at = elsewhere,
                    }
                }
            }
        }
    }

    /// Stands in the line `at` a server; `None` when there are too many in it
    /// already, or it has stood for as long as it may.
    async fn stand(&self, at: At, is_timed: &mut bool) -> Option<Waited> {
        let (in_hand, lines) = (self.in_hand, &self.in_hand.client.worker.lines);
        let queue = &self.fleet.rules().config.queue;
        // At most 100000.
        let length = queue.length.map(|length| length.number() as u32);
        let (server, length) = self.fleet.line(at, length)?;
        let stand = lines.join(server, length)?;
        if !*is_timed {
            *is_timed = true;
            in_hand.asks_server(false);
            in_hand.timer.set(Wait::from(queue.timeout.duration()));
        }
        let fleet = in_hand.client.worker.fleet();
        let waited = poll_fn(|cx| {
            stand.watch(cx);
            if !Rc::ptr_eq(&in_hand.client.worker.fleet(), &fleet) {
                return Poll::Ready(Waited::Anew);
            }
            if !stand.is_first() {
                return Poll::Pending;
            }
            match self.enter(Turn::First) {
                Err(NoEntry::Full(still)) if still == at => Poll::Pending,
                ended => Poll::Ready(Waited::Ended(ended)),
            }
        });
        let waited = in_hand.timer.limit(waited).await;
        if waited.is_none() {
            stand.time_out();
        }
        waited
    }

    /// Where it goes after it has waited in vain, or could not.
    fn overflow(&self, at: At) -> Result<(ServerIndex, InFlight), NoServer> {
        let then = self.fleet.rules().config.queue.then;
        if matches!(at, At::Server(_)) && then == AfterQueue::Refuse {
            return Err(NoServer::AllFull);
        }
        match self.enter(Turn::Over) {
            Ok(entered) => Ok(entered),
            Err(NoEntry::NoServer(why)) => Err(why),
            Err(NoEntry::Full(_)) => Err(NoServer::AllFull),
        }
    }

    fn enter(&self, turn: Turn) -> Result<(ServerIndex, InFlight), NoEntry> {
        let (key, spread) = (self.sent.key, self.sent.spread);
        let worker = &*self.in_hand.client.worker;
        self.fleet
            .enter_in_turn(key, spread, &self.tried, worker, turn)
    }

    /// Goes over to the fleet of this moment, if its key stands there where it does.
    fn follow(&mut self) {
        let fleet = self.in_hand.client.worker.fleet();
        if let Some(tried) = fleet.places(&self.fleet, &self.tried) {
            (self.fleet, self.tried) = (fleet, tried);
        }
    }
}
