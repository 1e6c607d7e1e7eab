//! Undo and redo over everything that a person sets.

use super::edit::drawn_bytes;
use super::{LibraryEntry, Revision, State};

/// States kept; older ones are forgotten.
const KEPT: usize = 200;
/// Memory of drawn pictures that they keep, in bytes; beyond it the oldest are forgotten.
const KEPT_BYTES: usize = 256 << 20;

/// Seconds that a state must last to be one to come back to: what changes faster is one change, a
/// slider on its way.
const SETTLED: f64 = 0.4;

/// The states before and after the present one.
#[derive(Debug)]
pub struct UndoHistory {
    past: Vec<Revision>,
    future: Vec<Revision>,
    /// The last state that was settled.
    settled: Revision,
    /// The state as last seen, and since when.
    seen: Revision,
    since: f64,
}

impl UndoHistory {
    /// Begins with `state`.
    pub fn new(state: &State) -> Self {
        Self {
            past: Vec::new(),
            future: Vec::new(),
            settled: state.revision(),
            seen: state.revision(),
            since: 0.0,
        }
    }

    /// Looks at the state of a frame at `now`, in seconds; while a person is `busy` with a change, or
    /// something runs by itself, it is not yet one to come back to.
    pub fn observe(&mut self, state: &State, now: f64, busy: bool) {
        if !state.is_at(&self.seen) {
            // What lasted until now was settled, though no frame may have come by to notice.
            if now - self.since >= SETTLED {
                self.settle();
            }
            self.seen = state.revision();
            self.since = now;
        } else if !busy && now - self.since >= SETTLED {
            self.settle();
        }
        if busy {
            self.since = now;
        }
    }

    fn settle(&mut self) {
        if self.seen == self.settled {
            return;
        }
        let before = std::mem::replace(&mut self.settled, self.seen.clone());
        self.past.push(before);
        self.future.clear();
        while self.past.len() > KEPT || (self.past.len() > 1 && self.drawn_bytes() > KEPT_BYTES) {
            self.past.remove(0);
        }
    }

    /// Memory of the pictures in the past that have no file.
    fn drawn_bytes(&self) -> usize {
        let past = self.past.iter();
        let past = past.flat_map(|revision| revision.document.library.iter());
        let present = self.settled.document.library.iter();
        drawn_bytes(
            past.flat_map(LibraryEntry::pictures),
            present.flat_map(LibraryEntry::pictures),
        )
    }

    /// Whether there is something to undo.
    pub fn can_undo(&self) -> bool {
        !self.past.is_empty() || self.seen != self.settled
    }

    /// Whether there is something to redo.
    pub fn can_redo(&self) -> bool {
        !self.future.is_empty() && self.seen == self.settled
    }

    /// Goes back to the state before the present one.
    pub fn undo(&mut self, state: &mut State) {
        self.settle();
        if let Some(before) = self.past.pop() {
            self.future.push(self.settled.clone());
            self.adopt(state, before);
        }
    }

    /// Takes the last undoing back.
    pub fn redo(&mut self, state: &mut State) {
        if let Some(after) = self.future.pop_if(|_| self.seen == self.settled) {
            self.past.push(self.settled.clone());
            self.adopt(state, after);
        }
    }

    fn adopt(&mut self, state: &mut State, revision: Revision) {
        state.adopt(revision);
        self.settled = state.revision();
        self.seen = state.revision();
    }
}
