//! Figures: what stands on them and where, and what the files hold.

use burn::tensor::Device;
use epsiloscope::attribution::{Explanation, Method};
use epsiloscope::compute::{ModelInput, Runner};
use epsiloscope::data::picture::to_rgb;
use epsiloscope::data::{Corruption, Crop, Picture};
use epsiloscope::error::Error;
use epsiloscope::export::figure::{
    Cell, FigurePage, PageItem, Sheet, Shot, on_screen, page, png, raster, svg,
};
use epsiloscope::export::headless::Headless;
use epsiloscope::session::{
    self, Column, Figure, Session, Size, Snapshot, Spread, State, complete,
};
use epsiloscope::tasks::{CancelToken, TaskProgress};
use resvg::usvg::{Node, Options, Tree};

use crate::support::screens::{row, shots};
use crate::support::snapshots;

fn drawn(figure: &Figure, shots: &[Shot]) -> FigurePage {
    let sheet = Sheet::new(figure, shots).unwrap_or_else(|error| panic!("{error}"));
    page(figure, &sheet)
}

fn figure() -> Figure {
    Figure {
        columns: vec![Column::Input, Column::Attacked, Column::Perturbation],
        size: Size::Pixels {
            width: 600.0,
            scale: 1.5,
        },
        ..Figure::default()
    }
}

/// Pictures and text, which must not lie on one another.
fn solid(page: &FigurePage) -> Vec<[f32; 4]> {
    let solid = |item: &&PageItem| matches!(item, PageItem::Words(_) | PageItem::Picture { .. });
    page.items
        .iter()
        .filter(solid)
        .map(PageItem::bounds)
        .collect()
}

fn overlap(a: &[f32; 4], b: &[f32; 4]) -> bool {
    // Ascenders and descenders may come near one another.
    const SLACK: f32 = 1.0;
    a[0] + SLACK < b[2] && b[0] + SLACK < a[2] && a[1] + SLACK < b[3] && b[1] + SLACK < a[3]
}

#[test]
fn nothing_overlaps_and_nothing_leaves_the_page() {
    let epsilons = [0.125, 0.25, 0.5];
    for spread in [Spread::Across, Spread::Down] {
        for width in [300.0, 600.0, 2000.0] {
            let figure = Figure {
                epsilons: epsilons.to_vec(),
                spread,
                curves: true,
                size: Size::Pixels { width, scale: 1.5 },
                ..figure()
            };
            let page = drawn(&figure, &shots(&figure, &epsilons));
            assert_eq!(page.size[0], width);
            let places = solid(&page);
            for (index, place) in places.iter().enumerate() {
                let inside = place[0] >= -0.01
                    && place[1] >= -0.01
                    && place[2] <= page.size[0] + 0.01
                    && place[3] <= page.size[1] + 0.01;
                assert!(inside, "{:?} leaves the page {:?}", place, page.size);
                for other in &places[..index] {
                    assert!(!overlap(place, other), "{place:?} lies on {other:?}");
                }
            }
        }
    }
}

#[test]
fn several_epsilons_repeat_columns_or_rows() {
    let epsilons = vec![0.25, 0.5];
    let across = Figure {
        epsilons: epsilons.clone(),
        ..figure()
    };
    let sheet = Sheet::new(&across, &shots(&across, &epsilons)).expect("a sheet");
    let heads: Vec<&str> = sheet.heads.iter().map(|head| head.title.as_str()).collect();
    assert_eq!(
        heads,
        [
            "Input",
            "Attacked",
            "Attacked",
            "Perturbation",
            "Perturbation"
        ]
    );
    assert_eq!(sheet.heads[1].note, "ε 0.25");
    assert_eq!(sheet.rows.len(), 2);
    let down = Figure {
        spread: Spread::Down,
        ..across
    };
    let sheet = Sheet::new(&down, &shots(&down, &epsilons)).expect("a sheet");
    assert_eq!((sheet.heads.len(), sheet.rows.len()), (3, 4));
    assert_eq!(sheet.rows[2].head.note, "ε 0.5");
    assert_eq!(sheet.rows[2].head.title, "Standard");
}

#[test]
fn cells_hold_the_models_pixels_and_words() {
    let figure = figure();
    let shots = shots(&figure, &[0.75]);
    let sheet = Sheet::new(&figure, &shots).expect("a sheet");
    let Cell::Filled(attacked) = &sheet.rows[0].cells[1] else {
        panic!("the attack is there");
    };
    let known = shots[0].rows[0].attacked.as_ref().expect("an attack");
    assert_eq!(attacked.picture, to_rgb(known.picture.planes(), [8, 8]));
    assert_eq!(attacked.notes, ["cat 75 %"]);
    assert!(attacked.wrong);
    let Cell::Filled(difference) = &sheet.rows[0].cells[2] else {
        panic!("the perturbation is there");
    };
    // 0.5 + 10 · 0.075, which is more than white.
    assert_eq!(difference.picture.get_pixel(0, 0).0, [255; 3]);
    assert!(sheet.caption.contains("seed 0") && sheet.caption.contains("L2 PGD-10 at ε 0.75"));
}

#[test]
fn what_is_missing_leaves_a_marked_cell() {
    let figure = Figure {
        columns: Column::ALL.to_vec(),
        size: Size::Pixels {
            width: 1800.0,
            scale: 0.5,
        },
        ..figure()
    };
    let mut shots = shots(&figure, &[0.5]);
    shots[0].rows[1] = epsiloscope::session::Row::default();
    shots[0].rows[1].error = Some("the file is broken".into());
    // An attack at another ε stands in for none.
    shots[0].state.settings.attack.epsilon = 0.25;
    let sheet = Sheet::new(&figure, &shots).expect("a sheet");
    let empty = |row: usize, column: Column| match &sheet.rows[row].cells[column as usize] {
        Cell::Empty(reason) => Some(reason.clone()),
        Cell::Filled(_) => None,
    };
    assert_eq!(empty(0, Column::Input), None);
    assert_eq!(empty(0, Column::Attacked).as_deref(), Some("no result"));
    assert_eq!(empty(0, Column::Return).as_deref(), Some("no result"));
    assert_eq!(
        empty(1, Column::Input).as_deref(),
        Some("the file is broken")
    );
    let text = svg(&page(&figure, &sheet));
    assert!(text.contains("the file is broken") && text.contains("no result"));
}

#[test]
fn labels_of_strangers_are_text_in_the_svg() {
    let figure = figure();
    let mut shots = shots(&figure, &[0.75]);
    let labels = ["<b>&bird\"</text>", "c\u{0}a\u{1b}t'&amp;"];
    for row_of in &mut shots[0].rows {
        *row_of = row("A & <script>", labels, 0.75);
    }
    let text = svg(&drawn(&figure, &shots));
    let mut options = Options::default();
    let fonts = options.fontdb_mut();
    fonts.load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
    let tree = Tree::from_str(&text, &options).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(tree.size().width(), 600.0);
    let mut said = Vec::new();
    collect(tree.root().children(), &mut said);
    let says = |requests: &str| said.iter().any(|text| text == requests);
    assert!(says("A & <script>"), "{said:?}");
    assert!(says("<b>&bird\"</text> 90 %"), "{said:?}");
    assert!(says("c a t'&amp; 75 %"), "{said:?}");
    assert!(text.contains("image-rendering:pixelated") && text.contains("A &amp; &lt;script&gt;"));
}

/// What the text of an SVG says.
fn collect(nodes: &[Node], said: &mut Vec<String>) {
    for node in nodes {
        match node {
            Node::Group(group) => collect(group.children(), said),
            Node::Text(text) => {
                said.extend(text.chunks().iter().map(|chunk| chunk.text().to_owned()));
            }
            _ => {}
        }
    }
}

#[test]
fn a_sheet_drawn_twice_is_the_same_file() {
    let figure = figure();
    let shots = shots(&figure, &[0.5]);
    let (first, second) = (drawn(&figure, &shots), drawn(&figure, &shots));
    let bytes = png(&first).expect("a picture");
    assert!(bytes == png(&second).expect("a picture"));
    let image = image::load_from_memory(&bytes)
        .expect("a PNG file")
        .to_rgb8();
    assert_eq!([image.width(), image.height()], first.pixels());
    assert_eq!(image.width(), 900);
    // The pictures are in it, pixel by pixel, and so is text.
    let Some(PageItem::Picture { image: cell, area }) = first
        .items
        .iter()
        .find(|item| matches!(item, PageItem::Picture { .. }))
    else {
        panic!("a picture is on the page");
    };
    let middle = [area[0] + area[2] / 2.0, area[1] + area[3] / 2.0];
    let [x, y] = middle.map(|at| (at * 1.5) as u32);
    assert_eq!(image.get_pixel(x, y), cell.get_pixel(4, 4));
    let dark = image.pixels().filter(|pixel| pixel.0 < [0x50; 3]).count();
    assert!(dark > 500, "only {dark} pixels of text");
}

#[test]
fn a_figure_looks_as_it_did() {
    let figure = Figure {
        epsilons: vec![0.125, 0.5],
        ..figure()
    };
    let bytes = png(&drawn(&figure, &shots(&figure, &[0.125, 0.5]))).expect("a picture");
    let picture = image::load_from_memory(&bytes).expect("a PNG file");
    snapshots::check("figure", &picture.to_rgba8());
}

#[test]
fn a_figure_on_paper_has_its_size() {
    let figure = Figure {
        size: Size::Millimetres {
            width: 85.0,
            dpi: 300.0,
        },
        ..figure()
    };
    let page = drawn(&figure, &shots(&figure, &[0.5]));
    assert_eq!(page.pixels()[0], 1004);
    assert!(svg(&page).contains("width=\"85mm\""));
    let bytes = png(&page).expect("a picture");
    // 300 pixels an inch are 11811 a metre.
    let place = bytes
        .windows(4)
        .position(|chunk| chunk == b"pHYs")
        .expect("a density");
    let density = u32::from_be_bytes(bytes[place + 4..place + 8].try_into().expect("four bytes"));
    assert!(density.abs_diff(11_811) < 10, "{density}");
}

#[test]
fn hostile_numbers_are_refused() {
    let with = |change: &dyn Fn(&mut Figure)| {
        let mut figure = figure();
        change(&mut figure);
        let shots = shots(&figure, &[0.5]);
        Sheet::new(&figure, &shots).and_then(|sheet| raster(&page(&figure, &sheet)))
    };
    for width in [0.0, f32::NAN, -1.0, 1e9] {
        let result = with(&|figure| figure.size = Size::Pixels { width, scale: 1.0 });
        assert!(matches!(result, Err(Error::Config(_))), "{width}");
    }
    assert!(with(&|figure| figure.text = f32::INFINITY).is_err());
    assert!(with(&|figure| figure.epsilons = vec![f32::NAN]).is_err());
    assert!(with(&|figure| figure.columns = vec![Column::Input; 4000]).is_err());
    let large = Size::Pixels {
        width: 20_000.0,
        scale: 32.0,
    };
    assert!(with(&|figure| figure.size = large).is_err());
    // Rows that are not there are no rows.
    assert!(with(&|figure| figure.rows = vec![7]).is_err());
}

#[test]
fn a_figure_is_plain_data() {
    let figure = Figure {
        epsilons: vec![0.1, 0.25],
        rows: vec![1, 0],
        ..figure()
    };
    let text = serde_json::to_string(&figure).expect("plain data");
    let read: Figure = serde_json::from_str(&text).expect("the same");
    assert_eq!(read, figure);
    let empty: Figure = serde_json::from_str("{}").expect("what is not said is usual");
    assert_eq!(empty, Figure::default());
}

#[test]
fn without_a_window_the_same_is_computed() {
    let path = std::path::Path::new("assets/pictures/bird-kingfisher.jpg");
    let (picture, truth) = epsiloscope::data::samples::all().remove(0);
    let mut requests = State::new(vec!["cifar10-standard".into()]);
    requests.settings.attack.steps = 2;
    requests.settings.explanation = Explanation {
        method: Method::Gradient,
        ..Explanation::default()
    };
    requests.add(picture, truth.clone());
    let figure = Figure {
        columns: vec![
            Column::Input,
            Column::Attacked,
            Column::Attribution,
            Column::AttackedAttribution,
        ],
        ..Figure::default()
    };
    let mut shares = Vec::new();
    let mut progress = |share| shares.push(share);
    let (cancel, stop) = (CancelToken::default(), CancelToken::default());
    stop.cancel();
    let mut watch = TaskProgress {
        progress: &mut progress,
        cancel: &cancel,
    };
    let mut engine = Headless::new(Device::flex());
    let shots = epsiloscope::export::figure::shots(&figure, &requests, &mut engine, &mut watch);
    let shots = shots.unwrap_or_else(|error| panic!("{error}"));
    let Shot { state, rows } = &shots[0];
    assert!(complete(state, rows));
    let mut runner = Runner::new(Device::flex());
    let input = ModelInput {
        model: "cifar10-standard".into(),
        picture: Picture::open(path).expect("a picture"),
        crop: Crop::default(),
        truth,
        corruption: Corruption::default(),
        attack_mask: None,
    };
    let prediction = runner.predict(input.clone()).expect("a prediction");
    let attack = requests.settings.attack.clone();
    let attacked = runner.attack(input, attack).expect("an attack");
    let found = rows[0].attacked.as_ref().expect("the same attack");
    assert_eq!(found.picture.planes(), attacked.picture.planes());
    let seen = rows[0].prediction.as_ref().expect("a look");
    assert_eq!(seen.probabilities, prediction.probabilities);

    // The window's own results, complete, make the same file without computing.
    let screen = figure.requests(&requests);
    let window = on_screen(&figure, &screen, rows).expect("all is there");
    let bytes = |shots: &[Shot]| png(&drawn(&figure, shots)).expect("a picture");
    assert!(bytes(&window) == bytes(&shots));
    let mut moved = screen.clone();
    moved.settings.attack.epsilon = 0.123;
    assert!(on_screen(&figure, &moved, rows).is_none());

    // A session opened again, in another engine, makes the same file.
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("saved.epsiloscope");
    let snapshot = Snapshot {
        state: requests.clone(),
        hashes: Vec::new(),
        missing: Vec::new(),
    };
    session::write(&Session::of(&snapshot), &file).expect("a session");
    let opened = session::open(&file).expect("the same session");
    assert!(opened.problems.is_empty());
    let mut other = Headless::new(Device::flex());
    let again = epsiloscope::export::figure::shots(&figure, &opened.state, &mut other, &mut watch);
    assert!(bytes(&again.expect("results")) == bytes(&shots));

    watch.cancel = &stop;
    requests.settings.attack.steps = 3;
    let result = epsiloscope::export::figure::shots(&figure, &requests, &mut engine, &mut watch);
    assert!(matches!(result, Err(Error::Cancelled)));
    watch.cancel = &cancel;
    requests.document.models = vec!["no such model".into()];
    let result = epsiloscope::export::figure::shots(&figure, &requests, &mut engine, &mut watch);
    let Err(Error::Config(message)) = result else {
        panic!("a model that is not there");
    };
    assert!(message.contains("no such model"), "{message}");
    assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)));
}
