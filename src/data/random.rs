//! Seeded random number generators: the same numbers on every device, in every batch, in every
//! session.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The random number generator of one `stream`, such as one picture's noise: ChaCha8 with `seed`.
pub fn noise_rng(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}
