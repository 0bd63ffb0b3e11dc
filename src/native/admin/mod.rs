//! What operators see of the proxy: the REST API, the metrics and the page,
//! behind one listener.
//!
//! The only part that knows paths. One way leads through it: [`serve`] takes a
//! connection, `guard` and `auth` decide whether to listen to a request at
//! all, `router` finds its entry in `routes`, reads what the entry allows and
//! calls the room that does the work. JSON shapes are in [`crate::wire`];
//! state is in [`super::shared`].

mod assets;

mod auth;
pub use auth::TokenError;

mod call;

mod events;

mod fleet;

mod forward;

mod guard;
mod hot_keys;

mod listen;
pub use listen::serve;

mod openapi;

mod plan;

mod problem;

mod reload;

mod route;

mod router;

mod routes;

mod servers;
mod snapshot;

mod targets;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::reload::Reloader;
use super::shared::Shared;
use events::Streams;
use guard::Hosts;
use targets::Targets;

/// What answers operators' requests.
#[derive(Debug)]
pub struct Admin {
    shared: Arc<Shared>,
    /// How to read the configuration anew, if it was read from a file.
    reloader: Option<Arc<Reloader>>,
    token: Option<crate::config::Secret>,
    hosts: Hosts,
    targets: Targets,
    is_stopping: AtomicBool,
    streams: Streams,
}

impl Admin {
    /// The API over `shared`, as its configuration has it. Reads the token
    /// file. Without a `reloader` it refuses to reload.
    ///
    /// # Errors
    /// When there is no good token in the token file.
    pub fn new(
        shared: Arc<Shared>,
        reloader: Option<Arc<Reloader>>,
    ) -> Result<Arc<Self>, TokenError> {
        let config = shared.config();
        Ok(Arc::new(Self {
            token: auth::token(&config.api)?,
            hosts: Hosts::new(&config.api),
            targets: Targets::new(&config),
            shared,
            reloader,
            is_stopping: AtomicBool::new(false),
            streams: Streams::new(),
        }))
    }

    /// From now on `/readyz` says that no further requests should be sent here.
    pub fn stopping(&self) {
        self.is_stopping.store(true, Relaxed);
    }
}
