//! The proxy: clients' requests go in, servers' answers come out.
//!
//! Thread per core: each worker is a thread with a runtime, a listener, kept
//! connections and counters of its own, and on a request's way none of them
//! takes a lock or waits for another. The rooms, in the order a request walks
//! through them:
//!
//! - `listen`, `places`: bound sockets, the accept loop, the limit on connections;
//! - `worker`: what a thread has; its view of the fleet; start and stop;
//! - `timer`: the thread's deadlines;
//! - `tls`: how the proxy proves to clients who it is, and whom it lets in;
//! - `conn`: one client's connection, from its acceptance to its end: over what
//!   it goes, and what is spoken on it;
//! - `client`, `in_hand`: what all its requests have in common; what each of those
//!   that may come side by side has, such as how long it may do nothing;
//! - `rate_limit`: whether it comes in at all;
//! - `handler`: one request, from its key to its answer;
//! - `line`: who waits for a place at a full server;
//! - `attempts`: where it is sent, and sent again;
//! - `hash_key`, `headers`, `retry`, `backoff`, `error`, `request_id`: the
//!   rules of that, pure;
//! - `explanation`: what the debug header says;
//! - `trace`: what a request is told of its trace, and what is told of it;
//! - `head_bytes`: a request's head as it came, for the rare cases that need it;
//! - `upload`, `hold`, `body`: bodies on their way there and back, what of them
//!   is kept or awaited, and what ends with them;
//! - `grpc`: how a call went, by its trailers;
//! - `silence`: whether a server answers anybody;
//! - `upstream`: the leg to the servers, behind one type;
//! - `upgrade`: connections that change over to another protocol.
//!
//! HTTP/2 is another way into `handler` and another implementation of the trait
//! in `upstream`.

mod asker;
mod attempts;
mod backoff;
mod body;
mod client;
mod conn;
mod cookie;
mod error;
mod explanation;
mod forwarded;
mod grpc;
mod handler;
pub(crate) mod hash_key;
mod head_bytes;
mod headers;
mod hold;
mod in_hand;
mod line;
pub mod listen;
mod places;
mod rate_limit;
mod request_id;
mod retry;
mod silence;
mod timer;
pub mod tls;
mod trace;
mod trailers;
mod trust;
mod upgrade;
mod upload;
mod upstream;
mod worker;

pub use worker::{Workers, start};
