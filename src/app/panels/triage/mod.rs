//! The triage page: a scanned set of pictures, to be searched for what goes wrong.

mod detail;
mod filters;
mod grid;
mod histograms;
mod map;
mod matrices;
mod order;
mod query_bar;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use egui::{CentralPanel, Context, Frame, Panel, TextureHandle, Ui};

use super::Action;
use crate::app::theme;
use crate::data::thumbnails::Thumbnailer;
use crate::session::{State, Triage, TriageTab};
use crate::triage::map::Point;
use crate::triage::query::{Mistake, NumberColumn};
use crate::triage::reader::{Contents, Mapped};
use crate::triage::{ConfusionMatrix, Histogram, Query, ScanCounts, Table};

pub use order::order;

/// Textures kept at once: some screens full.
const TEXTURES: usize = 3000;

/// What the page keeps from frame to frame.
pub struct TriageState {
    /// What is known of the open database.
    pub contents: Contents,
    /// The pictures that the query selects, by their places in the table.
    pub selection: Vec<usize>,
    /// Whether each picture of the table is among them.
    selected: Vec<bool>,
    /// What is wrong with the query's text.
    mistake: Option<Mistake>,
    /// What the selection belongs to.
    of: (Arc<Table>, String),
    matrices: Vec<ConfusionMatrix>,
    textures: HashMap<String, (Option<TextureHandle>, u64)>,
    frame: u64,
    thumbnailer: Thumbnailer,
    /// The map that was drawn last.
    mapped: Option<Arc<Mapped>>,
    /// Those of its points that are drawn.
    shown: Option<Arc<[Point]>>,
    /// Whether a map is being drawn.
    pub mapping: bool,
    /// The outline being dragged over the map.
    lasso: Vec<[f64; 2]>,
    /// The pictures inside the last outline; only these are selected.
    lassoed: Option<HashSet<usize>>,
    /// How many pictures around the chosen one a button of the map selects.
    near: usize,
    /// Whether the selection is to be computed again.
    stale: bool,
    /// How far the scan under way is.
    pub progress: Option<ScanCounts>,
    /// Words being written.
    tag: String,
    view: String,
    /// Whether the chosen picture is to be scrolled to.
    follow: bool,
    /// The numbers that the models have said of any picture.
    columns: Vec<NumberColumn>,
    /// How often those of one column occur in the selection.
    histogram: Option<(NumberColumn, Option<Histogram>)>,
    /// The range of them being chosen, and where a drag over them began.
    range: [f64; 2],
    dragged: Option<f64>,
}

impl TriageState {
    /// Nothing is open yet.
    pub fn new(thumbnailer: Thumbnailer) -> Self {
        let contents = Contents::default();
        Self {
            of: (contents.table.clone(), String::new()),
            contents,
            selection: Vec::new(),
            selected: Vec::new(),
            mistake: None,
            matrices: Vec::new(),
            textures: HashMap::new(),
            frame: 0,
            thumbnailer,
            mapped: None,
            shown: None,
            mapping: false,
            lasso: Vec::new(),
            lassoed: None,
            near: 100,
            stale: false,
            progress: None,
            tag: String::new(),
            view: String::new(),
            follow: true,
            columns: Vec::new(),
            histogram: None,
            range: [0.0; 2],
            dragged: None,
        }
    }

    /// Turns to another database or another scan: what was chosen by place is of the one before.
    pub fn forget(&mut self) {
        self.contents = Contents::default();
        self.selection.clear();
        self.selected.clear();
        self.mapped = None;
        self.shown = None;
        self.mapping = false;
        self.lassoed = None;
    }

    /// Selects anew where table or query have changed. A query with a mistake leaves the selection.
    pub fn refresh(&mut self, triage: &Triage) {
        let table = &self.contents.table;
        let grown = !Arc::ptr_eq(table, &self.of.0);
        if grown {
            self.matrices = ConfusionMatrix::all(table);
            self.columns = NumberColumn::known(table);
        }
        if !grown && triage.query == self.of.1 && !self.stale {
            return;
        }
        self.stale = false;
        self.histogram = None;
        self.shown = None;
        self.of = (table.clone(), triage.query.clone());
        match Query::parse(&triage.query, &table.vocabulary()) {
            Ok(query) => {
                self.selection = query.select(table);
                if let Some(inside) = &self.lassoed {
                    self.selection.retain(|index| inside.contains(index));
                }
                self.selected = vec![false; table.records.len()];
                for &index in &self.selection {
                    self.selected[index] = true;
                }
                self.mistake = None;
            }
            Err(mistake) => {
                self.mistake = Some(mistake);
                let records = table.records.len();
                self.selection.retain(|&index| index < records);
                self.selected.resize(records, false);
            }
        }
    }

    /// Another map was drawn.
    pub fn take_map(&mut self, mapped: Mapped) {
        self.mapped = Some(mapped.into());
        self.shown = None;
    }

    /// The query as it is written; all pictures while there is a mistake in it.
    fn query(&self, triage: &Triage) -> Query {
        let vocabulary = self.contents.table.vocabulary();
        Query::parse(&triage.query, &vocabulary).unwrap_or_default()
    }

    /// The place of the chosen picture in the selection.
    pub fn place(&self, triage: &Triage) -> Option<usize> {
        let chosen = triage.chosen?;
        self.selection.iter().position(|&index| index == chosen)
    }

    /// Takes in thumbnails, and lets those go that were not seen for longest.
    fn receive(&mut self, ctx: &Context) {
        self.frame += 1;
        for (path, image) in self.thumbnailer.receive() {
            let texture = image.map(|image| {
                let size = [image.width() as usize, image.height() as usize];
                let image = egui::ColorImage::from_rgb(size, image.as_raw());
                ctx.load_texture(&path, image, egui::TextureOptions::LINEAR)
            });
            self.textures.insert(path, (texture, self.frame));
        }
        if self.textures.len() > TEXTURES {
            let mut ages: Vec<u64> = self.textures.values().map(|(_, seen)| *seen).collect();
            ages.sort_unstable();
            let oldest = ages[ages.len() / 2];
            let now = self.frame;
            self.textures
                .retain(|_, (_, seen)| *seen > oldest || *seen + 1 >= now);
        }
    }
}

/// Draws the page.
pub fn show(ui: &mut Ui, state: &mut State, memory: &mut TriageState, actions: &mut Vec<Action>) {
    memory.refresh(&state.navigation.triage);
    memory.receive(ui.ctx());
    let plain = Frame::side_top_panel(ui.style()).fill(egui::Color32::TRANSPARENT);
    Panel::top("triage bar").frame(plain).show(ui, |ui| {
        query_bar::show(ui, state, memory, actions);
    });
    Panel::right("triage detail")
        .frame(plain)
        .default_size(280.0)
        .show(ui, |ui| {
            egui::ScrollArea::vertical()
                .auto_shrink(false)
                .show(ui, |ui| {
                    detail::show(ui, &mut state.navigation.triage, memory, actions);
                });
        });
    CentralPanel::default().frame(plain).show(ui, |ui| {
        if memory.contents.table.records.is_empty() {
            ui.centered_and_justified(|ui| {
                ui.label(empty(&state.navigation.triage, &memory.contents));
            });
            return;
        }
        match state.navigation.triage.tab {
            TriageTab::Grid => grid::show(ui, &mut state.navigation.triage, memory, actions),
            TriageTab::Matrices => matrices::show(ui, &mut state.navigation.triage, memory),
            TriageTab::Map => map::show(ui, &mut state.navigation.triage, memory, actions),
            TriageTab::Histograms => histograms::show(ui, &mut state.navigation.triage, memory),
        }
    });
}

/// What there is to do while nothing can be shown.
fn empty(triage: &Triage, contents: &Contents) -> egui::RichText {
    theme::weak(match (&triage.database, contents.scans.is_empty()) {
        (None, _) => "Open a scan database, or make one: epsiloscope scan FOLDER --db FILE",
        (Some(_), true) => "This database has no scan yet: epsiloscope scan FOLDER --db FILE",
        (Some(_), false) => "The scan has no results yet",
    })
}
