//! Where a test may end or fail what a service does with its database: before a transaction begins, before COMMIT, between
//! COMMIT and its answer, and before a read. A release build has nothing of it: there [`Points`] has no size and its
//! functions are empty.

#[cfg(debug_assertions)]
pub(super) use armed::{Points, Step as At};
#[cfg(debug_assertions)]
pub use armed::{Step, Watch};
#[cfg(not(debug_assertions))]
pub(super) use unarmed::{Points, Step as At};

#[cfg(debug_assertions)]
mod armed {
    use std::{fmt::Debug, sync::Arc};

    use crate::db::{Failure, Reader, Result};
    use async_trait::async_trait;

    /// What a service is about to do with its database.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Step {
        /// Begin a transaction that writes.
        Begin,
        /// Send COMMIT; where this fails, nothing is committed, and nobody knows.
        Commit,
        /// Hear that it is committed; where this fails, it is, and nobody knows.
        Committed,
    }

    /// Told of every step of one database of one process.
    #[async_trait]
    pub trait Watch: Debug + Send + Sync {
        /// Whether this step succeeds; never answers in a process that has ended.
        async fn passes(&self, step: Step) -> bool;

        /// Whether the next read succeeds.
        fn reads(&self) -> bool;
    }

    /// The watch, and a connection on which every read fails.
    #[derive(Clone, Debug, Default)]
    pub(in crate::db) struct Points(Option<(Arc<dyn Watch>, Reader)>);

    impl Points {
        pub(in crate::db) const NONE: Self = Self(None);

        pub(in crate::db) fn new(watch: Arc<dyn Watch>, gone: Reader) -> Self {
            Self(Some((watch, gone)))
        }

        pub(in crate::db) async fn pass(&self, step: Step) -> Result<()> {
            match &self.0 {
                Some((watch, _)) if !watch.passes(step).await => {
                    Err(Failure::Down(format!("{step:?} failed by a test").into()))
                }
                _ => Ok(()),
            }
        }

        pub(in crate::db) fn reader<'a>(&'a self, connection: &'a Reader) -> &'a Reader {
            match &self.0 {
                Some((watch, gone)) if !watch.reads() => gone,
                _ => connection,
            }
        }
    }
}

#[cfg(not(debug_assertions))]
mod unarmed {
    use crate::db::{Reader, Result};

    pub(in crate::db) enum Step {
        Begin,
        Commit,
        Committed,
    }

    #[derive(Clone, Debug, Default)]
    pub(in crate::db) struct Points;

    impl Points {
        pub(in crate::db) const NONE: Self = Self;

        #[expect(clippy::unused_async, reason = "as the armed one is called")]
        pub(in crate::db) async fn pass(&self, _: Step) -> Result<()> {
            Ok(())
        }

        pub(in crate::db) const fn reader<'a>(&'a self, connection: &'a Reader) -> &'a Reader {
            connection
        }
    }
}
