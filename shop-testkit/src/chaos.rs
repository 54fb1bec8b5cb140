//! What goes wrong, and when: a schedule of faults that is the same for the same seed.
//!
//! Only the schedule is: what a running process does meanwhile is up to the machine, so a seed brings back the faults and
//! not the bytes.

use std::{fmt, ops::Range, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use crate::proxy::{Commit, Fault, Way};

/// Pause between the beginnings of two steps, in milliseconds.
const PAUSE: Range<u64> = 100..900;
/// How long a step lasts, in milliseconds.
const LASTS: Range<u64> = 50..2500;
/// Which COMMIT is spoiled, counted from the beginning of its step.
const COMMITS: Range<usize> = 1..6;

/// What can go wrong.
#[derive(Clone, Debug, Default)]
pub struct Menu {
    /// Processes that can be killed, and that can be made to stand still.
    pub processes: Vec<&'static str>,
    /// Proxies between processes, by name.
    pub doors: Vec<String>,
    /// Proxies before databases of MySQL, by name.
    pub databases: Vec<String>,
}

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// `kill -9`; in the end the process starts again.
    Kill(&'static str),
    /// SIGSTOP; in the end SIGCONT.
    Freeze(&'static str),
    /// A proxy spoils what goes through it; in the end it is healed.
    Spoil(String, Fault),
    /// A proxy spoils one COMMIT; in the end it is healed.
    SpoilCommit(String, usize, Commit),
}

/// One thing that goes wrong for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// From when to when, since the beginning.
    pub time: Range<Duration>,
    /// What.
    pub act: Act,
}

/// What goes wrong within `length`. No two steps about one subject overlap.
pub fn schedule(seed: u64, menu: &Menu, length: Duration) -> Vec<Step> {
    let mut random = StdRng::seed_from_u64(seed);
    let (mut steps, mut begin) = (Vec::<Step>::new(), Duration::ZERO);
    loop {
        begin += Duration::from_millis(random.random_range(PAUSE));
        let end = begin + Duration::from_millis(random.random_range(LASTS));
        if end > length {
            return steps;
        }
        let Some(act) = act(&mut random, menu) else { return steps };
        let is_free = steps.iter().all(|step| step.time.end < begin || step.act.subject() != act.subject());
        if is_free {
            steps.push(Step { time: begin..end, act });
        }
    }
}

fn act(random: &mut StdRng, menu: &Menu) -> Option<Act> {
    let kind = random.random_range(0..10);
    if !menu.databases.is_empty() && kind < 3 {
        let database = menu.databases.choose(random)?.clone();
        let commits = [Commit::Before, Commit::After, Commit::HoldBefore, Commit::HoldAfter];
        return match random.random_range(0..3) {
            0 => Some(Act::Spoil(database, fault(random))),
            _ => Some(Act::SpoilCommit(database, random.random_range(COMMITS), *commits.choose(random)?)),
        };
    }
    match kind {
        0..5 => Some(Act::Spoil(menu.doors.choose(random)?.clone(), fault(random))),
        5..9 => Some(Act::Kill(menu.processes.choose(random)?)),
        _ => Some(Act::Freeze(menu.processes.choose(random)?)),
    }
}

fn fault(random: &mut StdRng) -> Fault {
    match random.random_range(0..5) {
        0 => Fault::Delay(Duration::from_millis(random.random_range(1..200))),
        1 => Fault::Cut,
        2 => Fault::BlackHole(Way::Requests),
        3 => Fault::BlackHole(Way::Answers),
        _ => Fault::DropAnswers,
    }
}

impl Act {
    /// What it is about.
    pub fn subject(&self) -> &str {
        match self {
            Self::Kill(process) | Self::Freeze(process) => process,
            Self::Spoil(proxy, _) | Self::SpoilCommit(proxy, ..) => proxy,
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(process) => write!(f, "{process}: killed"),
            Self::Freeze(process) => write!(f, "{process}: stands still"),
            Self::Spoil(proxy, fault) => write!(f, "{proxy}: {fault:?}"),
            Self::SpoilCommit(proxy, nth, commit) => write!(f, "{proxy}: COMMIT {nth}: {commit:?}"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Range { start, end } = &self.time;
        write!(f, "{:>6} ms to {:>6} ms  {}", start.as_millis(), end.as_millis(), self.act)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn menu() -> Menu {
        Menu {
            processes: vec!["order", "pay"],
            doors: vec!["order internal".to_owned(), "web".to_owned()],
            databases: vec!["order database".to_owned()],
        }
    }

    #[test]
    fn the_same_seed_is_the_same_schedule_and_another_is_another() {
        let length = Duration::from_mins(1);
        assert_eq!(schedule(1, &menu(), length), schedule(1, &menu(), length));
        assert_ne!(schedule(1, &menu(), length), schedule(2, &menu(), length));
        assert!(schedule(1, &Menu::default(), length).is_empty());
    }

    #[test]
    fn everything_on_the_menu_is_served_and_no_subject_twice_at_once() {
        let length = Duration::from_mins(10);
        let steps = schedule(3, &menu(), length);
        for what in ["killed", "stands still", "Delay", "Cut", "(Requests)", "(Answers)", "DropAnswers", "HoldAfter"] {
            assert!(steps.iter().any(|step| step.to_string().contains(what)), "{what}");
        }
        for (index, step) in steps.iter().enumerate() {
            assert!(step.time.start < step.time.end && step.time.end <= length, "{step}");
            let mut before = steps[..index].iter().filter(|other| other.act.subject() == step.act.subject());
            assert!(before.all(|other| other.time.end < step.time.start), "{step}");
        }
    }
}
