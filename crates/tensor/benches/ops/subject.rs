//! Which calls of an op are timed: those of the table, or else the sample of the catalogue that has axes of 17
//! and 33, at 1024 x 256.

use crate::{images, sequences};
use backflow_tensor::catalogue::{CATALOGUE, Run};
use backflow_tensor::{Affine, DType, Op, Pointwise, Rng, Tensor};
use std::sync::Arc;

/// An operand.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operand {
    /// Random numbers in a range, of which gradients are taken.
    Numbers([f64; 2]),
    /// The same, of images whose channels lie innermost.
    Images,
    /// Random places below a limit.
    Places(usize),
}

/// A call of an op on operands of these shapes.
pub(crate) struct Subject {
    pub(crate) op: &'static Op,
    pub(crate) label: String,
    pub(crate) operands: Vec<(Vec<usize>, Operand)>,
    /// The same in PyTorch, an expression of `a`, `b`, `c` …
    pub(crate) torch: String,
    pub(crate) run: Run,
}

pub(crate) type Row = (
    &'static str,
    &'static str,
    &'static [(&'static [usize], Operand)],
    &'static str,
    fn(&[Tensor]) -> Tensor,
);

const UNIT: Operand = Operand::Numbers([-1.0, 1.0]);
const M: &[usize] = &[1024, 256];
const MATRIX: (&[usize], Operand) = (M, UNIT);

/// Op, what is special about the call, operands, the call in PyTorch, and here. An op of elements whose
/// samples say how PyTorch calls it needs no row.
const TABLE: [Row; 45] = [
    ("powi", "3", &[MATRIX], "a ** 3", |x| x[0].powi(3)),
    ("powi", "-3", &[(M, Operand::Numbers([0.5, 3.0]))], "a ** -3.0", |x| x[0].powi(-3)),
    ("powf", "2.5", &[(M, Operand::Numbers([0.3, 3.0]))], "a ** 2.5", |x| x[0].powf(2.5)),
    ("powf", "2", &[MATRIX], "a ** 2.0", |x| x[0].powf(2.0)),
    ("maximum", "", &[MATRIX, MATRIX], "torch.maximum(a, b)", |x| x[0].maximum(&x[1])),
    ("minimum", "", &[MATRIX, MATRIX], "torch.minimum(a, b)", |x| x[0].minimum(&x[1])),
    ("add", "", &[MATRIX, MATRIX], "a + b", |x| &x[0] + &x[1]),
    ("add", "a row", &[MATRIX, (&[256], UNIT)], "a + b", |x| &x[0] + &x[1]),
    ("mul", "", &[MATRIX, MATRIX], "a * b", |x| &x[0] * &x[1]),
    ("mul", "a column", &[MATRIX, (&[1024, 1], UNIT)], "a * b", |x| &x[0] * &x[1]),
    ("dropout", "0.5", &[MATRIX], "F.dropout(a, 0.5)", |x| x[0].dropout(0.5, &Rng::seed_from_u64(7))),
    ("sum", "all", &[MATRIX], "a.sum()", |x| x[0].sum(..)),
    ("sum", "axis 0", &[MATRIX], "a.sum(0)", |x| x[0].sum(0)),
    ("sum", "axis 1", &[MATRIX], "a.sum(1)", |x| x[0].sum(1)),
    ("var", "axis 0", &[MATRIX], "a.var(0)", |x| x[0].var(0, 1)),
    ("var", "axis 1", &[MATRIX], "a.var(1)", |x| x[0].var(1, 1)),
    ("norm", "all", &[MATRIX], "a.norm()", |x| x[0].norm(..)),
    ("norm", "axis 1", &[MATRIX], "a.norm(dim=1)", |x| x[0].norm(1)),
    ("max", "all", &[MATRIX], "a.amax()", |x| x[0].max(..)),
    ("max", "axis 0", &[MATRIX], "a.amax(0)", |x| x[0].max(0)),
    ("max", "axis 1", &[MATRIX], "a.amax(1)", |x| x[0].max(1)),
    ("min", "axis 1", &[MATRIX], "a.amin(1)", |x| x[0].min(1)),
    ("argmax", "axis 0", &[MATRIX], "a.argmax(0)", |x| x[0].argmax(0)),
    ("argmax", "axis 1", &[MATRIX], "a.argmax(1)", |x| x[0].argmax(1)),
    ("logsumexp", "axis 1", &[MATRIX], "a.logsumexp(1)", |x| x[0].logsumexp(1)),
    ("softmax", "axis 0", &[MATRIX], "a.softmax(0)", |x| x[0].softmax(0)),
    ("softmax", "axis 1", &[MATRIX], "a.softmax(1)", |x| x[0].softmax(1)),
    ("log_softmax", "axis 1", &[MATRIX], "a.log_softmax(1)", |x| x[0].log_softmax(1)),
    (
        "cross_entropy",
        "256 classes",
        &[MATRIX, (&[1024], Operand::Places(256))],
        "F.cross_entropy(a, b)",
        |x| x[0].cross_entropy(&x[1]),
    ),
    ("matmul", "256 cubed", &[(&[256, 256], UNIT), (&[256, 256], UNIT)], "a @ b", |x| x[0].matmul(&x[1])),
    ("matmul", "16 of 64 cubed", &[(&[16, 64, 64], UNIT), (&[16, 64, 64], UNIT)], "a @ b", |x| {
        x[0].matmul(&x[1])
    }),
    (
        "linear",
        "64 by 784-256",
        &[(&[64, 784], UNIT), (&[256, 784], UNIT), (&[256], UNIT)],
        "F.linear(a, b, c)",
        |x| x[0].linear(&x[1], &x[2]),
    ),
    (
        "mlp",
        "64 by 256-128-10",
        &[(&[64, 256], UNIT), (&[128, 256], UNIT), (&[128], UNIT), (&[10, 128], UNIT), (&[10], UNIT)],
        "F.linear(F.linear(a, b, c).relu(), d, e)",
        |x| {
            let (hidden, last) = (Pointwise::Relu, Pointwise::Identity);
            x[0].mlp(&[Affine::new(&x[1], &x[2], hidden), Affine::new(&x[3], &x[4], last)])
        },
    ),
    ("broadcast_to", "", &[(&[256], UNIT)], "a.expand(1024, 256)", |x| x[0].broadcast_to([1024, 256])),
    ("permute", "", &[MATRIX], "a.permute(1, 0)", |x| x[0].permute([1, 0])),
    ("reshape", "", &[MATRIX], "a.reshape(512, 512)", |x| x[0].reshape([512, 512])),
    ("reshape", "of a transposed", &[MATRIX], "a.t().reshape(-1)", |x| x[0].t().reshape([1024 * 256])),
    ("slice", "", &[MATRIX], "a[256:768]", |x| x[0].slice(0, 256..768)),
    ("cat", "axis 0", &[MATRIX, MATRIX], "torch.cat([a, b], 0)", |x| Tensor::cat(&[&x[0], &x[1]], 0)),
    ("cat", "axis 1", &[MATRIX, MATRIX], "torch.cat([a, b], 1)", |x| Tensor::cat(&[&x[0], &x[1]], 1)),
    ("to_dtype", "f64", &[MATRIX], "a.double()", |x| x[0].to_dtype(DType::F64)),
    ("gather", "axis 1", &[MATRIX, (M, Operand::Places(256))], "a.gather(1, b)", |x| x[0].gather(1, &x[1])),
    ("scatter_add", "axis 1", &[MATRIX, (M, Operand::Places(256)), MATRIX], "a.scatter_add(1, b, c)", |x| {
        x[0].scatter_add(1, &x[1], &x[2])
    }),
    ("index_select", "rows", &[MATRIX, (&[1024], Operand::Places(1024))], "a.index_select(0, b)", |x| {
        x[0].index_select(0, &x[1])
    }),
    ("index_add", "rows", &[MATRIX, (&[1024], Operand::Places(1024)), MATRIX], "a.index_add(0, b, c)", |x| {
        x[0].index_add(0, &x[1], &x[2])
    }),
];

/// How PyTorch calls ops whose samples do not say so.
const COUNTERPARTS: [(&str, &str); 1] = [("normal_cdf", "torch.special.ndtr(a)")];

/// Parts of derivatives, for which PyTorch has no function, and ops that only gradients of others, which are timed
/// with them, are computed by.
const WITHOUT_COUNTERPART: [&str; 8] = [
    "gaussian",
    "logistic_density",
    "normal_cdf_tanh",
    "normal_density_tanh",
    "unslice",
    "conv2d_weight",
    "avg_unpool2d",
    "batch_norm_by",
];

/// What is timed, in the order of the catalogue.
pub(crate) fn all() -> Vec<Subject> {
    for (op, ..) in rows() {
        assert!(CATALOGUE.iter().any(|known| known.name == *op), "the catalogue has no {op}");
    }
    CATALOGUE.iter().filter(|op| !WITHOUT_COUNTERPART.contains(&op.name)).flat_map(|op| of(op)).collect()
}

fn rows() -> impl Iterator<Item = &'static Row> {
    TABLE.iter().chain(&images::TABLE).chain(&sequences::TABLE)
}

fn of(op: &'static Op) -> Vec<Subject> {
    let chosen: Vec<Subject> = rows()
        .filter(|row| row.0 == op.name)
        .map(|&(_, special, operands, torch, run)| Subject {
            op,
            label: format!("{} {special}", op.name).trim_end().to_owned(),
            operands: operands.iter().map(|(shape, operand)| (shape.to_vec(), *operand)).collect(),
            torch: torch.to_owned(),
            run: Arc::new(run),
        })
        .collect();
    if chosen.is_empty() { vec![from_samples(op)] } else { chosen }
}

fn from_samples(op: &'static Op) -> Subject {
    let sample = op.samples().into_iter().find(|sample| sample.inputs.iter().all(|x| x.shape() == [17, 33]));
    let sample = sample.unwrap_or_else(|| panic!("{} needs a row in {}", op.name, file!()));
    let counterpart = COUNTERPARTS.iter().find(|(name, _)| *name == op.name).map(|(_, torch)| *torch);
    let torch = counterpart.unwrap_or(&sample.torch).to_owned();
    assert!(!torch.is_empty(), "{}: {} is to say how PyTorch calls it", op.name, file!());
    let operand = |x: &Tensor| {
        let range = [x.min(..).item(), x.max(..).item()];
        (M.to_vec(), Operand::Numbers(range))
    };
    let operands = sample.inputs.iter().map(operand).collect();
    Subject { op, label: op.name.to_owned(), operands, torch, run: sample.run }
}

impl Subject {
    /// Operands in `f32`.
    pub(crate) fn inputs(&self) -> Vec<Tensor> {
        let mut rng = Rng::seed_from_u64(0);
        let mut drawn = |(shape, operand): &(Vec<usize>, Operand)| match *operand {
            Operand::Numbers([low, high]) => Tensor::uniform(&shape[..], low, high, DType::F32, &mut rng),
            Operand::Images => {
                let &[images, channels, rows, columns] = &shape[..] else { panic!("{shape:?}: four axes") };
                let lie = [images, rows, columns, channels];
                Tensor::uniform(lie, -1.0, 1.0, DType::F32, &mut rng).permute([0, 3, 1, 2])
            }
            Operand::Places(limit) => {
                let places = (0..shape.iter().product()).map(|_| rng.below(limit) as i64);
                Tensor::from_vec(places.collect(), &shape[..])
            }
        };
        self.operands.iter().map(&mut drawn).collect()
    }

    /// What PyTorch is to time, as a line of JSON.
    pub(crate) fn line(&self) -> String {
        let Self { label, torch, .. } = self;
        let orders = self.op.orders;
        let operands = self.operands.iter().map(|(shape, operand)| match operand {
            Operand::Numbers(range) => format!("{{\"shape\":{shape:?},\"range\":{range:?}}}"),
            Operand::Images => format!("{{\"shape\":{shape:?},\"range\":[-1.0,1.0]}}"),
            Operand::Places(limit) => format!("{{\"shape\":{shape:?},\"limit\":{limit}}}"),
        });
        let operands = operands.collect::<Vec<_>>().join(",");
        format!("{{\"label\":{label:?},\"torch\":{torch:?},\"orders\":{orders},\"operands\":[{operands}]}}")
    }
}
