//! Agreement with PyTorch on the CPU back end.

use burn::tensor::Device;
use epsiloscope::attack::Norm;

use crate::support::parity_checks::{NETWORKS, check_attacks, check_network, check_pgd};

#[test]
fn networks_agree_with_pytorch() {
    for name in NETWORKS {
        check_network(name, &Device::flex());
    }
}

#[test]
fn pgd_iterates_agree_with_pytorch() {
    check_pgd(Norm::Linf, &Device::flex());
    check_pgd(Norm::L2, &Device::flex());
}

#[test]
fn attacks_from_the_picture_agree_with_pytorch() {
    check_attacks(&Device::flex());
}
