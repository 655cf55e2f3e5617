//! How far reading stored files is, on a terminal.

use indicatif::{ProgressBar, ProgressStyle};

use super::ui::Ui;
use crate::app::ReadProgress;

/// A bar of bytes; nothing where there is no terminal.
pub(super) struct ReadBar(Option<ProgressBar>);

impl ReadBar {
    pub(super) fn new(ui: &Ui) -> Self {
        let bar = ui.has_terminal().then(|| {
            let template = "{bar:24} {decimal_bytes}/{decimal_total_bytes} {msg}  {eta} left";
            let style = ProgressStyle::with_template(template);
            ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self(bar)
    }

    /// Takes the bar off the screen.
    pub(super) fn clear(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

impl Drop for ReadBar {
    fn drop(&mut self) {
        self.clear();
    }
}

impl ReadProgress for ReadBar {
    fn planned(&self, files: usize, bytes: u64) {
        if let Some(bar) = &self.0 {
            bar.set_length(bytes);
            bar.set_message(format!("of {}", crate::base::counted(files as u64, "file")));
        }
    }

    fn read(&self, bytes: u64) {
        if let Some(bar) = &self.0 {
            bar.inc(bytes);
        }
    }
}
