//! The vector instructions of the processor, chosen at run time.

use pulp::{Arch, Simd, WithSimd};

/// The vector instructions that kernels use.
#[derive(Clone, Copy, Debug)]
pub(super) enum Instructions {
    /// What the processor has: AVX-512, AVX2, NEON.
    Best(Arch),
    /// Plain Rust on eight numbers at once: what the others are compared with.
    Plain,
}

impl Instructions {
    /// What this processor has.
    pub(super) fn detect() -> Self {
        match Arch::new() {
            // Without vectors, blocks of eight numbers are what the compiler does best with.
            Arch::Scalar => Self::Plain,
            arch => Self::Best(arch),
        }
    }

    /// Numbers in a vector.
    pub(super) fn lanes(self) -> usize {
        struct Lanes;
        impl WithSimd for Lanes {
            type Output = usize;
            fn with_simd<S: Simd>(self, _: S) -> usize {
                S::F32_LANES
            }
        }
        self.run(Lanes)
    }

    /// Runs a kernel, compiled for these instructions.
    pub(super) fn run<K: WithSimd>(self, kernel: K) -> K::Output {
        match self {
            Self::Best(arch) => arch.dispatch(kernel),
            Self::Plain => kernel.with_simd(pulp::Scalar256b),
        }
    }

    /// Runs loops that the compiler turns into these instructions.
    pub(super) fn run_inlined(self, loops: impl FnOnce()) {
        self.run(Inlined(loops));
    }
}

/// A function, compiled anew for the vectors that run it as far as it is inlined.
struct Inlined<F>(F);

impl<F: FnOnce()> WithSimd for Inlined<F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        (self.0)();
    }
}

/// What steps run on.
#[derive(Clone, Copy)]
pub(super) struct Resources {
    pub(super) instructions: Instructions,
    pub(super) threads: usize,
}
