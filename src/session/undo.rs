//! Undo and redo over everything that a person sets.

use super::state::State;

/// States kept; older ones are forgotten.
const KEPT: usize = 200;

/// Seconds that a state must last to be one to come back to: what changes faster is one change, a
/// slider on its way.
const SETTLED: f64 = 0.4;

/// The states before and after the present one.
#[derive(Debug)]
pub struct UndoHistory {
    past: Vec<State>,
    future: Vec<State>,
    /// The last state that was settled.
    settled: State,
    /// The state as last seen, and since when.
    seen: State,
    since: f64,
}

impl UndoHistory {
    /// Begins with `state`.
    pub fn new(state: &State) -> Self {
        Self {
            past: Vec::new(),
            future: Vec::new(),
            settled: state.clone(),
            seen: state.clone(),
            since: 0.0,
        }
    }

    /// Looks at the state of a frame at `now`, in seconds; while a person is `busy` with a change, or
    /// something runs by itself, it is not yet one to come back to.
    pub fn observe(&mut self, state: &State, now: f64, busy: bool) {
        if !state.same_settings(&self.seen) {
            // What lasted until now was settled, though no frame may have come by to notice.
            if now - self.since >= SETTLED {
                self.settle();
            }
            self.seen = state.clone();
            self.since = now;
        } else if !busy && now - self.since >= SETTLED {
            self.settle();
        }
        if busy {
            self.since = now;
        }
    }

    fn settle(&mut self) {
        if self.seen.same_settings(&self.settled) {
            return;
        }
        let before = std::mem::replace(&mut self.settled, self.seen.clone());
        self.past.push(before);
        if self.past.len() > KEPT {
            self.past.remove(0);
        }
        self.future.clear();
    }

    /// Whether there is something to undo.
    pub fn can_undo(&self) -> bool {
        !self.past.is_empty() || !self.seen.same_settings(&self.settled)
    }

    /// Whether there is something to redo.
    pub fn can_redo(&self) -> bool {
        !self.future.is_empty() && self.seen.same_settings(&self.settled)
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
        if let Some(after) = self
            .future
            .pop_if(|_| self.seen.same_settings(&self.settled))
        {
            self.past.push(self.settled.clone());
            self.adopt(state, after);
        }
    }

    fn adopt(&mut self, state: &mut State, other: State) {
        state.take_settings(other);
        self.settled = state.clone();
        self.seen = state.clone();
    }
}

impl State {
    /// Whether nothing that a person sets differs: where an optimisation stands, which picture is
    /// selected and which window is open come and go by themselves.
    pub fn same_settings(&self, other: &Self) -> bool {
        self.library == other.library
            && self.models == other.models
            && self.attack == other.attack
            && self.explanation == other.explanation
            && self.reference == other.reference
            && self.checks == other.checks
            && self.counterfactual == other.counterfactual
            && self.range == other.range
            && self.display == other.display
            && self.exports == other.exports
            && self.synthesis.same_settings(&other.synthesis)
            && self.views.len() == other.views.len()
            && std::iter::zip(&self.views, &other.views).all(|(a, b)| a.is_same(b))
    }

    /// Whether the same is on the screen, so that one saved session is as good as the other.
    pub fn shows_same(&self, other: &Self) -> bool {
        self.same_settings(other)
            && self.selected == other.selected
            && self.synthesis.done == other.synthesis.done
            && self.synthesis.cursor == other.synthesis.cursor
            && self.page == other.page
            && self.triage == other.triage
    }
}
