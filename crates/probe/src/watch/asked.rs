//! [`Asked`]: what somebody wants to know of a step.

/// What to measure in a step.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) looks: bool,
    pub(crate) histograms: bool,
    pub(crate) units: bool,
    pub(crate) time_maps: bool,
    pub(crate) samples: bool,
    pub(crate) cosines: bool,
    pub(crate) keeps_gradients: bool,
}

impl Asked {
    pub(crate) fn anything(self) -> bool {
        self.looks || self.keeps_gradients
    }

    pub(super) fn parameters(self) -> bool {
        self.histograms || self.cosines || self.keeps_gradients
    }
}
