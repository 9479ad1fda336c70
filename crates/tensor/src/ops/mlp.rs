//! A multilayer perceptron as one op: affine maps, each followed by a function.
//!
//! ```text
//! a₀ = x,  zᵢ = aᵢ wᵢᵀ + bᵢ,  aᵢ₊₁ = fᵢ(zᵢ),  y = a of the last layer
//! dz = da · f'(z),  dw = dzᵀ a,  db = Σ dz over rows,  da = dz w, and so on down
//!                                    keeps its inputs, its output, aᵢ, and f'(zᵢ) where a does not tell it
//! ```
//!
//! The bits are those of [`linear`](Tensor::linear) and the functions, one after the other, forwards and on a
//! first way back. As one op they cost the overhead of one, z is not stored where nobody looks at it, and
//! threads share the rows of a batch for all layers at once (`backflow_kernels::perceptron`).
//!
//! The slope of relu can be told from its value. Those of sigmoid and tanh cannot, where they saturate: they
//! are computed with the value, for little more than a multiplication, and kept beside it. To keep z and
//! compute an exponential again on the way back would cost as much memory and more time.
//!
//! Elements of a may be dropped by chance, as by [`dropout`](Tensor::dropout) behind the function: what is kept of
//! these layers is which are not, and a as it was, or the slopes.

mod dropped;
mod parts;

pub use self::dropped::Dropped;
use self::dropped::{After, draws};
use self::parts::Part;
pub use self::parts::mlp_shares_rows;
use super::dropout::{kept_factor, require_probability};
use super::elementwise::{self, Elementwise};
use super::relu::Relu;
use super::sigmoid::Sigmoid;
use super::tanh::Tanh;
use crate::catalogue::Samples;
use crate::cotangent::Cotangent;
use crate::dtype::{FloatElement, with_float};
use crate::error::misuse;
use crate::mode::mode;
use crate::onlooker::{Computed, Kind, OBSERVED};
use crate::op::{Keep, Op, Work, Zeros};
use crate::rng::Rng;
use crate::storage::Buffer;
use crate::tensor::Tensor;
use backflow_kernels::perceptron::{Function, Gradients, Known, Layer, Perceptron};
use backflow_kernels::{Float, map};
use smallvec::SmallVec;
use std::borrow::Cow;

pub(super) static OP: Op = Op::new("mlp")
    .formula("y = fₙ(… f₁(x w₁ᵀ + b₁) …)")
    .gradient("dz = da · f'(z), dw = dzᵀ a, db = Σ dz, da = dz w, layer by layer")
    .operands(&["x", "weight 0", "bias 0"])
    .keep(Keep::InputsAndOutput)
    .saves("the values of the hidden layers, the slopes of sigmoid and tanh, and what was dropped")
    .work(Work::Products(operations))
    .zeros(Zeros::Several)
    .stands_for("linear layers and the functions between them")
    .sampled_by(samples);

/// A layer of [`Tensor::mlp`].
#[derive(Clone, Copy, Debug)]
pub struct Affine<'a> {
    /// w, `[outputs, inputs]`.
    pub weight: &'a Tensor,
    /// b, `[outputs]`.
    pub bias: &'a Tensor,
    /// f.
    pub function: Pointwise,
    /// Which elements of f are dropped, if any.
    pub dropped: Option<Dropped>,
}

impl<'a> Affine<'a> {
    /// `f(x wᵀ + b)`, of which nothing is dropped.
    #[must_use]
    pub fn new(weight: &'a Tensor, bias: &'a Tensor, function: Pointwise) -> Self {
        Self { weight, bias, function, dropped: None }
    }
}

/// A function of each element whose slope is known with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pointwise {
    /// y = x.
    Identity,
    /// [`Tensor::relu`].
    Relu,
    /// [`Tensor::sigmoid`].
    Sigmoid,
    /// [`Tensor::tanh`].
    Tanh,
}

impl Pointwise {
    fn kernels<T: Float>(self) -> Option<Function<T>> {
        macro_rules! of {
            ($f:ident) => {
                Some(Function {
                    apply: |z| map::map_inplace(z, |z| $f.value(z)),
                    apply_to: |z, y| elementwise::values($f, z, y),
                    apply_with_slope: Some(|z, slope| {
                        map::map_inplace_beside(z, slope, |z| $f.value_and_slope(z))
                    }),
                    pull: |dy, slope| map::zip_inplace(dy, slope, elementwise::times),
                    pull_to: |dy, slope, dz| map::zip(dy, slope, dz, elementwise::times),
                })
            };
        }
        match self {
            Self::Identity => None,
            Self::Relu => Some(Function {
                apply: |z| map::map_inplace(z, |z| Relu.value(z)),
                apply_to: |z, y| elementwise::values(Relu, z, y),
                apply_with_slope: None,
                pull: |dy, y| elementwise::pull_in_place(Relu, dy, y),
                pull_to: |dy, y, dz| elementwise::pull(Relu, dy, y, dz),
            }),
            Self::Sigmoid => of!(Sigmoid),
            Self::Tanh => of!(Tanh),
        }
    }

    #[track_caller]
    fn apply(self, z: Tensor) -> Tensor {
        match self {
            Self::Identity => z,
            Self::Relu => z.relu(),
            Self::Sigmoid => z.sigmoid(),
            Self::Tanh => z.tanh(),
        }
    }

    /// dz from dy, and from z or y, whichever tells the slope.
    fn pull(self, dy: Tensor, z: &Tensor, y: &Tensor) -> Tensor {
        match self {
            Self::Identity => dy,
            Self::Relu => Relu.pull_tensor(&dy, y),
            Self::Sigmoid => Sigmoid.pull_tensor(&dy, z),
            Self::Tanh => Tanh.pull_tensor(&dy, z),
        }
    }
}

impl Tensor {
    /// These layers, one after the other. Shapes: x `[…, inputs]`, weights `[outputs, inputs]`, where a layer
    /// has as many inputs as the one before it has outputs; the result is `[…, outputs of the last]`.
    ///
    /// It announces nothing to observers, which is for layers to do. A forward pass of your own goes by
    /// [`attention`](crate::observe::attention): where nobody looks it calls this, where somebody only looks
    /// [`mlp_with_parts`](Self::mlp_with_parts), if [`mlp_shares_rows`], and announces the parts; otherwise
    /// it calls layers. `Mlp` and `Sequential` of the crate of layers do so. Inside
    /// [`one_by_one`](crate::observe::one_by_one), every layer and function is an op of its own.
    ///
    /// ```
    /// # use backflow_tensor::{Affine, Pointwise, Tensor};
    /// let (x, w, b) = (Tensor::from([[1.0, 2.0]]), Tensor::from([[1.0, -1.0]]), Tensor::from([0.5]));
    /// let layer = Affine::new(&w, &b, Pointwise::Tanh);
    /// assert_eq!(x.mlp(&[layer]).to_vec::<f64>(), x.linear(&w, &b).tanh().to_vec::<f64>());
    /// ```
    ///
    /// # Panics
    /// If there is no layer, shapes do not fit each other, element types differ, or a probability is not in [0, 1].
    #[must_use]
    #[track_caller]
    pub fn mlp(&self, layers: &[Affine<'_>]) -> Self {
        require_fit(self, layers);
        match mode().apart {
            true => self.one_by_one(layers).pop().expect("there is a layer"),
            false => self.as_one(layers, None),
        }
    }

    /// All layers as one op, with what lies between them in `parts`, if that is asked for.
    #[track_caller]
    fn as_one(&self, layers: &[Affine<'_>], parts: Option<&mut Vec<Self>>) -> Self {
        let rank = self.rank();
        let rows = self.layout.shape[..rank - 1].iter().product::<usize>();
        let after: SmallVec<[After; 4]> = layers.iter().map(After::of).collect();
        let parameters = layers.iter().flat_map(|layer| [layer.weight, layer.bias]);
        let operands: SmallVec<[&Self; 9]> = std::iter::once(self).chain(parameters).collect();
        let shape = self.layout.shape.with_size(rank - 1, layers[layers.len() - 1].weight.size(0));
        with_float!("mlp", self.dtype(), T => {
            let goes_back = mode().recording && operands.iter().any(|x| x.is_tracked());
            let (mut sums, mut hidden_len) = (None, 0);
            let (y, known, masks) = with_network::<T, _>(&operands, rows, &after, |network, x| {
                let mut masks = Some(network.masks_len()).filter(|&len| len > 0).map(Buffer::stale);
                if !goes_back && parts.is_none() && masks.is_none() {
                    let mut passing = Buffer::stale(network.passing_len());
                    let y = Self::build(shape, |y| network.infer(x, passing.as_mut_slice(), y));
                    return (y, Buffer::stale(0), masks);
                }
                // What is hidden, and the slopes, in one array.
                hidden_len = network.hidden_len();
                let slopes_len = if goes_back { network.slopes_len() } else { 0 };
                let mut known = Buffer::stale(hidden_len + slopes_len);
                let (hidden, slopes) = known.as_mut_slice().split_at_mut(hidden_len);
                let slopes = goes_back.then_some(slopes);
                sums = parts.is_some().then(|| Buffer::stale(network.shown_len()));
                let sums = sums.as_mut().map(Buffer::as_mut_slice);
                let draws = draws(layers);
                let draw = |layer: usize, elements, mask: &mut [bool]| draws[layer].draw(elements, mask);
                let of_masks = masks.as_mut().map_or(&mut [][..], Buffer::as_mut_slice);
                let y = Self::build(shape, |y| {
                    network.forward(x, hidden, slopes, sums, (of_masks, &draw), y);
                });
                (y, known, masks)
            });
            let back = move |g: &mut Cotangent<'_>, after: &[After], known: &[T], shown: &[Part]| {
                let masks = masks.as_ref().map_or(&[][..], Buffer::as_slice);
                if g.is_recorded() {
                    recorded(g, rows, (after, masks), shown);
                } else {
                    let (hidden, slopes) = known.split_at(hidden_len);
                    fused::<T>(g, rows, after, (hidden, slopes, masks), shown);
                }
            };
            let (Some(parts), Some(sums)) = (parts, sums) else {
                return y.record(&OP, &operands, move |g| back(g, &after, known.as_slice(), &[]));
            };
            let (known, sums) = (parts::flat(known), parts::flat(sums));
            let shown = parts::show(self, layers, [&sums, &known], parts);
            y.record(&OP, &operands, move |g| {
                back(g, &after, known.as_slice().expect("made as one slice"), &shown);
            })
        })
    }
}

/// The floating-point operations of all products. A gradient of weights is charged with the product that led
/// down to its layer.
fn operations(computed: &Computed<'_>) -> u64 {
    let Computed { kind, operands, result, .. } = computed;
    let (y, operands) = match kind {
        Kind::Result => (*result, *operands),
        _ => (operands[0], &operands[1..]),
    };
    let weights =
        |layer: usize| operands.get(2 * layer + 1).filter(|w| w.rank() == 2).map_or(0, |w| w.elements());
    let layers = (operands.len() - 1) / 2;
    let numbers: usize = match kind {
        Kind::Result => (0..layers).map(weights).sum(),
        Kind::Gradient { operand: 0 } => weights(0),
        Kind::Gradient { operand } if operand % 2 == 1 => {
            let layer = operand / 2;
            weights(layer) + if layer + 1 < layers { weights(layer + 1) } else { 0 }
        }
        _ => 0,
    };
    2 * (y.elements() / y.size(-1).max(1) * numbers) as u64
}

/// Runs `f` with the layers that operands `x, w₁, b₁, w₂, …` and what is after them make, and x.
fn with_network<T: FloatElement, R>(
    operands: &[&Tensor],
    rows: usize,
    after: &[After],
    f: impl FnOnce(&Perceptron<'_, T>, &[T]) -> R,
) -> R {
    let contiguous = "made contiguous above";
    let x = operands[0].contiguous();
    let biases: SmallVec<[Cow<'_, Tensor>; 4]> =
        operands[1..].chunks_exact(2).map(|layer| layer[1].contiguous()).collect();
    let layers = operands[1..].chunks_exact(2).zip(&biases).zip(after);
    let layers: SmallVec<[Layer<'_, T>; 4]> = layers
        .map(|((layer, bias), after)| Layer {
            weight: layer[0].matrix(),
            bias: bias.as_slice().expect(contiguous),
            inputs: layer[0].size(1),
            function: after.function.kernels(),
            kept: after.p.map(kept_factor),
        })
        .collect();
    f(&Perceptron::new(rows, &layers, mode().flushing), x.as_slice().expect(contiguous))
}

/// The gradients by the kernel. Those of `shown` are kept if somebody looks.
fn fused<T: FloatElement>(
    g: &mut Cotangent<'_>,
    rows: usize,
    after: &[After],
    (hidden, slopes, masks): (&[T], &[T], &[bool]),
    shown: &[Part],
) {
    let Some(lowest) = lowest(g, after.len()) else { return };
    let keeps = !shown.is_empty() && OBSERVED.get();
    let mut found: SmallVec<[Option<Buffer<T>>; 9]> = {
        let operands: SmallVec<[&Tensor; 9]> = (0..=2 * after.len()).map(|idx| g.x(idx)).collect();
        let buffer = |(idx, x): (usize, &&Tensor)| g.wants(idx).then(|| Buffer::stale(x.elements()));
        let mut found: SmallVec<[Option<Buffer<T>>; 9]> = operands.iter().enumerate().map(buffer).collect();
        let (y, dy) = (g.y(), g.dy().contiguous());
        let contiguous = "made contiguous above, and a result is";
        let (y, dy) = (y.as_slice().expect(contiguous), dy.as_slice().expect(contiguous));
        with_network::<T, _>(&operands, rows, after, |network, x| {
            let mut found = found.iter_mut().map(|buffer| buffer.as_mut().map(Buffer::as_mut_slice));
            let dx = found.next().flatten();
            let mut gradients: SmallVec<[Gradients<'_, T>; 4]> = SmallVec::new();
            while let (Some(weight), Some(bias)) = (found.next(), found.next()) {
                gradients.push(Gradients { weight, bias });
            }
            let mut deltas = Buffer::stale(if keeps { network.shown_len() } else { network.deltas_len() });
            let mut outputs = keeps.then(|| Buffer::stale(network.shown_len()));
            let kept = outputs.as_mut().map(Buffer::as_mut_slice);
            let known = Known { x, hidden, slopes, masks, y };
            network.backward(&known, dy, deltas.as_mut_slice(), &mut gradients, dx, kept);
            if let Some(outputs) = outputs {
                parts::show_gradients(g, &shown[lowest..], [deltas, outputs]);
            }
        });
        found
    };
    for idx in downwards(after.len()) {
        if let Some(buffer) = found[idx].take() {
            g.give(idx, |g| Tensor::from_buffer_like(buffer, g.x(idx)));
        }
    }
}

/// Operands in the order in which the way back comes by them: w and b of the last layer, those of the one
/// before, …, x.
fn downwards(layers: usize) -> impl Iterator<Item = usize> {
    (0..layers).rev().flat_map(|layer| [2 * layer + 1, 2 * layer + 2]).chain([0])
}

/// The lowest layer of which a gradient is wanted; `None` if the pass ends at the result.
fn lowest(g: &Cotangent<'_>, layers: usize) -> Option<usize> {
    (0..=2 * layers).find(|&idx| g.wants(idx)).map(|idx| idx.saturating_sub(1) / 2)
}

/// The gradients in tensor operations, for passes that are recorded. What lies between the layers is computed
/// once more, as part of the graph.
fn recorded(g: &mut Cotangent<'_>, rows: usize, (after, masks): (&[After], &[bool]), shown: &[Part]) {
    let Some(lowest) = lowest(g, after.len()) else { return };
    let last = after.len() - 1;
    let factors = dropped::factors(g, after, masks);
    // z, f(z), and what is left of it.
    let (mut z, mut f, mut a) = (Vec::new(), Vec::new(), vec![g.x(0).clone()]);
    for (layer, (After { function, .. }, factors)) in after.iter().zip(&factors).enumerate() {
        let is_needed =
            layer < last || factors.is_some() || matches!(function, Pointwise::Sigmoid | Pointwise::Tanh);
        z.push(match is_needed {
            true => a[layer].linear(g.x(2 * layer + 1), g.x(2 * layer + 2)),
            false => g.y(),
        });
        f.push(if layer < last || factors.is_some() { function.apply(z[layer].clone()) } else { g.y() });
        a.push(if layer == last { g.y() } else { dropped::times(f[layer].clone(), factors.as_ref()) });
    }
    let mut da = g.dy().clone();
    for layer in (lowest..=last).rev() {
        if let Some(node) = shown.get(layer).and_then(|part| part.output.as_ref()) {
            g.observe(node, &da);
        }
        let df = dropped::times(da, factors[layer].as_ref());
        let dz = after[layer].function.pull(df, &z[layer], &f[layer]);
        if let Some(node) = shown.get(layer).and_then(|part| part.sum.as_ref()) {
            g.observe(node, &dz);
        }
        let (weight, bias) = (2 * layer + 1, 2 * layer + 2);
        g.give(weight, |g| {
            let [n, k] = [0, 1].map(|axis| g.x(weight).size(axis));
            dz.reshape([rows, n]).t().matmul(&a[layer].reshape([rows, k]))
        });
        // Rows are summed away when the bias takes its gradient, as after any broadcast.
        g.give(bias, |_| dz.clone());
        if layer == 0 {
            return g.give(0, |g| dz.matmul(g.x(weight)));
        }
        if layer == lowest {
            return;
        }
        da = dz.matmul(g.x(weight));
    }
}

#[track_caller]
fn require_fit(x: &Tensor, layers: &[Affine<'_>]) {
    if layers.is_empty() {
        misuse("mlp", "there is no layer", &[("x", x.shape().to_string())], "a network has at least one");
    }
    let mut inputs = x.layout.shape.last().copied();
    for (idx, Affine { weight, bias, dropped, .. }) in layers.iter().enumerate() {
        dropped.iter().for_each(|dropped| require_probability(dropped.p));
        let sizes = &weight.layout.shape;
        let fits = sizes.rank() == 2 && inputs == Some(sizes[1]) && *bias.layout.shape == sizes[..1];
        let is_alike = x.dtype() == weight.dtype() && x.dtype() == bias.dtype();
        if !fits || !is_alike {
            let row = |x: &Tensor| format!("{} {}", x.shape(), x.dtype());
            let inputs = inputs.map_or(String::new(), |inputs| format!(", of {inputs} inputs"));
            let rows = [
                ("x", row(x)),
                ("layer", format!("{idx}{inputs}")),
                ("weight", row(weight)),
                ("bias", row(bias)),
            ];
            let hint = "x […, inputs], weight [outputs, inputs], bias [outputs], all of one type";
            misuse("mlp", "operands do not fit", &rows, hint);
        }
        inputs = Some(sizes[0]);
    }
}

fn samples(s: &mut Samples) {
    use Pointwise::{Identity, Relu, Sigmoid, Tanh};
    let linear = |x: &str, w: char, b: char| format!("torch.nn.functional.linear({x}, {w}, {b})");
    let of = |function: Pointwise, z: String| match function {
        Identity => z,
        Relu => format!("torch.relu({z})"),
        Sigmoid => format!("torch.sigmoid({z})"),
        Tanh => format!("torch.tanh({z})"),
    };
    type Case = (&'static str, &'static [usize], &'static [usize], &'static [Pointwise]);
    let cases: [Case; 12] = [
        ("identity", &[3, 4], &[5], &[Identity]),
        ("relu", &[3, 4], &[5], &[Relu]),
        ("sigmoid", &[3, 4], &[5], &[Sigmoid]),
        ("tanh", &[3, 4], &[5], &[Tanh]),
        ("one row", &[4], &[2, 3], &[Tanh, Identity]),
        ("stacked", &[2, 3, 4], &[5, 2], &[Sigmoid, Tanh]),
        ("no row", &[0, 4], &[5, 2], &[Relu, Identity]),
        ("no input", &[3, 0], &[2, 2], &[Tanh, Identity]),
        ("mixed", &[3, 4], &[5, 6, 2], &[Relu, Sigmoid, Identity]),
        ("large", &[17, 33], &[33, 17], &[Tanh, Identity]),
        ("transposed", &[4, 3], &[4, 2], &[Sigmoid, Identity]),
        ("dropped", &[4, 3], &[8, 6, 5], &[Relu, Tanh, Identity]),
    ];
    let dropped = Some(Dropped { p: 0.3, stream: Rng::seed_from_u64(7).state() });
    for (label, shape, outputs, functions) in cases {
        let mut inputs = vec![s.draw(shape, -2.0..2.0)];
        let (mut width, mut torch) = (shape[shape.len() - 1], "a".to_owned());
        for ((&n, &function), names) in
            outputs.iter().zip(functions).zip([['b', 'c'], ['d', 'e'], ['f', 'g']])
        {
            // Weights so small, and biases so far from 0, that no z comes near 0, where relu has its kink.
            let scale = 0.2 / width.max(1) as f64;
            let bias = s.draw(&[n], -1.0..1.0);
            inputs.extend([s.draw(&[n, width], -scale..scale), &bias + &bias.sign()]);
            torch = of(function, linear(&torch, names[0], names[1]));
            width = n;
        }
        if label == "transposed" {
            inputs[0] = s.draw(&[3, 4], -2.0..2.0).t();
            inputs[1] = s.draw(&[3, 4], -0.1..0.1).t();
        }
        // PyTorch draws from another generator.
        if label == "dropped" {
            torch.clear();
        }
        s.case(label, &inputs, &torch, move |x| {
            let layers: Vec<Affine<'_>> = x[1..]
                .chunks_exact(2)
                .zip(functions)
                .map(|(layer, &function)| Affine::new(&layer[0], &layer[1], function))
                .map(|layer| Affine { dropped: if label == "dropped" { dropped } else { None }, ..layer })
                .collect();
            match label {
                "mixed" => x[0].mlp_with_parts(&layers).pop().expect("a result"),
                _ => x[0].mlp(&layers),
            }
        });
    }
}
