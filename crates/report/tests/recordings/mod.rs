//! Made-up recordings with the shape of real ones: what a network of 20 layers gives whose gradients vanish,
//! of one in good health, and of one that breaks.
#![allow(dead_code, reason = "not every test needs every subject")]

use backflow_nn::Activation;
use backflow_probe::{
    CurvatureFlow, Exponents, FlowStep, GradientNoise, JacobianFlow, LayerFlow, LayerKind, ParameterFlow,
    SampleFlow, Spectrum, Stats,
};
use backflow_report::{Header, Theory};
use backflow_tensor::Role;

/// How numbers change from layer to layer, and what else happens to the network.
pub(crate) struct Subject {
    pub(crate) activation: &'static str,
    pub(crate) depth: usize,
    pub(crate) steps: u64,
    /// By how many decades deltas change per layer on the way back.
    pub(crate) delta_decades: f64,
    /// By how many decades activations change per layer.
    pub(crate) activation_decades: f64,
    /// The step and the layer at which the first NaN appears.
    pub(crate) broken: Option<(u64, usize)>,
}

/// At these steps after the first there is what takes long to measure: curvature, Jacobians, single samples,
/// cosines of gradients.
pub(crate) const SELDOM: u64 = 7;

/// The step at or before this one that has it.
pub(crate) fn seldom(step: u64) -> u64 {
    step - (step - 1) % SELDOM
}

pub(crate) const VANISHING: Subject = Subject {
    activation: "sigmoid",
    depth: 20,
    steps: 240,
    delta_decades: -2.6,
    activation_decades: 0.0,
    broken: None,
};

pub(crate) const HEALTHY: Subject = Subject {
    activation: "relu",
    depth: 8,
    steps: 60,
    delta_decades: -0.01,
    activation_decades: 0.01,
    broken: None,
};

pub(crate) const BROKEN: Subject = Subject {
    activation: "tanh",
    depth: 6,
    steps: 30,
    delta_decades: 0.8,
    activation_decades: 0.1,
    broken: Some((21, 3)),
};

impl Subject {
    pub(crate) fn record(&self) -> Vec<FlowStep> {
        (1..=self.steps).map(|step| self.step(step)).collect()
    }

    fn step(&self, step: u64) -> FlowStep {
        let progress = step as f64 / self.steps as f64;
        let mut flow = FlowStep {
            step,
            loss: 2.3 * 10_f64.powf(-0.8 * progress * (1.0 + self.delta_decades / 3.0)) * wave(step, 0, 0.05),
            gradient_norm: 0.7,
            learning_rate: 1e-3,
            uncalled: vec!["spare <layer>".to_owned()],
            ..FlowStep::default()
        };
        if seldom(step) == step {
            self.measure(&mut flow, progress);
        }
        for layer in 0..self.depth {
            let last = layer + 1 == self.depth;
            let above = (self.depth - 1 - layer) as f64;
            let delta = 10_f64.powf(self.delta_decades * (1.0 - 0.3 * progress) * above - 2.0);
            // Single precision has nothing smaller.
            let delta = if delta < 1.4e-45 { 0.0 } else { delta * wave(step, layer, 0.2) };
            let activation = 10_f64.powf(self.activation_decades * layer as f64) * wave(step, layer, 0.05);
            let broken = self.broken.is_some_and(|(at, place)| step > at || step == at && layer >= place);
            let linear = LayerFlow {
                path: format!("layers.{}", 2 * layer),
                kind: LayerKind { name: "linear".to_owned(), role: Role::WeightedMap },
                output: stats(activation, 0.02, broken),
                delta: Some(stats(delta, 0.0, self.broken.is_some_and(|(at, _)| step >= at))),
                units: 64,
                output_exponents: Some(exponents(activation, broken)),
                delta_exponents: Some(exponents(delta, broken)),
                ..LayerFlow::default()
            };
            let parameter = |name: &str, scale: f64| ParameterFlow {
                path: format!("layers.{}.{name}", 2 * layer),
                gradient_rms: if broken { f64::NAN } else { delta * activation * scale },
                weight_rms: 0.1,
                update_rms: 1e-3 * delta,
                update_ratio: delta * activation * scale * 1e-2,
                effective_learning_rate: 1e-3,
                momentum_cosine: Some((0.9 - 0.05 * layer as f64) * wave(step, layer, 0.1)),
                gradient_cosine: (seldom(step) == step)
                    .then(|| 0.3 - 0.03 * layer as f64 - 0.2 * wave(step, layer, 1.0)),
                gradient_exponents: Some(exponents(delta * activation, broken)),
                weight_exponents: Some(exponents(0.1 * scale, broken)),
                ..ParameterFlow::default()
            };
            flow.parameters.extend([parameter("weight", 1.0), parameter("bias", 0.4)]);
            let bounded = self.activation != "relu";
            let activated = LayerFlow {
                path: format!("layers.{}", 2 * layer + 1),
                kind: LayerKind {
                    name: self.activation.to_owned(),
                    role: self.activation.parse().map_or(Role::Other, Activation::role),
                },
                output: stats(0.6 * activation, if self.activation == "sigmoid" { 0.5 } else { 0.0 }, broken),
                saturated_share: bounded.then_some(0.04 * layer as f64 / self.depth as f64 + 0.3 * progress),
                dead_units: (!bounded).then_some(layer as u64 / 2 + 6 * step / self.steps),
                dead_units_of_epoch: (!bounded).then_some(layer as u64 / 3),
                delta: Some(stats(2.0 * delta, 0.0, broken)),
                ..linear.clone()
            };
            flow.layers.push(linear);
            if !last {
                flow.layers.push(activated);
            }
        }
        if self.broken.is_some_and(|(at, _)| step >= at) {
            flow.loss = f64::NAN;
        }
        flow
    }
}

impl Subject {
    /// What takes long to measure.
    fn measure(&self, flow: &mut FlowStep, progress: f64) {
        let step = flow.step;
        let sharpness = (20.0 + 1500.0 * progress) * wave(step, 1, 0.1);
        flow.curvature = Some(CurvatureFlow {
            sharpness,
            smallest: -0.1 * sharpness,
            bound: 0.02 * sharpness,
            trace: 6.0 * sharpness,
            trace_error: 0.5 * sharpness,
        });
        let spectrum = |depth: f64, place: usize| {
            let decades = (self.delta_decades.max(-1.0) * depth).max(-30.0);
            let rms = 10_f64.powf(decades) * wave(step, place, 0.2);
            let [largest, median, smallest] = [2.0, 0.9, 1e-3].map(|times| times * rms);
            Spectrum { largest, median, smallest, mean_square: rms * rms, spread: 1.2 + progress }
        };
        let layers = (0..self.depth).map(|layer| (format!("layers.{}", 2 * layer), spectrum(1.0, layer)));
        flow.jacobians =
            Some(JacobianFlow { layers: layers.collect(), whole: spectrum(self.depth as f64, self.depth) });
        let noise_scale = if step == 1 { f64::INFINITY } else { 30.0 * 10_f64.powf(1.5 * progress) };
        flow.samples = Some(SampleFlow {
            samples: 64,
            norms: Stats { mean: 2.1, std: 1.0, rms: 2.3, max: 7.0 * wave(step, 2, 0.3), zero_share: 0.0 },
            noise: GradientNoise {
                variance: 5.0,
                signal: 5.0 / noise_scale,
                noise_scale,
                relative_error: 0.6,
            },
            signal_to_noise: 0.2 * 10_f64.powf(-progress) * wave(step, 3, 0.2),
        });
    }
}

/// A factor around 1 that looks random and is not.
fn wave(step: u64, layer: usize, height: f64) -> f64 {
    let phase = (step * 7919 + layer as u64 * 104_729) % 1009;
    1.0 + height * (phase as f64 / 504.5 - 1.0)
}

fn stats(rms: f64, mean: f64, broken: bool) -> Stats {
    if broken {
        return Stats { mean: f64::NAN, std: f64::NAN, rms: f64::NAN, max: f64::INFINITY, zero_share: 0.0 };
    }
    Stats { mean, std: rms, rms: (rms * rms + mean * mean).sqrt(), max: 4.0 * rms, zero_share: 0.0 }
}

/// 4096 numbers spread around the given size.
fn exponents(rms: f64, broken: bool) -> Exponents {
    let mut exponents = Exponents { first: -126, counts: vec![0; 254], ..Exponents::default() };
    if broken {
        exponents.nan = 4000;
        exponents.infinite = 96;
        return exponents;
    }
    let middle = if rms > 0.0 { rms.log2().floor() as i32 } else { -160 };
    for (below, count) in
        [5, 400, 1300, 1100, 600, 330, 170, 90, 48, 25, 14, 7, 4, 2, 1].into_iter().enumerate()
    {
        let exponent = middle + 2 - below as i32;
        match exponent {
            ..-149 => exponents.zeros += count,
            -149..-126 => exponents.subnormal += count,
            _ => exponents.counts[(exponent + 126) as usize] += count,
        }
    }
    exponents
}

/// What a page of the subject says besides its figures.
pub(crate) fn header(subject: &Subject) -> Header {
    let Subject { activation, depth, delta_decades, .. } = subject;
    let layers = 2 * depth - 1;
    let theory = |rms: f64, decades: f64| {
        let above = move |layer: usize| {
            if decades < 0.0 || delta_decades == &decades { (depth - 1 - layer / 2) as f64 } else { 0.0 }
        };
        (0..layers)
            .map(|layer| if layer % 2 == 0 { rms * 10_f64.powf(decades * above(layer)) } else { f64::NAN })
            .collect()
    };
    Header {
        title: format!("Gradient flow: {depth} layers with {activation} <deep>"),
        setup: vec![
            format!("{depth} × [Linear 64 → 64, {activation}], weights N(0, 1/n)"),
            "embedded digits, batch size 64, sgd lr=0.001, seed 0".to_owned(),
        ],
        verdicts: vec![if *delta_decades < -0.05 {
            format!(
                "VANISHING: deltas change by {delta_decades} decades per layer on the way back (theory \
                 {delta_decades}, R² 0.999); choose tanh or ReLU with He's initialization, or add residual \
                 connections."
            )
        } else if subject.broken.is_some() {
            "EXPLODING: the first NaN is in layers.6 at step 21 (matmul & add).".to_owned()
        } else {
            format!("HEALTHY: deltas change by {delta_decades} decades per layer.")
        }],
        eps: None,
        theory: Some(Theory { delta_rms: theory(0.01, *delta_decades), activation_rms: theory(1.0, 0.0) }),
        theory_notes: Vec::new(),
    }
}
