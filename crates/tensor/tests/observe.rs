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

/// Asks for the parts of the gradient of one result, and keeps what programs add.
#[derive(Default)]
struct Parts {
    of: u64,
    seen: Vec<(u64, usize, Vec<f64>)>,
    complete: Vec<f64>,
    sums: Vec<([Option<u64>; 2], Option<u64>)>,
}

impl Observer for Parts {
    fn output(&mut self, _: &Site, _: &Announcement, _: &Tensor) {}

    fn summed(&mut self, summands: [&Tensor; 2], sum: &Tensor) {
        self.sums.push((summands.map(Tensor::id), sum.id()));
    }

    fn starts(&mut self, _: &Tensor) -> Vec<u64> {
        vec![self.of]
    }

    fn part(&mut self, result: u64, by: u64, operand: usize, dx: &Tensor) {
        assert_eq!(result, self.of, "nobody asked for it");
        self.seen.push((by, operand, dx.to_vec()));
    }

    fn gradient(&mut self, _: &Site, result: Option<u64>, dy: &Tensor) {
        assert_eq!(result, Some(self.of));
        self.complete = dy.to_vec();
    }
}

/// h + h sin h: of one result by its three uses, the last first.
#[test]
fn gradients_come_in_parts_by_use() {
    let x = Tensor::from([0.5, 2.0]).requires_grad();
    let h = &x * 2.0;
    let (sin, cos) = (h.sin(), h.detach().cos());
    let product = &h * &sin;
    let asked = Parts { of: h.id().unwrap(), ..Parts::default() };
    let (seen, (sum, _)) = observe(asked, || {
        let sum = &h + &product;
        let loss = sum.sum(..);
        (sum, loss.backward())
    });
    let right = [
        (&sum, 0, vec![1.0, 1.0]),
        (&product, 0, sin.to_vec::<f64>()),
        (&sin, 0, (h.detach() * &cos).to_vec()),
    ];
    assert_eq!(seen.seen, right.map(|(by, operand, dx)| (by.id().unwrap(), operand, dx)));
    let all: Vec<f64> = (0..2).map(|place| seen.seen.iter().map(|(.., dx)| dx[place]).sum()).collect();
    assert_eq!(seen.complete, all, "added in the order in which they came");
    assert_eq!(seen.sums, [([h.id(), product.id()], sum.id())]);
}
