//! How far a long file has been read, for who waits at a terminal.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

/// A bar on standard error: of bytes where it is known how many there are, else
/// a count of lines. Nothing at all when standard error is no terminal. It is
/// wiped away when dropped.
#[derive(Debug)]
pub(super) struct Progress(ProgressBar);

/// Bars are drawn this wide, so that a line fits 80 columns.
const BAR: &str = "{bar:30} {percent:>3}%  {bytes} of {total_bytes}, {eta} left";

const COUNT: &str = "{spinner} {human_pos} lines read";

impl Progress {
    /// Nothing read yet, of so many bytes.
    pub(super) fn new(bytes: Option<u64>) -> Self {
        if !io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let (bar, template) = match bytes {
            Some(bytes) => (ProgressBar::new(bytes), BAR),
            None => (ProgressBar::no_length(), COUNT),
        };
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.tick();
        Self(bar.with_finish(ProgressFinish::AndClear))
    }

    /// So many more bytes, in so many lines, were read.
    pub(super) fn advance(&self, bytes: u64, lines: u64) {
        let is_sized = self.0.length().is_some();
        self.0.inc(if is_sized { bytes } else { lines });
    }
}
