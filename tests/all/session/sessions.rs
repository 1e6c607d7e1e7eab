//! Sessions: what was on the screen comes back, and no file can do harm.

use std::fs;
use std::path::Path;

use epsiloscope::attack::{Attack, Norm};
use epsiloscope::data::random::noise_rng;
use epsiloscope::data::{Crop, Picture, samples};
use epsiloscope::error::Result;
use epsiloscope::model::ModelRef;
use epsiloscope::session::{self, DataFolder, OpenedSession, Session, Snapshot, State, VERSION};
use rand::RngExt;
use tempfile::tempdir;

use crate::support::{message, write_two_colours};

/// A state with a picture of each origin: a file, one that comes with the program, a pasted one.
pub(crate) fn state(folder: &Path) -> State {
    write_two_colours(folder, 1, 0);
    let mut state = State::new(vec!["cifar10-standard".into(), "cifar10-robust".into()]);
    let file = fs::read_dir(folder.join("train/blue"))
        .expect("a folder")
        .next();
    let path = file.expect("a file").expect("an entry").path();
    state.add(
        Picture::open(&path).expect("a picture"),
        Some("bird".into()),
    );
    let (bundled, truth) = samples::all().swap_remove(2);
    state.add(bundled, truth);
    let pasted = image::RgbImage::from_fn(7, 5, |x, y| image::Rgb([x as u8 * 30, y as u8 * 40, 9]));
    state.add(
        Picture::from_image("pasted picture".into(), pasted.into()),
        None,
    );
    state.entry_mut().expect("an entry").crop = Crop {
        at: [0.25, 0.75],
        scale: 0.5,
    };
    state.navigation.selected = Some(1);
    state.settings.attack = Attack::pgd(Norm::Linf, 8.0 / 255.0, 7);
    state.settings.attack.seed = u64::MAX;
    state.settings.display.gain = 33.0;
    state.settings.display.divider = Some(0.3);
    state.settings.synthesis.units = vec![3, 5];
    state.progress.synthesis.done = 12;
    state
}

pub(crate) fn snapshot(state: &State) -> Snapshot {
    Snapshot {
        state: state.clone(),
        hashes: vec![Some("ab".into()), None],
        missing: Vec::new(),
    }
}

/// Everything that a session holds, as text.
fn text(snapshot: &Snapshot) -> String {
    serde_json::to_string_pretty(&Session::of(snapshot)).expect("text")
}

fn open(path: &Path) -> OpenedSession {
    session::open(path).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn what_was_on_the_screen_comes_back() {
    let folder = tempdir().expect("a folder");
    let before = snapshot(&state(folder.path()));
    let path = folder.path().join("a session.epsiloscope");
    session::write(&Session::of(&before), &path).unwrap_or_else(|error| panic!("{error}"));
    let OpenedSession {
        mut state,
        hashes,
        problems,
        missing,
    } = open(&path);
    assert!(problems.is_empty() && missing.is_empty(), "{problems:?}");
    assert_eq!(hashes, before.hashes);
    for (found, known) in state
        .document
        .library
        .iter()
        .zip(before.state.document.library.iter())
    {
        assert_eq!(found.picture.pixels, known.picture.pixels);
        assert_eq!((found.crop, &found.truth), (known.crop, &known.truth));
    }
    assert_eq!(
        state.navigation.playhead.until, 12,
        "the picture being made is made again so far"
    );
    // Saved again it is the same file, once that picture is made.
    state.progress.synthesis.done = state.navigation.playhead.until;
    let again = Snapshot {
        state,
        hashes,
        missing,
    };
    assert_eq!(text(&again), text(&before));
    assert!(
        text(&again).contains(&u64::MAX.to_string()),
        "seeds keep all their bits"
    );
}

#[test]
fn missing_and_changed_pictures_are_named_and_can_be_found_again() {
    let folder = tempdir().expect("a folder");
    let before = snapshot(&state(folder.path()));
    let path = folder.path().join("s.epsiloscope");
    session::write(&Session::of(&before), &path).unwrap_or_else(|error| panic!("{error}"));
    let file = before.state.document.library[0].picture.path.clone();
    let elsewhere = tempdir().expect("a folder");
    let moved = elsewhere.path().join(file.file_name().expect("a name"));
    fs::rename(&file, &moved).expect("it can be moved");
    let opened = open(&path);
    let [problem] = &opened.problems[..] else {
        panic!("{:?}", opened.problems)
    };
    assert!(
        problem.to_string().contains(&file.display().to_string()),
        "{problem}"
    );
    assert_eq!(opened.state.document.library.len(), 2);
    assert_eq!(
        opened.state.navigation.selected,
        Some(0),
        "the selection stays with its picture"
    );
    // Saving what is left loses nothing of what is missing.
    let kept = Snapshot {
        state: opened.state,
        hashes: opened.hashes,
        missing: opened.missing.clone(),
    };
    assert_eq!(Session::of(&kept).pictures, Session::of(&before).pictures);
    assert_eq!(
        Session::of(&kept).navigation.selected,
        Session::of(&before).navigation.selected
    );
    for place in [elsewhere.path(), &moved] {
        let found = session::find_again(&opened.missing, place);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0.place, 0);
        assert_eq!(found[0].1.truth, Some("bird".into()));
    }
    assert!(session::find_again(&opened.missing, folder.path()).is_empty());
    // Beside the session it is found without being asked for; another picture of its name is noticed.
    let other = image::RgbImage::from_pixel(8, 8, image::Rgb([1, 2, 3]));
    other
        .save(folder.path().join(file.file_name().expect("a name")))
        .expect("it is written");
    let opened = open(&path);
    assert!(opened.missing.is_empty());
    assert!(
        opened.problems[0].to_string().contains("has changed"),
        "{:?}",
        opened.problems
    );
}

#[test]
fn other_files_and_newer_formats_are_refused_and_left_alone() {
    let folder = tempdir().expect("a folder");
    let good = text(&snapshot(&state(folder.path())));
    let newer = good.replace(&format!("\"version\": {VERSION}"), "\"version\": 99");
    let rows = good.replace("\"models\": [", "\"models\": [], \"others\": [");
    for (bytes, says) in [
        (newer.as_bytes(), "newer Epsiloscope"),
        (rows.as_bytes(), "0 models"),
        (&good.as_bytes()[..good.len() / 2], "broken"),
        (b"\xff\xfe\x00".as_slice(), "no text"),
        (b"", "broken"),
        (b"[[[[", "broken"),
    ] {
        let path = folder.path().join("bad.epsiloscope");
        fs::write(&path, bytes).expect("it is written");
        let told = message(session::open(&path));
        assert!(
            told.contains(says) && told.contains("bad.epsiloscope"),
            "{told}"
        );
        assert_eq!(fs::read(&path).expect("it is there"), bytes);
    }
    assert!(message(session::open(folder.path())).contains("cannot read"));
}

#[test]
fn an_older_file_that_knows_fewer_settings_opens() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("old.epsiloscope");
    let old =
        r#"{"version": 1, "models": [{"name": "cifar10-robust"}], "pictures": [], "settings": {}}"#;
    fs::write(&path, old).expect("it is written");
    let opened = open(&path);
    assert_eq!(
        opened.state.document.models,
        [ModelRef::from("cifar10-robust")]
    );
    assert_eq!(
        opened.state.settings.display,
        State::default().settings.display
    );
}

/// Opens a file and checks what the window relies on.
fn try_open(path: &Path) -> Result<()> {
    let opened = session::open(path)?;
    let display = &opened.state.settings.display;
    assert!((1.0..=64.0).contains(&display.zoom) && (1.0..=100.0).contains(&display.gain));
    assert!(
        opened
            .state
            .settings
            .range
            .iter()
            .all(|end| end.is_finite() && *end > 0.0)
    );
    assert!(opened.state.settings.attack.validate(usize::MAX).is_ok());
    assert!(
        opened
            .state
            .navigation
            .selected
            .is_none_or(|at| at < opened.state.document.library.len())
    );
    for entry in opened.state.document.library.iter() {
        let [left, top, w, h] = entry.picture.crop_rectangle(entry.crop, [8, 8]);
        let (width, height) = entry.picture.pixels.dimensions();
        assert!(left + w <= width && top + h <= height);
    }
    Ok(())
}

#[test]
fn numbers_beyond_all_ranges_are_sanitized() {
    let folder = tempdir().expect("a folder");
    let good = text(&snapshot(&state(folder.path())));
    let path = folder.path().join("s.epsiloscope");
    for (setting, value) in [
        ("\"gain\": 33.0", "\"gain\": 1e39"),
        ("\"zoom\": 1.0", "\"zoom\": -1e39"),
        ("\"scale\": 0.5", "\"scale\": 0.0"),
        ("\"scale\": 0.5", "\"scale\": -1e39"),
        ("\"selected\": 1", "\"selected\": 18446744073709551615"),
        ("\"until\": 12", "\"until\": 18446744073709551615"),
    ] {
        let hostile = good.replace(setting, value);
        assert_ne!(hostile, good, "{setting}");
        fs::write(&path, hostile).expect("it is written");
        try_open(&path).unwrap_or_else(|error| panic!("{setting}: {error}"));
    }
}

#[test]
fn two_thousand_mutated_sessions_do_no_harm() {
    let folder = tempdir().expect("a folder");
    let good = text(&snapshot(&state(folder.path())));
    let path = folder.path().join("mutated.epsiloscope");
    let mut rng = noise_rng(7, 0);
    let mut opened = 0;
    for _ in 0..2000 {
        let mut bytes = good.clone().into_bytes();
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..bytes.len());
            match rng.random_range(0..4) {
                0 => bytes[at] = rng.random(),
                // Numbers become other numbers.
                1 => bytes[at] = b"0123456789-e."[rng.random_range(0..13)],
                2 => bytes.truncate(at.max(1)),
                _ => {
                    let part = bytes[at..(at + 40).min(bytes.len())].to_vec();
                    bytes.splice(at..at, part);
                }
            }
        }
        fs::write(&path, &bytes).expect("it is written");
        opened += usize::from(try_open(&path).is_ok());
        assert_eq!(
            fs::read(&path).expect("it is there"),
            bytes,
            "it is left as it was"
        );
    }
    assert!(opened > 20, "some are still sessions: {opened}");
}

#[test]
fn models_that_moved_with_their_session_are_found_beside_it() {
    let folder = tempdir().expect("a folder");
    let mut before = state(folder.path());
    let gone = folder.path().join("gone/robust.pt");
    before.document.models[1] = ModelRef::file(&gone);
    let path = folder.path().join("s.epsiloscope");
    let session = Session::of(&snapshot(&before));
    session::write(&session, &path).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(open(&path).state.document.models, before.document.models);
    let beside = folder.path().join("robust.pt");
    fs::write(&beside, "a model").expect("a file");
    let models = open(&path).state.document.models;
    assert_eq!(models[0], ModelRef::from("cifar10-standard"));
    assert_eq!(models[1].path(), Some(beside.as_path()));
}

#[test]
fn what_a_crash_leaves_behind_is_offered_and_what_ends_by_itself_is_not() {
    let folder = tempdir().expect("a folder");
    let session = Session::of(&snapshot(&state(folder.path())));
    let home = || DataFolder::at(folder.path().join("home"));
    let mut running = home();
    let path = running.autosave().unwrap_or_else(|error| panic!("{error}"));
    session::write(&session, &path).unwrap_or_else(|error| panic!("{error}"));
    assert!(home().rescues().is_empty(), "its process still runs");
    drop(running);
    let rescues = home().rescues();
    assert_eq!(rescues.len(), 1);
    assert_eq!(open(&rescues[0].path).state.document.library.len(), 3);
    // A process with the same number as the one that crashed leaves what that saved.
    std::thread::sleep(std::time::Duration::from_millis(2));
    let mut running = home();
    let own = running.autosave().unwrap_or_else(|error| panic!("{error}"));
    assert_ne!(own, rescues[0].path);
    drop(running);
    home().discard(&rescues[0]);
    assert!(home().rescues().is_empty());

    let mut running = home();
    let path = running.autosave().unwrap_or_else(|error| panic!("{error}"));
    session::write(&session, &path).unwrap_or_else(|error| panic!("{error}"));
    running.close();
    assert!(home().rescues().is_empty());
    assert_eq!(open(&home().last()).state.document.library.len(), 3);
}

#[test]
fn recent_sessions_are_few_and_newest_first() {
    let folder = tempdir().expect("a folder");
    let home = DataFolder::at(folder.path().into());
    for number in [1, 2, 3, 2].into_iter().chain(10..20) {
        home.remember(Path::new(&format!("{number}")));
        if number == 2 {
            assert_eq!(home.recent()[0], Path::new("2"));
        }
    }
    let recent = home.recent();
    assert_eq!(recent.len(), 10);
    assert_eq!(recent[0], Path::new("19"));
    fs::write(folder.path().join("recent.json"), "{").expect("it is written");
    assert!(home.recent().is_empty(), "a broken list is no list");
}

#[cfg(unix)]
#[test]
fn names_that_are_not_utf8_survive_a_session_and_the_list_of_recent_ones() {
    use std::os::unix::ffi::OsStrExt as _;
    let folder = tempdir().expect("a folder");
    let odd = folder.path().join(std::ffi::OsStr::from_bytes(b"od\xffd"));
    fs::create_dir(&odd).expect("a folder");
    let mut before = state(folder.path());
    let picture = odd.join("picture.png");
    image::RgbImage::new(3, 3)
        .save(&picture)
        .expect("a picture");
    before.add(Picture::open(&picture).expect("a picture"), None);
    before.document.models[0] = ModelRef::file(odd.join("model.pt"));
    let path = odd.join("s.epsiloscope");
    let session = Session::of(&snapshot(&before));
    session::write(&session, &path).unwrap_or_else(|error| panic!("{error}"));
    let opened = open(&path);
    assert!(opened.missing.is_empty(), "{:?}", opened.problems);
    let library = &opened.state.document.library;
    assert_eq!(
        library.get(3).map(|entry| &entry.picture.path),
        Some(&picture)
    );
    assert_eq!(opened.state.document.models, before.document.models);
    let home = DataFolder::at(folder.path().join("home"));
    home.remember(&path);
    assert_eq!(home.recent(), [path]);
}
