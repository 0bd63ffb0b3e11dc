//! All native integration tests, in one binary: each further one would link
//! everything again.

/// Shared by the modules below: a seeded generator, and short ways to say
/// «a server», «a ring».
mod support;

/// The lines of requests: formats, rotation, exchange by a reload.
mod access_log;
/// What holds for every algorithm, and what each promises.
mod algorithms;
/// What servers send for an answer, and what becomes of it.
mod answers;
/// The REST API over real sockets: every call, every refusal, every example.
mod api;
/// Bounded loads: the engine's answers, the counts that workers share, a proxy.
mod bounds;
/// Load held while servers break, come back and change.
mod chaos;
/// Cookies that clients are given as their keys.
mod cookies;
/// Raw requests, and what becomes of each.
mod corpus;
/// What happens to the fleet, streamed and recorded.
mod events;
/// The fault matrix: servers that go wrong in every way, behind the proxy.
mod faults;
/// Servers with as many requests as they may have: who waits, goes on, is refused.
mod full;
/// The golden vectors, which other languages replay too.
mod golden;
/// Hot keys through a running proxy.
mod hot_keys;
/// HTTP/2 with clients: real ones, every request by itself, floods.
mod http2;
/// Rules without keys: who is picked, and how a proxy and an API go by them.
mod keyless;
/// What a plan says, beside what then happens.
mod plan;
/// Probes of scripted servers: which answers are good, what is said of others.
mod probes;
/// What must hold for all rings: statements checked on generated fleets.
mod properties;
/// The proxy between a scripted client and scripted servers, on real sockets.
mod proxy;
/// What one proxy says to the next of a connection.
mod proxy_protocol;
/// Limits on rates, seen by clients.
mod rate_limit;
/// The configuration file read anew while the proxy runs.
mod reload;
/// What is tried again and what is not, case by case.
mod retries;
/// A fleet in random trouble beside a shadow model; one seed, one history.
mod server_http2;

mod server_tls;

mod simulation;
/// Keys that come back and leave bit by bit.
mod slow_start;
/// Snapshots: engines that route as another does.
mod snapshot;
/// What the API changed, after the process was ended in any way.
mod state_file;
/// What survives whatever is done to a running proxy.
mod survive;
/// The program under systemd: sockets passed, word sent; and how it ends.
mod systemd;
/// TLS towards clients: names, proofs, reloads, with real clients.
mod tls;
/// What a server gets when its ejection is over.
mod trials;
/// Who is believed about clients, and what servers are told of them.
mod trust;
/// Connections that change over to another protocol: WebSocket and raw bytes.
mod tunnels;
/// Another process takes over from a running one.
mod upgrade;

/// The program as a user starts it.
mod cli;
/// The rules of other products, beside what the products answered.
mod compat;
/// Whole configurations, good and bad.
mod config;
/// What the documentation must not forget.
mod docs;
/// Configurations and requests that nobody should send.
mod fuzz;
/// `ringway plan` over keys and access logs.
mod plan_log;
/// The arrows between modules, the bans on what differs between targets, the
/// files that documents name.
mod tidy;
/// What servers and a collector are told of traces.
mod tracing;
