//! [`Place`]: a result inside of a layer that has a row of its own in tables, under the path of the field.

use backflow_nn_derive::Module;
use backflow_tensor::observe::Announcement;
use backflow_tensor::{LayerId, Role, Tensor};

#[derive(Clone, Debug, Module)]
pub(crate) struct Place {
    id: LayerId,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { id: LayerId::new() }
    }

    pub(crate) fn announce(&self, what: Announcement, y: &Tensor) {
        self.id.announce(what, y);
    }

    /// The sum of what goes past a residual branch and what comes out of it, announced as that.
    #[track_caller]
    pub(crate) fn residual(&self, past: &Tensor, branch: &Tensor) -> Tensor {
        let y = past + branch;
        self.announce(Role::ResidualSum.called("residual"), &y);
        y
    }
}
