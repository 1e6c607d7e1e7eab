//! Seeded random numbers: the same on every device, in every batch, in every session.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The generator of one picture's noise.
pub fn noise_rng(seed: u64, number: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number);
    rng
}
