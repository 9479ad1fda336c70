//! [`When`]: the steps at which something is measured.

use backflow_kernels::Float;

/// When something is measured. Steps are counted from 1 by the recorder, whatever number the optimizer gives
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At no step.
    Never,
    /// At steps 1, 1 + n, 1 + 2n, …; with 0, at none.
    Every(u64),
    /// At so many steps between 1 and 10, between 10 and 100, …, evenly on a logarithmic scale, rounded to
    /// whole steps: often while much changes, seldom later. With 3: 1, 2, 5, 10, 22, 46, 100, …; with 0,
    /// none.
    PerDecade(u32),
}

impl When {
    /// Whether step `step`, counted from 1, is one.
    ///
    /// ```
    /// use backflow_probe::When;
    /// let due: Vec<u64> = (1..=1000).filter(|&step| When::PerDecade(2).is_due(step)).collect();
    /// assert_eq!(due, [1, 3, 10, 32, 100, 316, 1000]);
    /// ```
    #[must_use]
    pub fn is_due(self, step: u64) -> bool {
        match self {
            Self::Never | Self::Every(0) | Self::PerDecade(0) => false,
            Self::Every(n) => step >= 1 && (step - 1).is_multiple_of(n),
            Self::PerDecade(n) => {
                let per_decade = f64::from(n);
                let nearest = (per_decade * Float::ln(step as f64) / std::f64::consts::LN_10).round();
                // The nearest mark may round to the next step, and the one before it to this. Not the other way
                // round: on a logarithmic scale, what rounds to a step reaches farther down than up.
                let marks = [nearest - 1.0, nearest].into_iter().filter(|&mark| mark >= 0.0);
                step >= 1
                    && marks
                        .map(|mark| Float::powf(10.0, mark / per_decade).round())
                        .any(|mark| mark == step as f64)
            }
        }
    }
}
