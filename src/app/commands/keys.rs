//! The keyboard: which keys are whose, and when.

use egui::{Context, Key, KeyboardShortcut};

use super::{COLUMNS, Command, Scope, TABLE, key};
use crate::app::panels::Action;
use crate::session::{Page, State};

/// Runs the commands whose keys were pressed in this frame. While a control has the focus, most keys are
/// its own; while a text is being edited, all are.
pub fn read_keys(ctx: &Context, state: &mut State, actions: &mut Vec<Action>) {
    let presenting = state.transient.presenting.is_some();
    run_pressed(ctx, Scope::Always, state, actions);
    if !presenting {
        run_pressed(ctx, Scope::Window, state, actions);
        if !ctx.text_edit_focused() {
            run_pressed(ctx, Scope::Edit, state, actions);
        }
    }
    if ctx.egui_wants_keyboard_input() {
        return;
    }
    if presenting {
        run_pressed(ctx, Scope::Presentation, state, actions);
    } else {
        let page = state.navigation.page;
        run_pressed(ctx, Scope::Pages, state, actions);
        if page == Page::Triage {
            // The other keys are the page's.
            return;
        }
    }
    run_pressed(ctx, Scope::Picture, state, actions);
    for (index, &column) in COLUMNS.iter().enumerate() {
        if pressed(ctx, key(column)) {
            Command::Column(index).run(state, actions);
        }
    }
    if !presenting {
        run_pressed(ctx, Scope::Explorer, state, actions);
    }
}

fn run_pressed(ctx: &Context, scope: Scope, state: &mut State, actions: &mut Vec<Action>) {
    for entry in TABLE.iter().filter(|entry| entry.scope == scope) {
        if entry.keys.iter().any(|&key| pressed(ctx, key)) {
            entry.command.run(state, actions);
        }
    }
}

/// Whether a key was pressed with just these modifiers. Signs count however a keyboard writes them.
fn pressed(ctx: &Context, shortcut: KeyboardShortcut) -> bool {
    let KeyboardShortcut {
        modifiers,
        logical_key,
    } = shortcut;
    let is_sign = matches!(
        logical_key,
        Key::Plus | Key::Minus | Key::Equals | Key::Questionmark
    );
    ctx.input_mut(|input| {
        if is_sign {
            !input.modifiers.command && input.key_pressed(logical_key)
        } else if modifiers.is_none() {
            input.modifiers.is_none() && input.key_pressed(logical_key)
        } else {
            input.consume_key(modifiers, logical_key)
        }
    })
}
