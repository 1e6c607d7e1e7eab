//! What needs a graphics adapter: wgpu against PyTorch, the shader against its CPU twin, the window.
//!
//! Without any adapter the tests report themselves ignored; with `EPSILOSCOPE_REQUIRE_VULKAN` set
//! that is a failure. A harness of its own, because `#[ignore]` cannot be decided at run time.

mod algorithms;
mod keyboard;
mod lost;
mod self_test;
mod shader;
mod snapshots;
#[path = "../support/both.rs"]
mod support;
mod synthesis;
mod window;

use epsiloscope::attack::Norm;
use epsiloscope::compute::{Backend, Compute};
use libtest_mimic::{Arguments, Failed, Trial};

use support::{attribution_checks, parity_checks};

/// A test on the device that all of them share.
type Check = fn(&Compute);

const TESTS: [(&str, Check); 23] = [
    ("networks_agree_with_pytorch", networks),
    ("pgd_iterates_agree_with_pytorch", iterates),
    ("attacks_from_the_picture_agree_with_pytorch", attacks),
    ("attributions_agree_with_captum", captum),
    (
        "algorithms_of_convolutions_agree_with_the_cpu",
        algorithms::agree_with_the_cpu,
    ),
    (
        "the_self_test_strikes_out_what_is_wrong",
        self_test::strikes_out_what_is_wrong,
    ),
    (
        "the_self_test_keeps_nothing_of_software",
        self_test::keeps_nothing_of_software,
    ),
    (
        "the_self_test_is_in_the_window",
        self_test::is_in_the_window,
    ),
    (
        "equal_seeds_make_equal_pictures_on_both_backends",
        synthesis::agrees_with_the_cpu,
    ),
    (
        "the_shader_draws_what_its_cpu_twin_says",
        shader::pictures_and_differences,
    ),
    (
        "tensors_are_drawn_from_their_own_memory",
        shader::shared_memory,
    ),
    ("zoom_and_divider_are_uniforms", shader::zoom_and_divider),
    ("heat_maps_look_as_in_files", shader::heat_maps),
    (
        "the_window_explores_a_photograph",
        window::explores_a_photograph,
    ),
    (
        "the_window_opens_other_programs_models",
        window::opens_other_programs_models,
    ),
    (
        "the_window_asks_for_rows_of_model_files",
        window::asks_for_rows_of_model_files,
    ),
    ("the_window_exports_figures", window::exports_figures),
    ("the_window_presents", window::presents),
    (
        "the_window_offers_successors_of_replaced_models",
        window::offers_successors_of_replaced_models,
    ),
    (
        "the_window_shows_counterfactuals_of_every_model",
        window::shows_counterfactuals_of_every_model,
    ),
    (
        "parts_of_the_window_look_as_they_did",
        snapshots::look_as_they_did,
    ),
    ("tab_reaches_every_control", keyboard::reaches_every_control),
    ("a_lost_device_is_told", lost::is_told),
];

fn networks(gpu: &Compute) {
    for name in parity_checks::NETWORKS {
        parity_checks::check_network(name, &gpu.device);
    }
}

fn iterates(gpu: &Compute) {
    parity_checks::check_pgd(Norm::Linf, &gpu.device);
    parity_checks::check_pgd(Norm::L2, &gpu.device);
}

fn attacks(gpu: &Compute) {
    parity_checks::check_attacks(&gpu.device);
}

fn captum(gpu: &Compute) {
    attribution_checks::check_captum(&gpu.device);
    attribution_checks::check_partition(&gpu.device);
}

fn main() {
    let mut arguments = Arguments::from_args();
    // A burn operation belongs to the thread that issued it, and the device is one.
    arguments.test_threads = Some(1);
    let gpu = Compute::open(&Backend::Wgpu).map_err(|error| error.to_string());
    let required = std::env::var_os("EPSILOSCOPE_REQUIRE_VULKAN").is_some();
    let gpu: &'static Result<Compute, String> = Box::leak(Box::new(gpu));
    let trial = |(name, check): (&'static str, Check)| {
        let missing = gpu.is_err() && !required;
        let kind = if missing { "no graphics adapter" } else { "" };
        let run = move || match gpu {
            Ok(gpu) => {
                check(gpu);
                Ok(())
            }
            Err(error) => Err(Failed::from(error)),
        };
        Trial::test(name, run)
            .with_kind(kind)
            .with_ignored_flag(missing)
    };
    libtest_mimic::run(&arguments, TESTS.map(trial).into()).exit();
}
