//! Candle's part in `benches/peers/step.py`: answers lines `WORKLOAD SECONDS` with the median time of a
//! training step.

use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::{
    AdamW, Conv2d, Init, Linear, Module, Optimizer, ParamsAdamW, SGD, VarBuilder, VarMap, conv2d, linear,
    loss, ops,
};
use std::collections::HashMap;
use std::io::BufRead;
use std::time::Instant;

const STEPS: usize = 2000;
const WARM_UP: usize = 5;
const LEARNING_RATE: f64 = 1e-5;

type Step = Box<dyn FnMut() -> Result<()>>;

/// Sizes, activation, batch, rule: the table of `benches/step/workload.rs`.
fn workload(name: &str) -> (Vec<usize>, &'static str, usize, &'static str) {
    let stack = |depth: usize| [vec![64; depth], vec![10]].concat();
    let mlp = || vec![784, 256, 128, 10];
    match name {
        "tiny" => (vec![2, 16, 16, 2], "tanh", 32, "sgd"),
        "mlp_small" => (mlp(), "relu", 64, "adam"),
        "deep_sigmoid" => ([vec![784], vec![64; 30], vec![10]].concat(), "sigmoid", 64, "sgd"),
        "wide_mlp" => (vec![784, 2048, 2048, 10], "relu", 512, "adam"),
        "mlp_batch_1" => (mlp(), "relu", 1, "adam"),
        "mlp_batch_4096" => (mlp(), "relu", 4096, "adam"),
        "subnormal" => (stack(100), "sigmoid", 64, "sgd"),
        _ => {
            let depth =
                name.strip_prefix("deep_").and_then(|depth| depth.parse().ok()).expect("a known workload");
            (stack(depth), "relu", 64, "sgd")
        }
    }
}

/// `cnn`, whose weights begin as candle has them.
fn cnn() -> Result<Step> {
    let variables = VarMap::new();
    let builder = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
    let convolution = |inputs, outputs, name| -> Result<Conv2d> {
        conv2d(inputs, outputs, 3, Default::default(), builder.pp(name))
    };
    let convolutions = [convolution(1, 32, "0")?, convolution(32, 64, "1")?];
    let layers = [linear(9216, 128, builder.pp("2"))?, linear(128, 10, builder.pp("3"))?];
    let x = Tensor::randn(0_f32, 1.0, (64, 1, 28, 28), &Device::Cpu)?;
    let y = Tensor::from_vec((0..64_u32).map(|i| i % 10).collect::<Vec<_>>(), 64, &Device::Cpu)?;
    let settings = ParamsAdamW { lr: LEARNING_RATE, weight_decay: 0.0, ..Default::default() };
    let mut optimizer = AdamW::new(variables.all_vars(), settings)?;
    Ok(Box::new(move || {
        let mut h = x.clone();
        for convolution in &convolutions {
            h = convolution.forward(&h)?.relu()?;
        }
        let h = layers[0].forward(&h.max_pool2d(2)?.flatten_from(1)?)?.relu()?;
        optimizer.backward_step(&loss::cross_entropy(&layers[1].forward(&h)?, &y)?)
    }))
}

fn step(name: &str) -> Result<Step> {
    if name == "cnn" {
        return cnn();
    }
    let (sizes, activation, batch, rule) = workload(name);
    let variables = VarMap::new();
    let builder = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
    let gain = if activation == "relu" { 2.0 } else { 1.0 };
    let layers = sizes.windows(2).enumerate().map(|(i, pair)| {
        let [inputs, outputs] = [pair[0], pair[1]];
        let scope = builder.pp(i.to_string());
        let normal = Init::Randn { mean: 0.0, stdev: (gain / inputs as f64).sqrt() };
        let weight = scope.get_with_hints((outputs, inputs), "weight", normal)?;
        Ok(Linear::new(weight, Some(scope.get_with_hints(outputs, "bias", Init::Const(0.0))?)))
    });
    let layers = layers.collect::<Result<Vec<Linear>>>()?;
    let x = Tensor::randn(0_f32, 1.0, (batch, sizes[0]), &Device::Cpu)?;
    let classes = sizes[sizes.len() - 1];
    let y =
        Tensor::from_vec((0..batch).map(|i| (i % classes) as u32).collect::<Vec<_>>(), batch, &Device::Cpu)?;
    let loss_of = move || -> Result<Tensor> {
        let mut h = x.clone();
        for (i, layer) in layers.iter().enumerate() {
            h = layer.forward(&h)?;
            if i + 1 < layers.len() {
                h = match activation {
                    "relu" => h.relu()?,
                    "tanh" => h.tanh()?,
                    _ => ops::sigmoid(&h)?,
                };
            }
        }
        debug_assert_eq!(h.dim(D::Minus1)?, classes);
        loss::cross_entropy(&h, &y)
    };
    if rule == "adam" {
        let settings = ParamsAdamW { lr: LEARNING_RATE, weight_decay: 0.0, ..Default::default() };
        let mut optimizer = AdamW::new(variables.all_vars(), settings)?;
        Ok(Box::new(move || optimizer.backward_step(&loss_of()?)))
    } else {
        let mut optimizer = SGD::new(variables.all_vars(), LEARNING_RATE)?;
        Ok(Box::new(move || optimizer.backward_step(&loss_of()?)))
    }
}

fn main() -> Result<()> {
    let mut running: HashMap<String, Step> = HashMap::new();
    for question in std::io::stdin().lock().lines() {
        let question = question?;
        let (name, seconds) = question.split_once(' ').expect("WORKLOAD SECONDS");
        let seconds: f64 = seconds.trim().parse().expect("seconds are a number");
        if !running.contains_key(name) {
            running.insert(name.to_owned(), step(name)?);
        }
        let step = running.get_mut(name).expect("made above");
        for _ in 0..WARM_UP {
            step()?;
        }
        let (mut times, begin) = (Vec::new(), Instant::now());
        while times.is_empty() || times.len() < STEPS && begin.elapsed().as_secs_f64() < seconds {
            let start = Instant::now();
            step()?;
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
        times.sort_by(f64::total_cmp);
        let n = times.len();
        println!(
            "{{\"peer\":\"candle\",\"w\":\"{name}\",\"n\":{n},\"med_us\":{},\"p10_us\":{}}}",
            times[n / 2],
            times[n / 10]
        );
    }
    Ok(())
}
