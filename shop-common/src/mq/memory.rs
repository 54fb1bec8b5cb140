//! The memory bus.
