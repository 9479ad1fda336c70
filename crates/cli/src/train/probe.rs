//! [`Probe`]: how closely a training is watched.

use crate::network::Model;
use backflow_probe::{Recorder, When};
use clap::ValueEnum;

/// How closely a training is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Probe {
    /// Not at all.
    Off,
    /// About two hundred steps of the run: activations, deltas, gradients, updates.
    Basic,
    /// About two thousand steps, with histograms of exponents and cosines of successive gradients; at each
    /// tenth of them the gradient noise scale; now and then, ever more seldom, the curvature of the loss
    /// (each time as long as a hundred steps), singular values of Jacobians (0.1 s for layers of 256, 5 s for
    /// layers of 1024) and stable ranks of gradients.
    Full,
}

impl Probe {
    /// A recorder for a run of this many steps.
    pub(super) fn recorder(self, model: &Model, steps: u64) -> Option<Recorder> {
        let looks = match self {
            Self::Off => return None,
            Self::Basic => 200,
            Self::Full => 2000,
        };
        let pause = (steps / looks).max(1);
        let recorder = Recorder::new(model).every(When::Every(pause));
        let full = self == Self::Full;
        Some(if full {
            recorder
                .histograms(When::Every(pause))
                .gradient_cosines(When::Every(pause))
                .noise_scale(When::Every(10 * pause))
                .curvature(When::PerDecade(4))
                .jacobians(When::PerDecade(2))
                .measure_affordable()
        } else {
            recorder
        })
    }
}
