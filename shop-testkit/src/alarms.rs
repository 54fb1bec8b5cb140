//! What a piece of work logs at ERROR: an alarm is a promise to an operator, so tests read it.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tracing::{Dispatch, Level};

/// What was logged at ERROR.
#[derive(Clone, Debug, Default)]
pub struct Alarms(Arc<Mutex<Vec<u8>>>);

impl Alarms {
    /// Where work has to log to be heard: by `set_default` of the thread or `with_subscriber` of the future.
    pub fn dispatch(&self) -> Dispatch {
        let alarms = self.clone();
        let written = tracing_subscriber::fmt().json().flatten_event(true).with_max_level(Level::ERROR);
        Dispatch::new(written.with_writer(move || alarms.clone()).finish())
    }

    /// The messages since the last look, oldest first.
    pub fn take(&self) -> Vec<String> {
        let written = std::mem::take(&mut *self.0.lock().expect("nothing panics here"));
        let lines = String::from_utf8(written).expect("JSON is UTF-8");
        let message = |line: &str| {
            let event: Value = serde_json::from_str(line).expect("one JSON object a line");
            event.get("message").and_then(Value::as_str).expect("an event has a message").to_owned()
        };
        lines.lines().map(message).collect()
    }
}

impl Write for Alarms {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nothing panics here").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
