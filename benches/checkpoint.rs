//! What computing segments again saves and costs: 64 layers of 512, in 8 segments, at batch 2048.
//!
//! ```text
//! cargo bench --bench checkpoint
//! ```
//!
//! One JSON line each for layers with their functions in one op (`Mlp` does so) and one by one: bytes of
//! activations, that is the peak of a forward and a backward pass less the gradients at its end, and medians
//! of its time. The ways take turns.
#![allow(clippy::print_stdout, reason = "a benchmark shows its results")]

use backflow::prelude::*;
use backflow::tensor::{Affine, Pointwise, checkpoint, peak_bytes};
use std::time::Instant;

const LAYERS: usize = 64;
const SEGMENTS: usize = 8;
const WIDTH: usize = 512;
const BATCH: usize = 2048;
const ROUNDS: usize = 5;

type Layers = Vec<[Tensor; 2]>;
type Run = fn(&Layers, &Tensor) -> Tensor;

fn in_one_op(layers: &Layers, x: &Tensor) -> Tensor {
    let affine = |[weight, bias]: &'_ [Tensor; 2]| (weight.clone(), bias.clone());
    let layers: Vec<(Tensor, Tensor)> = layers.iter().map(affine).collect();
    let layers: Vec<Affine<'_>> =
        layers.iter().map(|(weight, bias)| Affine::new(weight, bias, Pointwise::Tanh)).collect();
    x.mlp(&layers)
}

fn one_by_one(layers: &Layers, x: &Tensor) -> Tensor {
    layers.iter().fold(x.clone(), |h, [weight, bias]| h.linear(weight, bias).tanh())
}

fn main() {
    let mut rng = Rng::seed_from_u64(0);
    let deviation = (WIDTH as f64).sqrt().recip();
    let mut weight = || (Tensor::randn([WIDTH, WIDTH], DType::F32, &mut rng) * deviation).requires_grad();
    let layers: Layers =
        (0..LAYERS).map(|_| [weight(), Tensor::zeros([WIDTH], DType::F32).requires_grad()]).collect();
    let segments: Vec<Layers> = layers.chunks(LAYERS / SEGMENTS).map(<[_]>::to_vec).collect();
    let x = Tensor::randn([BATCH, WIDTH], DType::F32, &mut Rng::seed_from_u64(1));
    let of_gradients: usize = layers.iter().flatten().map(|w| w.elements() * 4).sum();
    let kinds: [(&str, Run); 2] = [("in one op", in_one_op), ("one by one", one_by_one)];
    for (name, run) in kinds {
        let pass = |saves: bool| {
            let h = segments.iter().cloned().fold(x.clone(), |h, segment| {
                if saves { checkpoint(&h, move |x| run(&segment, x)) } else { run(&segment, &h) }
            });
            h.square().mean(..).backward()
        };
        let (mut bytes, mut times) = ([0; 2], [Vec::new(), Vec::new()]);
        for _ in 0..ROUNDS {
            for (saves, (bytes, times)) in [false, true].into_iter().zip(bytes.iter_mut().zip(&mut times)) {
                let start = Instant::now();
                let (peak, gradients) = peak_bytes(|| pass(saves));
                times.push(start.elapsed());
                assert!(layers.iter().flatten().all(|w| gradients.get(w).is_some()));
                *bytes = peak - of_gradients as u64;
            }
        }
        let [plain, saving] = times.map(|mut times| {
            times.sort_unstable();
            times[ROUNDS / 2].as_secs_f64() * 1e3
        });
        println!(
            "{{\"layers\":\"{name}\",\"plain_bytes\":{},\"checkpoint_bytes\":{},\"bytes_ratio\":{:.3},\
             \"plain_ms\":{plain:.0},\"checkpoint_ms\":{saving:.0},\"time_ratio\":{:.3}}}",
            bytes[0],
            bytes[1],
            bytes[1] as f64 / bytes[0] as f64,
            saving / plain
        );
    }
}
