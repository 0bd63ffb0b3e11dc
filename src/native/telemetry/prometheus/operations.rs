//! What was done to the process: reloads, upgrades, the state file.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::{Writer, yes};
use crate::engine::Timestamp;
use crate::native::operations::{DeedFigures, Operations};
use crate::native::state::FileFigures;

/// Figures of operation.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    reloads: DeedFigures,
    upgrades: DeedFigures,
    /// `None` without a state file.
    state_file: Option<FileFigures>,
    started: Timestamp,
}

impl Done {
    /// The figures of this moment; `state_file` when there is one.
    pub fn new(operations: &Operations, state_file: Option<FileFigures>) -> Self {
        Self {
            reloads: operations.reloads.figures(),
            upgrades: operations.upgrades.figures(),
            state_file,
            started: operations.started(),
        }
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>) -> fmt::Result {
        let Self {
            reloads, upgrades, ..
        } = self;
        out.counters(
            "reloads",
            "Times the configuration was read anew, by what came of it.",
            by_result(reloads.n_done, reloads.n_failed),
        )?;
        out.gauge(
            "config_last_reload_success",
            "0 when the last reload was refused, and an older configuration is in effect.",
            yes(reloads.is_good),
        )?;
        let last = reloads.last_done.unwrap_or(self.started);
        out.seconds(
            "config_last_reload_success_timestamp",
            "Since when the configuration is in effect, in seconds since the UNIX epoch.",
            seconds(last),
        )?;
        out.counters(
            "upgrades",
            "Times another process was to take over, by what came of it.",
            by_result(upgrades.n_done, upgrades.n_failed),
        )?;
        let Some(file) = self.state_file else {
            return Ok(());
        };
        out.counters(
            "state_file_writes",
            "Times the state file was written, by what came of it.",
            by_result(file.n_written, file.n_failed),
        )?;
        out.gauge(
            "state_file_stored",
            "0 when the state file could not be written the last time.",
            yes(file.is_good),
        )?;
        out.gauge(
            "state_file_set_aside",
            "1 when the state file found at start was of no use and was set aside.",
            yes(file.is_set_aside),
        )
    }
}

/// The one figure whose name all programs share.
#[derive(Debug)]
pub(super) struct Process(pub(super) Done);

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        Writer(encoder).seconds(
            "process_start_time",
            "When the process started, in seconds since the UNIX epoch.",
            seconds(self.0.started),
        )
    }
}

fn by_result(n_done: u64, n_failed: u64) -> [(Vec<(&'static str, &'static str)>, u64); 2] {
    [
        (vec![("result", "done")], n_done),
        (vec![("result", "failed")], n_failed),
    ]
}

fn seconds(at: Timestamp) -> f64 {
    at.as_millis() as f64 / 1e3
}
