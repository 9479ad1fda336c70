//! Whether a tensor holds numbers, and nothing else.

use crate::dtype::with_float;
use crate::tensor::Tensor;

impl Tensor {
    /// Whether no element is NaN or infinite; integers and booleans never are.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// assert!(Tensor::from([1.0, 1e308]).is_all_finite());
    /// assert!(!Tensor::from([1.0, f64::NAN]).is_all_finite());
    /// ```
    #[must_use]
    pub fn is_all_finite(&self) -> bool {
        if !self.dtype().is_float() {
            return true;
        }
        with_float!("is_all_finite", self.dtype(), T => {
            let x = self.dense();
            // Without a branch for each element, so that it takes no time.
            x.dense_slice::<T>().is_some_and(|x| x.iter().fold(true, |all, x| all & x.is_finite()))
        })
    }
}
