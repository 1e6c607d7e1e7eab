//! The window in a run of frames, without a screen.

use std::time::{Duration, Instant};

use egui_kittest::{Harness, HarnessBuilder};
use epsiloscope::app::App;

/// Runs frames until `done`; a hanging window fails with `what` after a minute.
pub(crate) fn until(
    harness: &mut Harness<'_, App>,
    what: &str,
    done: impl Fn(&Harness<'_, App>) -> bool,
) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done(harness) {
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(20));
        harness.step();
    }
}

/// Runs `app` in a window of 1280×720 points.
pub(crate) fn run(builder: HarnessBuilder<App>, app: App) -> Harness<'static, App> {
    builder.with_size([1280.0, 720.0]).build_ui_state(
        |ui, app: &mut App| {
            app.logic(&ui.ctx().clone());
            app.ui(ui);
        },
        app,
    )
}
