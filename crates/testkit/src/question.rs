//! What PyTorch and Backflow are both asked: an op on given operands, and its derivatives along given
//! cotangents.

use backflow_tensor::catalogue::{CATALOGUE, Sample};
use backflow_tensor::{DType, Rng, Tensor};
use serde_json::{Value, json};

/// An op on given operands.
#[derive(Clone, Debug)]
pub struct Question {
    /// The operands, the op, and its expression in PyTorch.
    pub sample: Sample,
    /// How often it is differentiated.
    pub orders: u8,
    // Along what: for the first derivatives a tensor of the output's shape, for the second ones of the
    // inputs'.
    first: Tensor,
    second: Vec<Tensor>,
}

/// The samples of every op that has a counterpart in PyTorch.
#[must_use]
pub fn catalogue() -> Vec<Question> {
    let of_op = |op: &&backflow_tensor::Op| {
        let orders = op.orders;
        op.samples().into_iter().map(move |sample| (orders, sample))
    };
    let samples = CATALOGUE.iter().flat_map(of_op).filter(|(_, sample)| !sample.torch.is_empty());
    samples.map(|(orders, sample)| Question::new(sample, orders, cotangent)).collect()
}

impl Question {
    pub(crate) fn new(sample: Sample, orders: u8, cotangent: impl Fn(&Tensor, usize) -> Tensor) -> Self {
        let first = cotangent(&(sample.run)(&sample.inputs), 0);
        let second = sample.inputs.iter().enumerate().map(|(k, x)| cotangent(x, k + 1)).collect();
        Self { sample, orders, first, second }
    }

    /// Our answer: the result, the gradient by each operand, then of the sum of ⟨second, gradient⟩ the
    /// gradients by each operand and by the first cotangent; as far as the op is differentiated.
    #[must_use]
    pub fn answer(&self) -> Vec<Vec<f64>> {
        let numbers = |tensors: &[Tensor]| tensors.iter().map(Tensor::to_f64_vec).collect::<Vec<_>>();
        let y = (self.sample.run)(&self.sample.inputs);
        let mut answer = numbers(&[y]);
        if self.orders == 0 {
            return answer;
        }
        // A first-order pass uses the fused kernels, the recorded one the tensor formulas: both are asked.
        let xs: Vec<Tensor> = self.sample.inputs.iter().map(|x| x.clone().requires_grad()).collect();
        let targets: Vec<&Tensor> = xs.iter().collect();
        let found = (self.sample.run)(&xs).differentiate().seed(&self.first).wrt(&targets).run();
        let gradients = xs.iter().map(|x| found.get(x).cloned().unwrap_or_else(|| x.zeros_like()));
        answer.extend(numbers(&gradients.collect::<Vec<_>>()));
        if self.orders == 1 {
            return answer;
        }
        let u = self.first.clone().requires_grad();
        let found = (self.sample.run)(&xs).differentiate().seed(&u).wrt(&targets).create_graph().run();
        let mut second = backflow_tensor::Gradients::new();
        for (x, v) in xs.iter().zip(&self.second) {
            if let Some(gradient) = found.get(x).filter(|gradient| gradient.is_tracked()) {
                second.accumulate(gradient.differentiate().seed(v).retain_graph().run());
            }
        }
        let of = |x: &Tensor| second.get(x).cloned().unwrap_or_else(|| x.zeros_like());
        answer.extend(numbers(&xs.iter().chain([&u]).map(of).collect::<Vec<_>>()));
        answer
    }

    /// Changes whenever the question does.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        // FNV-1a, 64 bits: enough to notice an accident, and the same forever.
        let text = self.to_json().to_string();
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        format!("{hash:016x}")
    }

    /// The question as `scripts/golden_ops.py` reads it; elements are the hexadecimal digits of their
    /// little-endian bytes, which NaN and the last bit survive.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let tensor = |x: &Tensor| {
            let bytes = x.to_f64_vec().into_iter().flat_map(f64::to_le_bytes);
            let digits: String = bytes.map(|byte| format!("{byte:02x}")).collect();
            json!({ "shape": x.shape().to_vec(), "bytes": digits })
        };
        json!({
            "label": self.sample.label,
            "torch": self.sample.torch,
            "orders": self.orders,
            "inputs": self.sample.inputs.iter().map(tensor).collect::<Vec<_>>(),
            "first": tensor(&self.first),
            "second": self.second.iter().map(tensor).collect::<Vec<_>>(),
        })
    }
}

/// Entries between −1.5 and 1.5, a function of the shape and of `salt`.
fn cotangent(like: &Tensor, salt: usize) -> Tensor {
    let seed = Rng::seed_from_u64(1).split(salt as u64);
    let mut rng = like.shape().iter().fold(seed, |rng, &size| rng.split(size as u64));
    Tensor::uniform(like.shape(), -1.5, 1.5, DType::F64, &mut rng)
}
