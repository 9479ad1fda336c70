//! [`Map`]: a function as a layer, what [`Sequential::map`](crate::Sequential::map) adds.

use crate::layer::Layer;
use backflow_nn_derive::Module;
use backflow_tensor::observe::Announcement;
use backflow_tensor::{LayerId, Tensor};
use std::fmt;
use std::sync::Arc;

#[derive(Clone, Module)]
pub(crate) struct Map {
    #[module(skip)]
    what: Announcement,
    // Shared: a clone of a model is the same model, and a copy has the same functions.
    #[module(skip)]
    function: Arc<dyn Fn(&Tensor) -> Tensor + Send + Sync>,
    layer: LayerId,
}

impl Map {
    pub(crate) fn new(
        what: Announcement,
        function: impl Fn(&Tensor) -> Tensor + Send + Sync + 'static,
    ) -> Self {
        Self { what, function: Arc::new(function), layer: LayerId::new() }
    }
}

impl Layer for Map {
    fn forward(&self, x: &Tensor) -> Tensor {
        let y = (self.function)(x);
        self.layer.announce(self.what, &y);
        y
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what.name)
    }
}
