//! The keyboard.

use egui::{Context, Key, Modifiers};

use super::panels::Action;
use super::panels::export::ExportKind;
use crate::session::{Column, Display, Page, State};

/// Every key and what it does, as the help lists it.
pub const LIST: [(&str, &str); 27] = [
    ("← →, ↑ ↓", "previous or next picture"),
    ("[ ]", "smaller or larger ε"),
    ("Space", "let ε run, or stop it"),
    ("1 … 9", "show or hide a column"),
    ("P, N, R", "make pictures or pause, one step, begin anew"),
    ("F", "fill the window with the attacked picture, or go back"),
    ("D", "before/after divider on the attacked picture"),
    ("Alt+← →", "move the divider"),
    ("+ −, 0", "zoom into all pictures or out, fit them"),
    ("Shift+arrows", "move the visible part of all pictures"),
    ("S", "save the attacked picture of the first row"),
    (
        "F5",
        "present the views: arrows or a clicker step, B black, L spotlight, T timeline, Esc ends",
    ),
    ("V", "the list of views"),
    ("F6", "from the explorer to the triage page, or back"),
    (
        ", .",
        "previous or next picture of the triage page's selection",
    ),
    ("Ctrl+Z, Ctrl+Shift+Z", "undo, redo"),
    (
        "Ctrl+S, Ctrl+Shift+S",
        "save the session, or under a new name",
    ),
    ("Ctrl+Shift+O", "open a session"),
    ("Ctrl+E, Ctrl+Shift+E", "export a figure, a film"),
    ("C", "copy a figure of what is on the screen"),
    ("Ctrl+O", "open pictures"),
    ("Ctrl+V", "paste a picture"),
    ("Del", "remove the picture from the library"),
    ("Tab, Esc", "to the next control, away from it"),
    ("? or F1", "this list"),
    ("Ctrl+Q", "quit"),
    ("wheel, drag, double click", "zoom, pan, fit"),
];

/// What goes with the longer shortcuts.
const BOTH: Modifiers = Modifiers::COMMAND.plus(Modifiers::SHIFT);
/// Share of the timeline that one press of [ or ] moves, or of a picture that the divider moves.
const NUDGE: f32 = 1.0 / 64.0;
/// What one press of + zooms.
const ZOOM: f32 = 1.25;
/// Share of the visible part that one press moves it.
const PAN: f32 = 0.1;

/// Reads the keys pressed in this frame. While a control has the focus, most are its own; while a text is
/// being edited, all are.
pub fn read(ctx: &Context, state: &mut State, actions: &mut Vec<Action>) {
    if consumed(ctx, Modifiers::COMMAND, Key::Q) {
        actions.push(Action::Quit);
    }
    if state.transient.presenting.is_none() {
        files(ctx, actions);
        if !ctx.text_edit_focused() {
            undo(ctx, actions);
        }
    }
    if ctx.egui_wants_keyboard_input() {
        return;
    }
    let pressed = |key: Key| ctx.input(|input| input.key_pressed(key) && input.modifiers.is_none());
    if state.transient.presenting.is_some() {
        super::panels::stage::keys(ctx, state, actions);
        return explore(ctx, pressed, state);
    }
    if pressed(Key::F6) {
        state.navigation.page = match state.navigation.page {
            Page::Explorer => Page::Triage,
            Page::Triage => Page::Explorer,
        };
    }
    if ctx.input(|input| input.key_pressed(Key::Questionmark) || input.key_pressed(Key::F1)) {
        actions.push(Action::Help);
    }
    if state.navigation.page == Page::Triage {
        // The other keys are the page's.
        return;
    }
    for (key, action) in [
        (Key::Comma, Action::Walk(-1)),
        (Key::Period, Action::Walk(1)),
        (Key::F5, Action::Present),
        (Key::C, Action::CopyFigure),
        (Key::V, Action::Views),
        (Key::S, Action::Save(0)),
        (Key::Delete, Action::Remove),
    ] {
        if pressed(key) {
            actions.push(action);
        }
    }
    for (key, step) in [
        (Key::ArrowLeft, -1),
        (Key::ArrowUp, -1),
        (Key::ArrowRight, 1),
        (Key::ArrowDown, 1),
    ] {
        if pressed(key) {
            state.select_by(step);
        }
    }
    explore(ctx, pressed, state);
}

fn consumed(ctx: &Context, modifiers: Modifiers, key: Key) -> bool {
    ctx.input_mut(|input| input.consume_key(modifiers, key))
}

/// Asks for what the pressed ones of some shortcuts mean.
fn take<const N: usize>(
    ctx: &Context,
    shortcuts: [(Modifiers, Key, Action); N],
    actions: &mut Vec<Action>,
) {
    let pressed = shortcuts
        .into_iter()
        .filter(|&(modifiers, key, _)| consumed(ctx, modifiers, key));
    actions.extend(pressed.map(|(.., action)| action));
}

/// Sessions, pictures and exports. The longer ones first: the shorter ones would take their keys.
fn files(ctx: &Context, actions: &mut Vec<Action>) {
    let shortcuts = [
        (BOTH, Key::O, Action::OpenSession),
        (BOTH, Key::S, Action::SaveSession { elsewhere: true }),
        (
            Modifiers::COMMAND,
            Key::S,
            Action::SaveSession { elsewhere: false },
        ),
        (BOTH, Key::E, Action::OpenExport(ExportKind::Film)),
        (
            Modifiers::COMMAND,
            Key::E,
            Action::OpenExport(ExportKind::Figure),
        ),
        (Modifiers::COMMAND, Key::O, Action::OpenFiles),
    ];
    take(ctx, shortcuts, actions);
}

fn undo(ctx: &Context, actions: &mut Vec<Action>) {
    let shortcuts = [
        (BOTH, Key::Z, Action::Redo),
        (Modifiers::COMMAND, Key::Y, Action::Redo),
        (Modifiers::COMMAND, Key::Z, Action::Undo),
    ];
    take(ctx, shortcuts, actions);
}

/// What is done with the open picture, by one person or before a room.
fn explore(ctx: &Context, pressed: impl Fn(Key) -> bool, state: &mut State) {
    let range = state.range();
    let mut nudge = |by: f32| {
        let epsilon = state.settings.attack.epsilon + by * range;
        state.set_epsilon(epsilon);
    };
    if pressed(Key::OpenBracket) {
        nudge(-NUDGE);
    }
    if pressed(Key::CloseBracket) {
        nudge(NUDGE);
    }
    let columns = [
        Key::Num1,
        Key::Num2,
        Key::Num3,
        Key::Num4,
        Key::Num5,
        Key::Num6,
        Key::Num7,
        Key::Num8,
        Key::Num9,
    ];
    for (index, key) in columns.into_iter().enumerate() {
        if pressed(key) {
            state.settings.display.shown[index] = !state.settings.display.shown[index];
        }
    }
    if pressed(Key::F) {
        let filled = &mut state.settings.display.filled;
        *filled = if filled.is_some() {
            None
        } else {
            Some(Column::Attacked)
        };
    }
    if pressed(Key::D) {
        let divider = &mut state.settings.display.divider;
        *divider = if divider.is_some() { None } else { Some(0.5) };
    }
    look_closer(ctx, &mut state.settings.display);
    if pressed(Key::Space) {
        state.transient.playing = !state.transient.playing;
    }
    if pressed(Key::P) {
        state.toggle_synthesis();
    }
    if pressed(Key::N) {
        state.step_synthesis();
    }
    if pressed(Key::R) {
        state.restart_synthesis();
    }
}

/// Zoom, the visible part, and the divider.
fn look_closer(ctx: &Context, display: &mut Display) {
    let way = |modifiers: Modifiers, back: Key, forth: Key| {
        f32::from(consumed(ctx, modifiers, forth)) - f32::from(consumed(ctx, modifiers, back))
    };
    let middle = display.centre;
    for (keys, factor) in [
        ([Key::Plus, Key::Equals], ZOOM),
        ([Key::Minus; 2], 1.0 / ZOOM),
    ] {
        if ctx.input(|input| {
            !input.modifiers.command && keys.iter().any(|&key| input.key_pressed(key))
        }) {
            display.zoom_at(middle, factor);
        }
    }
    if consumed(ctx, Modifiers::NONE, Key::Num0) {
        display.fit();
    }
    let across = way(Modifiers::SHIFT, Key::ArrowLeft, Key::ArrowRight);
    let down = way(Modifiers::SHIFT, Key::ArrowUp, Key::ArrowDown);
    if [across, down] != [0.0; 2] {
        display.pan([across * PAN, down * PAN]);
    }
    let moved = way(Modifiers::ALT, Key::ArrowLeft, Key::ArrowRight);
    if let Some(divider) = &mut display.divider {
        *divider = (*divider + moved * NUDGE).clamp(0.0, 1.0);
    }
}
