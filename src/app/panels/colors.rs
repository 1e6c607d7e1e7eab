//! Settings of the maps' colours: instant, as they are uniforms.

use egui::{ComboBox, Slider, Ui};

use crate::compute::{Blend, Channels, HeatStyle, Palette, Sign};

/// Draws the settings.
pub fn show(ui: &mut Ui, style: &mut HeatStyle) {
    ui.horizontal(|ui| {
        for sign in Sign::ALL {
            let hint = match sign {
                Sign::Signed => "Pixels that speak for the class and pixels that speak against it",
                Sign::Positive => "Only pixels that speak for the class",
                Sign::Negative => "Only pixels that speak against the class",
                Sign::Absolute => "How much a pixel matters, for or against",
            };
            ui.selectable_value(&mut style.sign, sign, format!("{sign:?}").to_lowercase())
                .on_hover_text(hint);
        }
    });
    ui.horizontal(|ui| {
        for blend in Blend::ALL {
            let (name, hint) = match blend {
                Blend::Grey => ("on grey", "The map over the picture without its colours"),
                Blend::Picture => ("on the picture", "The map over the picture as it is"),
                Blend::Alone => ("alone", "The map without the picture"),
            };
            ui.selectable_value(&mut style.blend, blend, name)
                .on_hover_text(hint);
        }
    });
    ui.horizontal(|ui| {
        ui.label("Colours");
        ComboBox::from_id_salt("palette")
            .selected_text(format!("{:?}", style.palette))
            .show_ui(ui, |ui| {
                for palette in Palette::ALL {
                    ui.selectable_value(&mut style.palette, palette, format!("{palette:?}"));
                }
            })
            .response
            .on_hover_text("Palette of the maps; the diverging ones come first");
        ui.checkbox(&mut style.locked, "One scale")
            .on_hover_text("All maps share one scale, so that they can be compared");
    });
    ui.horizontal(|ui| {
        ui.label("Channels");
        ui.selectable_value(&mut style.channels, Channels::Sum, "sum")
            .on_hover_text("The values of red, green and blue together, so that the map adds up as its method promises");
        ui.selectable_value(&mut style.channels, Channels::Mean, "mean")
            .on_hover_text("Their mean, in the unit of one value");
        let reset = ui.small_button("Reset");
        if reset.on_hover_text("The usual colours").clicked() {
            *style = HeatStyle::default();
        }
    });
    for (name, value, range, hint) in [
        (
            "Clip",
            &mut style.percentile,
            50.0..=100.0,
            "The colours end at this percentile of the magnitudes",
        ),
        (
            "Top",
            &mut style.contour,
            0.0..=50.0,
            "A line around this share of the pixels, in per cent, those of highest magnitude; 0 draws none",
        ),
        (
            "Threshold",
            &mut style.threshold,
            0.0..=1.0,
            "Values below this share of the scale are not drawn",
        ),
        (
            "Opacity",
            &mut style.opacity,
            0.0..=1.0,
            "How far the colours cover the picture",
        ),
    ] {
        ui.horizontal(|ui| {
            ui.label(name);
            let slider = Slider::new(value, range).max_decimals(2);
            ui.add(slider).on_hover_text(hint);
        });
    }
}
