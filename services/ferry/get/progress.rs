//! What people see while a file comes: a bar on a terminal, and a line at the end.

use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output;

/// How far a download is. Standard output is left alone: it may be the download.
pub(super) struct Progress {
    bar: ProgressBar,
    quiet: bool,
    began: Instant,
    /// What was there when it began.
    before: u64,
}

impl Progress {
    /// Nothing is drawn where nobody looks: to a file or a pipe.
    pub(super) fn new(quiet: bool) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(8) };
        let bar = ProgressBar::with_draw_target(None, target);
        Self { bar, quiet, began: Instant::now(), before: 0 }
    }

    /// So many bytes are there, of so many if that is known.
    pub(super) fn set(&mut self, have: u64, length: Option<u64>, name: &str) {
        let template = match length {
            Some(_) => "{msg} {bar:30} {percent:>3} % {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
            None => "{msg} {spinner} {bytes}, {bytes_per_sec}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
        }
        match length {
            Some(length) => self.bar.set_length(length),
            None => self.bar.unset_length(),
        }
        self.bar.set_message(name.to_owned());
        self.bar.set_position(have);
        // What was there before says nothing about the rate.
        self.bar.reset_eta();
        self.before = have;
    }

    pub(super) fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// Something went wrong, and it goes on.
    pub(super) fn note(&self, text: &str) {
        if !self.quiet {
            self.bar.suspend(|| output::complain(text));
        }
    }

    /// The file is there.
    pub(super) fn done(&self, name: &str, length: u64, verified: bool) {
        self.bar.finish_and_clear();
        if self.quiet {
            return;
        }
        let took = self.began.elapsed().max(Duration::from_millis(1));
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "for people"
        )]
        let rate = (length.saturating_sub(self.before) as f64 / took.as_secs_f64()) as u64;
        let digest = if verified { ", digest verified" } else { "" };
        output::complain(&format!(
            "{name}: {} in {:.1} s ({}/s{digest})",
            HumanBytes(length),
            took.as_secs_f64(),
            HumanBytes(rate)
        ));
    }
}
