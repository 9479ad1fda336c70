//! What a watch remembers from step to step: which units were alive, and gradients for the cosines with the next ones.

use super::Watch;
use backflow_tensor::Tensor;
use std::collections::BTreeMap;

/// Of each layer its path and, for each use, which units were other than 0.
type Alive = Vec<(String, Vec<Vec<bool>>)>;

impl Watch {
    /// The paths of the layers, in their order.
    pub(crate) fn layers(&self) -> Vec<&str> {
        self.places.values().map(|place| place.path.as_str()).collect()
    }

    pub(crate) fn memory(&self) -> (bool, Alive, BTreeMap<String, Tensor>) {
        let alive = self.places.values().map(|place| (place.path.clone(), place.alive.clone()));
        (self.has_epochs, alive.collect(), self.kept.clone())
    }

    /// Takes up what was remembered of each layer, in their order.
    pub(crate) fn remember(
        &mut self,
        has_epochs: bool,
        alive: impl Iterator<Item = Vec<Vec<bool>>>,
        gradients: BTreeMap<String, Tensor>,
    ) {
        self.has_epochs = has_epochs;
        self.places.values_mut().zip(alive).for_each(|(place, alive)| place.alive = alive);
        self.kept = gradients;
    }
}
