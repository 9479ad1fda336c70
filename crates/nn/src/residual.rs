//! [`Residual`]: a branch and a way past it, added.

use crate::layer::Layer;
use crate::sequential::Sequential;
use backflow_tensor::{DType, LayerId, Module, Path, Role, Tensor, Visitor, VisitorMut};
use std::fmt;

/// A residual block: `y = s(x) + c α f(x)`, f the branch, s the identity or a
/// [shortcut](Self::with_shortcut), c a [constant](Self::scaled_by) and α a
/// [trained factor](Self::with_factor), both 1 unless set. He et al. 2016.
///
/// Paths of the branch are those that it has without the block, under the block's own: `0.weight`, …; those
/// of the shortcut begin with `shortcut`; α is `factor`. It announces y, as the sum that it is.
///
/// ```
/// use backflow_nn::{Activation, Linear, Module, Residual, Sequential};
/// use backflow_tensor::{DType, Rng};
///
/// let mut rng = Rng::seed_from_u64(7);
/// let branch = Sequential::new().add(Linear::new(8, 4, &mut rng)).add(Activation::Relu);
/// let block = Residual::new(branch).with_shortcut(Sequential::new().add(Linear::new(8, 4, &mut rng)));
/// let model = Sequential::new().add(block.with_factor(0.0, DType::F32));
/// let paths: Vec<String> = model.state().into_iter().map(|(path, _)| path).collect();
/// assert_eq!(paths, ["0.0.weight", "0.0.bias", "0.shortcut.0.weight", "0.shortcut.0.bias", "0.factor"]);
/// ```
#[derive(Clone)]
pub struct Residual {
    branch: Sequential,
    shortcut: Option<Sequential>,
    constant: f64,
    factor: Option<Tensor>,
    id: LayerId,
}

impl Residual {
    /// `y = x + f(x)`.
    #[must_use]
    pub fn new(branch: Sequential) -> Self {
        Self { branch, shortcut: None, constant: 1.0, factor: None, id: LayerId::new() }
    }

    /// The same with another way past the branch than the identity, as a projection where the branch changes
    /// the shape.
    #[must_use]
    pub fn with_shortcut(self, shortcut: Sequential) -> Self {
        Self { shortcut: Some(shortcut), ..self }
    }

    /// The same with the branch times a constant, as 1/√depth.
    #[must_use]
    pub fn scaled_by(self, constant: f64) -> Self {
        Self { constant, ..self }
    }

    /// The same with the branch times a trained number, which begins as `factor`: 0 in `ReZero` (Bachlechner et
    /// al. 2020) and `SkipInit` (De and Smith 2020).
    ///
    /// # Panics
    /// If `dtype` is not floating point.
    #[must_use]
    #[track_caller]
    pub fn with_factor(self, factor: f64, dtype: DType) -> Self {
        Self { factor: Some(Tensor::full([1], factor, dtype).requires_grad()), ..self }
    }

    /// The branch.
    #[must_use]
    pub fn branch(&self) -> &Sequential {
        &self.branch
    }

    /// The sum of what goes past the branch and what comes out of it.
    ///
    /// # Panics
    /// If their shapes differ, or where a layer panics.
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let past = self.shortcut.as_ref().map_or_else(|| x.clone(), |shortcut| shortcut.forward(x));
        let mut y = self.branch.forward(x);
        if self.constant != 1.0 {
            y *= self.constant;
        }
        if let Some(factor) = &self.factor {
            y *= factor;
        }
        if y.shape() != past.shape() {
            let rows = [("branch", y.shape().to_string()), ("past it", past.shape().to_string())];
            backflow_tensor::misuse(
                "Residual",
                "shapes differ",
                &rows,
                "a shortcut may change the shape, too",
            );
        }
        let y = past + y;
        self.id.announce(Role::ResidualSum.called("residual"), &y);
        y
    }
}

impl Layer for Residual {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }
}

// Not derived: the branch has no step of its own in paths, and visitors are told of it.
impl Module for Residual {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        visitor.branch(true);
        self.branch.visit(path, visitor);
        visitor.branch(false);
        path.inside("shortcut", |path| self.shortcut.visit(path, visitor));
        path.inside("factor", |path| self.factor.visit(path, visitor));
        path.inside("id", |path| self.id.visit(path, visitor));
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn VisitorMut) {
        self.branch.visit_mut(path, visitor);
        path.inside("shortcut", |path| self.shortcut.visit_mut(path, visitor));
        path.inside("factor", |path| self.factor.visit_mut(path, visitor));
        path.inside("id", |path| self.id.visit_mut(path, visitor));
    }
}

impl fmt::Debug for Residual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Residual({:?}", self.branch)?;
        if let Some(shortcut) = &self.shortcut {
            write!(f, ", shortcut {shortcut:?}")?;
        }
        if self.constant != 1.0 {
            write!(f, ", times {}", self.constant)?;
        }
        f.write_str(if self.factor.is_some() { ", times a factor)" } else { ")" })
    }
}
