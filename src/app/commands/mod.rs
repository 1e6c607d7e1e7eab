//! The one table of commands: their names, keys and meanings, from which the menu, the keyboard, the list
//! of keys and README's table are made.

mod keys;
mod run;

use egui::os::OperatingSystem;
use egui::{Context, Key, KeyboardShortcut, ModifierNames, Modifiers};

use crate::session::Column;

pub use keys::read_keys;

/// What a person can ask for by menu or key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// The next picture of the library, or the previous one.
    Picture(isize),
    /// The next picture of the triage page's selection, or the previous one.
    Selection(isize),
    /// A larger ε, or a smaller one.
    Epsilon(isize),
    /// Animates ε along the timeline, or stops.
    PlayEpsilon,
    /// Shows a column, or hides it.
    Column(usize),
    /// Synthesises, or pauses.
    PlaySynthesis,
    /// One step of synthesis.
    StepSynthesis,
    /// Begins the synthesis again.
    RestartSynthesis,
    /// Fills the window with the attacked picture, or goes back.
    Fill,
    /// Shows the before/after divider, or hides it.
    Divider,
    /// Moves the divider.
    MoveDivider(isize),
    /// Zooms in, or out.
    Zoom(isize),
    /// Shows all of every picture.
    Fit,
    /// Moves the visible part of all pictures across and down.
    Pan(isize, isize),
    /// Saves the attacked picture of the first row.
    SaveAttacked,
    /// Copies a figure of what is on the screen.
    CopyFigure,
    /// Presents the bookmarks.
    Present,
    /// The next bookmark of the presentation, or the previous one.
    PresentedView(isize),
    /// Blackens the screen of a presentation, or shows it again.
    Black,
    /// Dims all but what is around the pointer, or stops that.
    Spotlight,
    /// Shows the panel at the bottom of a presentation, or hides it.
    PresentedTimeline,
    /// Ends the presentation.
    EndPresentation,
    /// The list of bookmarks.
    Bookmarks,
    /// From the explorer to the triage page, or back.
    SwitchPage,
    /// Undoes a change.
    Undo,
    /// Undoes the last undoing.
    Redo,
    /// Saves the session.
    SaveSession,
    /// Saves the session under another name.
    SaveSessionAs,
    /// Opens a session.
    OpenSession,
    /// Exports a figure.
    ExportFigure,
    /// Exports a film.
    ExportFilm,
    /// Opens pictures.
    OpenPictures,
    /// Opens a folder of pictures.
    OpenFolder,
    /// Pastes a picture.
    Paste,
    /// Adds synthetic cracks to the library.
    AddSyntheticCracks,
    /// Removes the selected picture from the library.
    Remove,
    /// Checks the open picture by AutoAttack.
    CheckRobustness,
    /// The search over commands and settings.
    Search,
    /// The tour of the window.
    Tour,
    /// The list of keys.
    Keys,
    /// What runs models on the graphics adapter.
    Graphics,
    /// Closes the window.
    Quit,
}

/// When a key is a command's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// At any time.
    Always,
    /// Outside of presentations.
    Window,
    /// Outside of presentations, unless a text is being edited.
    Edit,
    /// Unless a control has the focus, on both pages.
    Pages,
    /// Unless a control has the focus, on the explorer page.
    Explorer,
    /// The same, and in presentations.
    Picture,
    /// In presentations alone.
    Presentation,
    /// In the menu alone, or read elsewhere.
    Menu,
}

/// A command, what the menu calls it, what it does, its keys and when they are its own.
struct Entry {
    command: Command,
    name: &'static str,
    /// Neighbours in the table that do the same share a row of the list of keys.
    meaning: &'static str,
    keys: &'static [KeyboardShortcut],
    scope: Scope,
}

const fn entry(
    command: Command,
    name: &'static str,
    meaning: &'static str,
    keys: &'static [KeyboardShortcut],
    scope: Scope,
) -> Entry {
    Entry {
        command,
        name,
        meaning,
        keys,
        scope,
    }
}

const fn key(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::NONE, key)
}

const fn command(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::COMMAND, key)
}

const fn command_shift(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::COMMAND.plus(Modifiers::SHIFT), key)
}

const fn shift(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::SHIFT, key)
}

const fn alt(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::ALT, key)
}

const COLUMNS: [Key; 9] = [
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

/// All commands. Of keys that share a letter those with more modifiers come first, as the others would
/// take them.
#[rustfmt::skip] // One row a line.
static TABLE: &[Entry] = {
    use Command as C;
    use Scope::{Always, Edit, Explorer, Menu, Pages, Picture, Presentation, Window};
    &[
        entry(C::Picture(-1), "Previous picture", "previous or next picture", &[key(Key::ArrowLeft), key(Key::ArrowUp)], Explorer),
        entry(C::Picture(1), "Next picture", "previous or next picture", &[key(Key::ArrowRight), key(Key::ArrowDown)], Explorer),
        entry(C::Epsilon(-1), "Smaller ε", "smaller or larger ε", &[key(Key::OpenBracket)], Picture),
        entry(C::Epsilon(1), "Larger ε", "smaller or larger ε", &[key(Key::CloseBracket)], Picture),
        entry(C::PlayEpsilon, "Play ε", "play ε along the timeline, or pause", &[key(Key::Space)], Picture),
        entry(C::PlaySynthesis, "Synthesize", "synthesize or pause, one step, restart", &[key(Key::P)], Picture),
        entry(C::StepSynthesis, "One step of synthesis", "synthesize or pause, one step, restart", &[key(Key::N)], Picture),
        entry(C::RestartSynthesis, "Restart synthesis", "synthesize or pause, one step, restart", &[key(Key::R)], Picture),
        entry(C::Fill, "Fill the window", "fill the window with the attacked picture, or go back", &[key(Key::F)], Picture),
        entry(C::Divider, "Divider", "before/after divider on the attacked picture, move it", &[key(Key::D)], Picture),
        entry(C::MoveDivider(-1), "Divider left", "before/after divider on the attacked picture, move it", &[alt(Key::ArrowLeft)], Picture),
        entry(C::MoveDivider(1), "Divider right", "before/after divider on the attacked picture, move it", &[alt(Key::ArrowRight)], Picture),
        entry(C::Zoom(1), "Zoom in", "zoom into all pictures or out, fit them", &[key(Key::Plus), key(Key::Equals)], Picture),
        entry(C::Zoom(-1), "Zoom out", "zoom into all pictures or out, fit them", &[key(Key::Minus)], Picture),
        entry(C::Fit, "Fit", "zoom into all pictures or out, fit them", &[key(Key::Num0)], Picture),
        entry(C::Pan(-1, 0), "Pan left", "move the visible part of all pictures", &[shift(Key::ArrowLeft)], Picture),
        entry(C::Pan(1, 0), "Pan right", "move the visible part of all pictures", &[shift(Key::ArrowRight)], Picture),
        entry(C::Pan(0, -1), "Pan up", "move the visible part of all pictures", &[shift(Key::ArrowUp)], Picture),
        entry(C::Pan(0, 1), "Pan down", "move the visible part of all pictures", &[shift(Key::ArrowDown)], Picture),
        entry(C::SaveAttacked, "Save attacked picture…", "save the attacked picture of the first row", &[key(Key::S)], Explorer),
        entry(C::CopyFigure, "Copy figure", "copy a figure of what is on the screen", &[key(Key::C)], Explorer),
        entry(C::Present, "Present", "present the prepared views", &[key(Key::F5)], Explorer),
        entry(C::PresentedView(-1), "Previous view", "in a presentation: previous or next view", &[key(Key::ArrowLeft), key(Key::ArrowUp), key(Key::PageUp)], Presentation),
        entry(C::PresentedView(1), "Next view", "in a presentation: previous or next view", &[key(Key::ArrowRight), key(Key::ArrowDown), key(Key::PageDown), key(Key::Enter)], Presentation),
        entry(C::Black, "Black", "in a presentation: black screen", &[key(Key::B), key(Key::Period)], Presentation),
        entry(C::Spotlight, "Spotlight", "in a presentation: spotlight, timeline", &[key(Key::L)], Presentation),
        entry(C::PresentedTimeline, "Timeline", "in a presentation: spotlight, timeline", &[key(Key::T)], Presentation),
        entry(C::EndPresentation, "End", "end the presentation", &[key(Key::Escape), key(Key::F5)], Presentation),
        entry(C::Bookmarks, "Prepared views", "the list of prepared views", &[key(Key::V)], Explorer),
        entry(C::SwitchPage, "Triage", "from the explorer to the triage page, or back", &[key(Key::F6)], Pages),
        entry(C::Selection(-1), "Previous of the selection", "previous or next picture of the triage page's selection", &[key(Key::Comma)], Explorer),
        entry(C::Selection(1), "Next of the selection", "previous or next picture of the triage page's selection", &[key(Key::Period)], Explorer),
        entry(C::Redo, "Redo", "redo", &[command_shift(Key::Z), command(Key::Y)], Edit),
        entry(C::Undo, "Undo", "undo", &[command(Key::Z)], Edit),
        entry(C::SaveSessionAs, "Save session as…", "save the session under another name", &[command_shift(Key::S)], Window),
        entry(C::SaveSession, "Save session", "save the session", &[command(Key::S)], Window),
        entry(C::OpenSession, "Open session…", "open a session", &[command_shift(Key::O)], Window),
        entry(C::ExportFilm, "Film…", "export a film", &[command_shift(Key::E)], Window),
        entry(C::ExportFigure, "Figure…", "export a figure", &[command(Key::E)], Window),
        entry(C::OpenPictures, "Open pictures…", "open pictures", &[command(Key::O)], Window),
        entry(C::OpenFolder, "Open folder…", "open a folder of pictures", &[], Menu),
        entry(C::Paste, "Paste picture", "paste a picture", &[command(Key::V)], Menu),
        entry(C::AddSyntheticCracks, "Add synthetic cracks", "add synthetic cracks to the library", &[], Menu),
        entry(C::Remove, "Remove from library", "remove the picture from the library", &[key(Key::Delete)], Explorer),
        entry(C::CheckRobustness, "Check this picture", "check the picture by AutoAttack", &[], Menu),
        entry(C::Search, "Search…", "search commands and settings", &[command(Key::K)], Window),
        entry(C::Tour, "Tour", "a tour of the window in six steps", &[], Menu),
        entry(C::Keys, "Keys", "this list", &[key(Key::Questionmark), key(Key::F1)], Pages),
        entry(C::Graphics, "Graphics", "what runs models on the graphics adapter", &[], Menu),
        entry(C::Quit, "Quit", "quit", &[command(Key::Q)], Always),
    ]
};

/// The commands that a search finds, with what each does: all but those of presentations.
pub fn searchable() -> impl Iterator<Item = (Command, &'static str)> {
    let found =
        |entry: &&Entry| entry.scope != Scope::Presentation && entry.command != Command::Search;
    TABLE
        .iter()
        .filter(found)
        .map(|entry| (entry.command, entry.meaning))
}

/// What no command has: keys of every control, and the mouse.
const OTHERS: [(&str, &str); 2] = [
    ("Tab, Esc", "to the next control, away from it"),
    ("wheel, drag, double click", "zoom, pan, fit"),
];

impl Command {
    fn entry(self) -> Option<&'static Entry> {
        TABLE.iter().find(|entry| entry.command == self)
    }

    /// What the menu calls it.
    pub fn name(self) -> String {
        match (self, self.entry()) {
            (Self::Column(index), _) => Column::ALL
                .get(index)
                .map_or_else(String::new, |column| column.name().to_owned()),
            (_, Some(entry)) => entry.name.to_owned(),
            (_, None) => String::new(),
        }
    }

    /// Its first key, as this system writes it; empty without one.
    pub fn shortcut(self, ctx: &Context) -> String {
        let is_mac = matches!(ctx.os(), OperatingSystem::Mac | OperatingSystem::IOS);
        let first = match self {
            Self::Column(index) => COLUMNS.get(index).map(|&column| key(column)),
            _ => self.entry().and_then(|entry| entry.keys.first().copied()),
        };
        first.map_or_else(String::new, |first| written(first, is_mac))
    }

    /// A menu's button for it.
    pub fn button(self, ctx: &Context) -> egui::Button<'static> {
        egui::Button::new(self.name()).shortcut_text(self.shortcut(ctx))
    }

    /// A tooltip with its key behind it.
    pub fn tooltip(self, ctx: &Context, text: &str) -> String {
        format!("{text} ({})", self.shortcut(ctx))
    }
}

/// A key with its modifiers, in signs that the fonts have: egui's lack those of macOS, whose keys are
/// therefore named (Cmd, Option).
fn written(shortcut: KeyboardShortcut, is_mac: bool) -> String {
    let key = match shortcut.logical_key {
        Key::ArrowLeft | Key::ArrowRight | Key::ArrowUp | Key::ArrowDown => {
            shortcut.logical_key.name()
        }
        Key::Delete => "Del",
        Key::Escape => "Esc",
        Key::Comma => "Comma",
        Key::Period => "Period",
        other => other.symbol_or_name(),
    };
    let modifiers = ModifierNames::NAMES.format(&shortcut.modifiers, is_mac);
    if modifiers.is_empty() {
        key.to_owned()
    } else {
        format!("{modifiers}+{key}")
    }
}

/// The list of keys: keys, and what they do.
pub fn key_list(is_mac: bool) -> Vec<(String, String)> {
    let mut rows: Vec<(String, String)> = Vec::new();
    for entry in TABLE.iter().filter(|entry| !entry.keys.is_empty()) {
        // A second sign for the same key is not worth a word.
        let keys = entry
            .keys
            .iter()
            .filter(|key| key.logical_key != Key::Equals);
        let keys = keys.map(|&key| written(key, is_mac)).collect::<Vec<_>>();
        let keys = keys.join(", ");
        match rows.last_mut() {
            Some((before, meaning)) if meaning == entry.meaning => {
                *before = format!("{before}, {keys}");
            }
            _ => rows.push((keys, entry.meaning.to_owned())),
        }
        if entry.command == Command::PlayEpsilon {
            rows.push(("1 … 9".into(), "show or hide a column".into()));
        }
    }
    rows.extend(OTHERS.map(|(keys, meaning)| (keys.into(), meaning.into())));
    rows
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// No key means two things at once.
    #[test]
    fn keys_are_unique_where_they_are_read_together() {
        let window = [
            Scope::Always,
            Scope::Window,
            Scope::Edit,
            Scope::Pages,
            Scope::Explorer,
            Scope::Picture,
        ];
        let presentation = [Scope::Always, Scope::Picture, Scope::Presentation];
        for scopes in [&window[..], &presentation] {
            let mut seen = HashSet::new();
            for entry in TABLE.iter().filter(|entry| scopes.contains(&entry.scope)) {
                for key in entry.keys {
                    let name = written(*key, false);
                    assert!(seen.insert(name.clone()), "{name}: {:?}", entry.command);
                }
            }
            for column in COLUMNS {
                assert!(seen.insert(written(key(column), false)));
            }
        }
    }

    /// A command stands in the table once, so that menu and keys agree.
    #[test]
    fn commands_are_listed_once() {
        for (index, entry) in TABLE.iter().enumerate() {
            let mut before = TABLE[..index].iter();
            assert!(before.all(|other| other.command != entry.command));
        }
    }
}
