//! Cross entropy of class scores against labels, in one op.
//!
//! ```text
//! y  = −(1/n) Σ ln pᵢ,ₜᵢ,  p = softmax x          rows i, labels tᵢ
//! dx = dy · (p − onehot t) / n                    keeps its input, p and pₜ − 1
//! ```
//!
//! pₜ − 1 is e^(ln pₜ) − 1, which keeps its digits where pₜ rounds to 1. Softmax, logarithm and choice are
//! one pass over the scores each way; a recorded backward recomputes p as a tensor formula. A label whose
//! score is −∞ costs +∞. Of no rows the mean is NaN.

use crate::catalogue::Samples;
use crate::dtype::{DType, FloatElement, with_float};
use crate::error::misuse;
use crate::op::{Keep, Op, Zeros};
use crate::pitfall::{Makes, Of, Pitfall};
use crate::shape::Shape;
use crate::storage::Buffer;
use crate::tensor::Tensor;
use backflow_kernels::{map, reduce, softmax};

pub(super) static OP: Op = Op::new("cross_entropy")
    .formula("y = −mean ln softmax(x)[label]")
    .gradient("dx = dy · (softmax x − onehot) / n")
    .operands(&["logits"])
    .keep(Keep::Inputs)
    .saves("softmax x, what is missing of it at the labels to 1, and those")
    .zeros(Zeros::Saturation)
    .why_zeros("every label has all of the probability, as far as the element type can tell")
    .pitfalls(&[Pitfall::forward(
        Makes::Either,
        Of::Infinities,
        "A label whose score is −∞ costs +∞: do not mask the right answer",
    )])
    .sampled_by(samples);

impl Tensor {
    /// The mean negative log-likelihood of the labels under the softmax of these scores ("logits"). Shapes:
    /// self `[n, classes]`, targets `[n]` of integers below `classes`; the result is a scalar, in nats.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let (logits, labels) = (Tensor::from([[0.0, 0.0], [0.0, 0.0]]), Tensor::from([0_i64, 1]));
    /// assert_eq!(logits.cross_entropy(&labels).item(), std::f64::consts::LN_2);
    /// ```
    ///
    /// # Panics
    /// If the shapes or element types are not these, or a label is not a class.
    #[must_use]
    #[track_caller]
    pub fn cross_entropy(&self, targets: &Self) -> Self {
        let shape = self.shape();
        if shape.rank() != 2 || targets.shape() != shape[..1] || targets.dtype() != DType::I64 {
            let rows = [("logits", self.described()), ("targets", targets.described())];
            let hint = "logits [n, classes] of floating point, targets [n] of i64";
            misuse("cross_entropy", "operands do not fit", &rows, hint);
        }
        let (n, classes) = (shape[0], shape[1]);
        let targets = targets.contiguous().untracked();
        let labels = labels(&targets);
        if let Some(row) = labels.iter().position(|&label| label < 0 || label >= classes as i64) {
            let rows = [
                ("row", row.to_string()),
                ("label", labels[row].to_string()),
                ("classes", classes.to_string()),
            ];
            misuse("cross_entropy", "a label is not a class", &rows, "labels run from 0 to classes − 1");
        }
        with_float!("cross_entropy", self.dtype(), T => self.fused_cross_entropy::<T>(n, classes, targets))
    }

    #[track_caller]
    fn fused_cross_entropy<T: FloatElement>(&self, n: usize, classes: usize, targets: Self) -> Self {
        let x = self.contiguous();
        let x = x.as_slice::<T>().expect("made contiguous above");
        let mut losses = Buffer::<T>::stale(n);
        let p = Self::build_like::<T>(self, |p| {
            softmax::cross_entropy(x, n, classes, labels(&targets), losses.as_mut_slice(), p);
        });
        let y = Self::build::<T>(Shape::SCALAR, |y| {
            reduce::sum(losses.as_slice(), 1, n, 1, y);
            y[0] = y[0] / T::from_f64(n as f64);
        });
        // p − 1 of the labels, in one loop.
        let mut of_labels = losses;
        map::map_inplace(of_labels.as_mut_slice(), |loss| (-loss).exp_m1());
        y.record(&OP, &[self], move |g| {
            g.give(0, |g| {
                let places =
                    labels(&targets).iter().enumerate().map(|(row, &label)| row * classes + label as usize);
                if g.is_recorded() {
                    let mut is_label = vec![false; n * classes];
                    places.for_each(|place| is_label[place] = true);
                    let is_label = Self::from_vec(is_label, [n, classes]);
                    let of_labels = g.x(0).log_softmax(1).exp_m1();
                    return g.dy() * Self::select_where(&is_label, &of_labels, &g.x(0).softmax(1)) / n as f64;
                }
                let scale = T::from_f64(g.dy().item()) / T::from_f64(n as f64);
                let p = p.as_slice::<T>().expect("built above");
                Self::build_like::<T>(g.x(0), |dx| {
                    map::map(p, dx, |p| p * scale);
                    places
                        .zip(of_labels.as_slice())
                        .for_each(|(place, &p_less_1)| dx[place] = p_less_1 * scale);
                })
            });
        })
    }
}

fn labels(targets: &Tensor) -> &[i64] {
    targets.as_slice().expect("contiguous integers, as checked")
}

fn samples(s: &mut Samples) {
    let cases: [(&str, Tensor, &[i64]); 4] = [
        ("", s.draw(&[3, 4], -3.0..3.0), &[2, 0, 3]),
        ("one row", s.draw(&[1, 2], -3.0..3.0), &[1]),
        ("one class", s.draw(&[2, 1], -3.0..3.0), &[0, 0]),
        ("transposed", s.draw(&[5, 3], -3.0..3.0).t(), &[4, 4, 0]),
    ];
    for (label, x, targets) in cases {
        let torch = format!("torch.nn.functional.cross_entropy(a, torch.tensor({targets:?}))");
        let targets = Tensor::from_vec(targets.to_vec(), [targets.len()]);
        s.case(label, &[x], &torch, move |x| x[0].cross_entropy(&targets));
    }
}
