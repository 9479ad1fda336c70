//! The cases of `tests/golden/losses.json`, and what is computed of them here.

use backflow_nn::loss::{self, Reduction};
use backflow_tensor::{DType, Tensor};
use serde_json::Value;

pub(super) fn golden() -> Value {
    let text = include_str!("../../../../tests/golden/losses.json");
    serde_json::from_str(text).expect("the golden file is JSON")
}

/// A loss, its operands and options, and PyTorch's answers.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) loss: String,
    /// Differences tell the derivative: it is not at a kink.
    pub(super) smooth: bool,
    /// Which operands gradients are known of.
    pub(super) wrt: Vec<usize>,
    pub(super) operands: Vec<Tensor>,
    options: Value,
    /// By reduction: value, and gradients.
    pub(super) answers: Vec<(Option<Reduction>, Tensor, Vec<Vec<f64>>)>,
}

pub(super) fn cases() -> Vec<Case> {
    golden()["losses"].as_array().expect("a list").iter().map(case).collect()
}

fn case(case: &Value) -> Case {
    let list = |value: &Value| value.as_array().expect("a list").clone();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let reductions = [
        ("mean", Some(Reduction::Mean)),
        ("sum", Some(Reduction::Sum)),
        ("none", Some(Reduction::None)),
        ("batchmean", None),
    ];
    let answers = case["results"].as_object().expect("an object").iter().map(|(name, answer)| {
        let (_, reduction) = reductions.iter().find(|(known, _)| known == name).expect("a reduction");
        (*reduction, tensor(&answer["value"]), list(&answer["gradients"]).iter().map(numbers).collect())
    });
    Case {
        name: format!("{}, {}", text(&case["loss"]), text(&case["label"])),
        loss: text(&case["loss"]),
        smooth: case["smooth"].as_bool().expect("a truth"),
        wrt: numbers(&case["wrt"]).into_iter().map(|idx| idx as usize).collect(),
        operands: list(&case["operands"]).iter().map(tensor).collect(),
        options: case["options"].clone(),
        answers: answers.collect(),
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| value.as_str().expect("a word").parse().expect("nan or inf"))
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(number).collect()
}

fn tensor(value: &Value) -> Tensor {
    let shape: Vec<usize> = numbers(&value["shape"]).into_iter().map(|size| size as usize).collect();
    let dtype = if value["type"] == "i64" { DType::I64 } else { DType::F64 };
    Tensor::from_vec(numbers(&value["data"]), shape).to_dtype(dtype)
}

/// Calls each method whose option is given.
macro_rules! with {
    ($case:ident, $x:ident, $loss:expr; $($option:ident $kind:ident),*) => {{
        let mut loss = $loss;
        $(if let Some(value) = $case.options.get(stringify!($option)) {
            loss = with!($kind, loss, $option, value, $x);
        })*
        loss
    }};
    (number, $loss:ident, $option:ident, $value:ident, $x:ident) => { $loss.$option(number($value)) };
    (integer, $loss:ident, $option:ident, $value:ident, $x:ident) => { $loss.$option(number($value) as _) };
    (said, $loss:ident, $option:ident, $value:ident, $x:ident) => {{
        assert_eq!($value, true);
        $loss.$option()
    }};
    (tensor, $loss:ident, $option:ident, $value:ident, $x:ident) => {
        $loss.$option(&tensor($value).to_dtype($x[0].dtype()))
    };
}

impl Case {
    /// The loss of such operands; without a reduction, the sum over the size of the batch.
    pub(super) fn loss(&self, x: &[Tensor], reduction: Option<Reduction>) -> Tensor {
        let how = reduction.unwrap_or_default();
        match self.loss.as_str() {
            "mse_loss" => loss::MseLoss::new().reduction(how).of(&x[0], &x[1]),
            "l1_loss" => loss::L1Loss::new().reduction(how).of(&x[0], &x[1]),
            "huber_loss" => {
                with!(self, x, loss::HuberLoss::new(); delta number).reduction(how).of(&x[0], &x[1])
            }
            "smooth_l1_loss" => {
                with!(self, x, loss::SmoothL1Loss::new(); beta number).reduction(how).of(&x[0], &x[1])
            }
            "cross_entropy" => with!(self, x, loss::CrossEntropy::new();
                weight tensor, ignore_index integer, label_smoothing number)
            .reduction(how)
            .of(&x[0], &x[1]),
            "nll_loss" => with!(self, x, loss::NllLoss::new(); weight tensor, ignore_index integer)
                .reduction(how)
                .of(&x[0], &x[1]),
            "binary_cross_entropy_with_logits" => {
                with!(self, x, loss::BinaryCrossEntropyWithLogits::new(); weight tensor, pos_weight tensor)
                    .reduction(how)
                    .of(&x[0], &x[1])
            }
            "binary_cross_entropy" => {
                with!(self, x, loss::BinaryCrossEntropy::new(); weight tensor).reduction(how).of(&x[0], &x[1])
            }
            "kl_div" => {
                let loss = with!(self, x, loss::KlDiv::new(); log_target said);
                let loss = if reduction.is_none() { loss.batch_mean() } else { loss };
                loss.reduction(how).of(&x[0], &x[1])
            }
            "cosine_embedding_loss" => with!(self, x, loss::CosineEmbeddingLoss::new(); margin number)
                .reduction(how)
                .of(&x[0], &x[1], &x[2]),
            "triplet_margin_loss" => {
                with!(self, x, loss::TripletMarginLoss::new(); margin number, p number, swap said)
                    .reduction(how)
                    .of(&x[0], &x[1], &x[2])
            }
            "hinge_embedding_loss" => {
                with!(self, x, loss::HingeEmbeddingLoss::new(); margin number).reduction(how).of(&x[0], &x[1])
            }
            "multi_margin_loss" => {
                with!(self, x, loss::MultiMarginLoss::new(); p integer, margin number, weight tensor)
                    .reduction(how)
                    .of(&x[0], &x[1])
            }
            unknown => panic!("{unknown} is not known here"),
        }
    }

    /// The function of that name, if no option is set.
    pub(super) fn function(&self) -> Option<Tensor> {
        let x = &self.operands;
        let of_two: fn(&Tensor, &Tensor) -> Tensor = match self.loss.as_str() {
            _ if self.options.as_object().is_some_and(|options| !options.is_empty()) => return None,
            "cosine_embedding_loss" => return Some(loss::cosine_embedding_loss(&x[0], &x[1], &x[2])),
            "triplet_margin_loss" => return Some(loss::triplet_margin_loss(&x[0], &x[1], &x[2])),
            "mse_loss" => loss::mse_loss,
            "l1_loss" => loss::l1_loss,
            "huber_loss" => loss::huber_loss,
            "smooth_l1_loss" => loss::smooth_l1_loss,
            "cross_entropy" => loss::cross_entropy,
            "nll_loss" => loss::nll_loss,
            "binary_cross_entropy_with_logits" => loss::binary_cross_entropy_with_logits,
            "binary_cross_entropy" => loss::binary_cross_entropy,
            "kl_div" => loss::kl_div,
            "hinge_embedding_loss" => loss::hinge_embedding_loss,
            "multi_margin_loss" => loss::multi_margin_loss,
            unknown => panic!("{unknown} is not known here"),
        };
        Some(of_two(&x[0], &x[1]))
    }

    /// What the mean divides the sum by: class weights of labels that count, rows of probabilities, and else
    /// the number of losses.
    pub(super) fn denominator(&self, losses: &Tensor) -> f64 {
        let target = &self.operands[1];
        if target.dtype() != DType::I64 || !["cross_entropy", "nll_loss"].contains(&self.loss.as_str()) {
            return losses.elements() as f64;
        }
        let ignored = self.options.get("ignore_index").map(number);
        let weights = self.options.get("weight").map(|weight| numbers(&weight["data"]));
        let counted = target.to_f64_vec().into_iter().filter(|&label| Some(label) != ignored);
        counted.map(|label| weights.as_ref().map_or(1.0, |weights| weights[label as usize])).sum()
    }
}
