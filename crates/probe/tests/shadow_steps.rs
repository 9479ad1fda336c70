//! Whether deltas vanished in `f32` only on the way back through time: a shadow in `f64` tells, step by step.

extern crate backflow_tensor as backflow;

use backflow_kernels::Float;
use backflow_nn::{Linear, Module, Rnn, Stack};
use backflow_probe::{GradFlow, Verdict};
use backflow_tensor::{DType, Rng, Tensor, no_grad};

/// `h' = w h`, of which nothing but w tells: w per step on the way back, in any type that has the numbers.
#[derive(Clone, Module)]
struct Shrinking {
    /// By a recurrent layer, whose relu lets all pass,
    cells: Option<Rnn>,
    /// or by hand.
    carry: Option<Linear>,
}

impl Shrinking {
    const STEPS: usize = 60;

    fn new(factor: f64, by_layer: bool) -> Self {
        let mut cells = Rnn::with_stack(2, 2, Stack::new().batch_first(), &mut Rng::seed_from_u64(1)).relu();
        let square = |x: f64| Tensor::eye(2, DType::F32) * x;
        no_grad(|| {
            let weights = cells.weights_mut(0, false);
            weights.weight_hh.assign(&square(factor));
            weights.weight_ih.assign(&square(1.0));
            for bias in [&mut weights.bias_ih, &mut weights.bias_hh] {
                bias.as_mut().unwrap().assign(&Tensor::zeros([2], DType::F32));
            }
        });
        let carry = Linear::from_tensors(square(factor), None);
        match by_layer {
            true => Self { cells: Some(cells), carry: None },
            false => Self { cells: None, carry: Some(carry) },
        }
    }

    fn loss(&self, dtype: DType) -> Tensor {
        let x = Tensor::ones([3, Self::STEPS, 2], dtype);
        if let Some(cells) = &self.cells {
            return cells.forward(&x).select(1, -1).mean(..);
        }
        let mut h = Tensor::zeros([3, 2], dtype);
        for step in 0..Self::STEPS {
            let carried = self.carry.as_ref().unwrap().forward(&h);
            h = (carried + x.select(1, step as isize)).named_step("h", step);
        }
        h.mean(..)
    }

    fn flow(&self) -> GradFlow {
        GradFlow::record(self, || self.loss(DType::F32)).with_shadow(self, Self::loss)
    }
}

fn names(flow: &GradFlow) -> Vec<&'static str> {
    flow.verdicts().iter().map(Verdict::name).collect()
}

/// Deltas of 1/6 · 0.1ᵏ pass 1e-38 and then 1e-45 on the way back through 60 steps, and 0.7ᵏ does neither.
#[test]
fn underflow_over_time_is_told_from_vanishing_over_time() {
    // What a cell by hand hands on is its product, whose delta is that of the next state.
    for (by_layer, place, last) in [(true, "cells", Shrinking::STEPS - 1), (false, "h", Shrinking::STEPS - 2)]
    {
        let flow = Shrinking::new(0.1, by_layer).flow();
        let row = flow.rows().iter().find(|row| row.path == place).unwrap();
        let shadow = row.time_shadow.as_ref().unwrap();
        let [own, f64] = [&shadow.own, &shadow.f64].map(|time| time.of_one_loss().unwrap().to_vec());
        assert_eq!(own[0], 0.0);
        for (step, delta) in f64.iter().enumerate().take(last) {
            let back = (last - step) as f64;
            // The 0.1 of f32 is 1.5e-8 more than that, at each step.
            assert!((delta * 6.0 / Float::powf(10.0, -back) - 1.0).abs() < 1e-6, "{step}: {delta}");
        }
        // The last of which f32 has more than half: 1/6 · 10⁻⁴⁴ is 1.2 times its smallest number, 1/6 · 10⁻⁴⁵ is 0.12.
        let (lost, figures) = shadow.lost_at().unwrap();
        assert_eq!(lost as usize, last - 45);
        assert!(figures.delta_rms == 0.0 && figures.delta_rms_f64 > 0.0);
        let verdicts = flow.verdicts();
        assert!(
            matches!(&verdicts[0], Verdict::Underflow { layer, step: Some(_), shadow: Some(_), .. } if layer == place),
            "{verdicts:?}"
        );
        let said = "deltas are too small for f32, which has 0 there where f64 has 1.7e-46";
        assert_eq!(verdicts[0].to_string(), format!("UNDERFLOW: from step {lost} of {place} back, {said}"));
        // The line goes through what is there in f64, to the first step.
        let Verdict::VanishingOverSteps { line, .. } = &verdicts[1] else { panic!("{verdicts:?}") };
        assert!((line.slope + 1.0).abs() < 1e-6 && line.steps > last, "{line:?}");
        assert_eq!(line.lost_at, None);

        let flow = Shrinking::new(0.7, by_layer).flow();
        assert_eq!(names(&flow), ["VANISHING OVER STEPS"], "{:?}", flow.verdicts());
        // A state that nothing is carried on from is 0 in f64 too, and no underflow.
        let flow = Shrinking::new(0.0, by_layer).flow();
        assert!(!names(&flow).contains(&"UNDERFLOW"), "{:?}", flow.verdicts());
    }
}
