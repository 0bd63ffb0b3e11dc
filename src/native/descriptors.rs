//! Descriptors of this process: how many it may have, and how it shows that they
//! have run out, which says nothing of whoever was to be connected to.

use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{debug, warn};

use crate::config::Config;

/// Descriptors beside those of connections: listeners, logs, probes, the API.
const OTHERS: u64 = 256;

/// Whether this process, or this machine, is at fault: it has no descriptor or no
/// memory left for a connection.
pub fn are_used_up(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    errno.is_some_and(|errno| {
        [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM].contains(&errno)
    })
}

/// Raises the limit on descriptors as far as the process may, and warns when the
/// connections of `config` do not fit.
pub fn raise_limit(config: &Config) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: maximum,
        maximum,
    };
    let is_raised = current != maximum && setrlimit(Resource::Nofile, wanted).is_ok();
    let limit = if is_raised { maximum } else { current };
    let connections = config.limits.connections.number();
    // A client's connection, and one to its server.
    let needed = connections.saturating_mul(2).saturating_add(OTHERS);
    match limit {
        Some(limit) if limit < needed => warn!(
            limit,
            needed,
            connections,
            "descriptors may run out before limits.connections is reached: raise the limit on \
             open files (ulimit -n, LimitNOFILE=), or lower limits.connections"
        ),
        limit => debug!(limit, "descriptors suffice"),
    }
}
