//! Observers inside one another, and the gradients they replace.

use backflow_tensor::observe::{Announcement, Observer, Site, observe};
use backflow_tensor::{Tensor, is_recording};

/// Multiplies gradients, and writes down the outputs and the gradients it saw.
#[derive(Default)]
struct Times {
    factor: f64,
    outputs: Vec<f64>,
    gradients: Vec<f64>,
}

impl Observer for Times {
    fn output(&mut self, _: &Site, _: &Announcement, y: &Tensor) {
        assert!(!is_recording());
        self.outputs.push(y.item());
    }

    fn gradient(&mut self, _: &Site, _: Option<u64>, dy: &Tensor) {
        assert!(!is_recording() && !dy.is_tracked());
        self.gradients.push(dy.item());
    }

    fn replace(&mut self, _: &Site, dy: &Tensor) -> Option<Tensor> {
        (self.factor != 0.0).then(|| dy * self.factor)
    }
}

fn times(factor: f64) -> Times {
    Times { factor, ..Times::default() }
}

#[test]
fn observers_inside_one_another_see_what_flows_on() {
    let w = Tensor::from(3.0).requires_grad();
    let (outer, (inner, gradient)) = observe(times(0.0), || {
        let early = w.square().named("early");
        let (inner, gradients) = observe(times(10.0), || (&early * 2.0).named("late").backward());
        let _ = w.square().named("after");
        (inner, gradients.of(&w).item())
    });
    // d(2w²)/dw = 4w, times 10 where the inner observer stands, which has not seen the early result.
    assert_eq!(gradient, 120.0);
    assert_eq!((inner.outputs, inner.gradients), (vec![18.0], vec![10.0]));
    assert_eq!((outer.outputs, outer.gradients), (vec![9.0, 18.0, 9.0], vec![10.0, 20.0]));
    // And nobody is left.
    assert_eq!(w.square().named("h").backward().of(&w).item(), 6.0);
}

#[test]
fn a_kept_graph_is_observed_at_each_pass_and_explaining_is_no_pass() {
    let w = Tensor::from(3.0).requires_grad();
    let (seen, ()) = observe(times(10.0), || {
        let y = w.square().named("y");
        assert_eq!(y.differentiate().retain_graph().run().of(&w).item(), 60.0);
        let way = y.gradients_back_to(&w);
        let found: Vec<(&str, f64)> = way.iter().map(|(step, dy)| (step.op.name, dy.item())).collect();
        assert_eq!(found, [("square", 1.0), ("leaf", 6.0)]);
        assert_eq!(y.backward().of(&w).item(), 60.0);
    });
    assert_eq!(seen.gradients, [10.0, 10.0]);
}

#[test]
fn a_panic_in_an_inner_watch_leaves_the_outer_one() {
    let w = Tensor::from(3.0).requires_grad();
    let (outer, ()) = observe(times(0.0), || {
        let inner = || observe(times(0.0), || panic!("within"));
        let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _: (Times, ()) = inner();
        }));
        assert!(died.is_err());
        let _ = w.square().named("y");
    });
    assert_eq!(outer.outputs, [9.0]);
}
