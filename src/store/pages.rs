//! The pages of `log.redb`: redb trusts what stands on them while it reads, and panics where that
//! makes no sense. Here such a panic becomes an error that names the file, and every page is held
//! against the checksum that redb wrote with it.
//!
//! Bytes that belong to no page in use carry nothing and have no checksum.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::{Store, StoreError};

impl Store {
    /// Holds every page in use against its checksum. Reads the whole file once.
    ///
    /// # Errors
    /// [`StoreError::Pages`] where one differs; [`StoreError::Busy`], [`StoreError::Io`].
    pub fn check_pages(&self) -> Result<(), StoreError> {
        let damaged = |what: String| StoreError::Pages { path: self.path(), what };
        let _held = self.lock_for_reading()?;
        let checked =
            catch_unwind(AssertUnwindSafe(|| Ok(self.open_overlay()?.check_integrity()?)));
        match checked {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(damaged("a page does not match its checksum".into())),
            Ok(Err(StoreError::Corrupt { what })) => Err(damaged(what)),
            Ok(Err(error)) => Err(error),
            Err(panic) => Err(damaged(said(&*panic))),
        }
    }

    /// Runs `f`, in which redb may meet damaged pages. What panics while the pages are whole is a
    /// mistake in annals and goes on as it came.
    ///
    /// # Errors
    /// What `f` returns; [`StoreError::Pages`].
    pub(super) fn on_pages<T, E: From<StoreError>>(
        &self,
        f: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        // Nothing is used afterwards that `f` could have left half done: it opens what it reads.
        catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| match self.check_pages() {
            Err(error) => Err(error.into()),
            Ok(()) => resume_unwind(panic),
        })
    }
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let said = panic.downcast_ref::<String>().map(String::as_str);
    said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
}
