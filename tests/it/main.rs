//! All native integration tests, in one binary: each further one would link
//! everything again.

/// Shared by the modules below: a seeded generator, and short ways to say
/// «a server», «a ring».
mod support;

/// What must hold for all rings: statements checked on generated fleets.
mod properties;
/// A fleet in random trouble beside a shadow model; one seed, one history.
mod simulation;
