//! Drawing on the open picture: the mask of attacks, patches, paint.

mod canvas;
mod settings;

pub use canvas::{MaskOverlays, on_tile};
pub use settings::settings;
