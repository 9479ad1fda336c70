//! Where the heads of attentions look, and how far apart they leave the tokens.
//!
//! *Entropy.* H = −Σₖ aₖ ln aₖ of the weights a of a query, mean over queries and sequences. Heads whose entropy falls
//! towards 0 go with losses that diverge ("entropy collapse": Zhai et al. 2023, "Stabilizing Transformer Training by
//! Preventing Attention Entropy Collapse"). A query that may look at n keys has ln n at most, so that under a mask H
//! alone says as much of the mask as of the head: H / ln n does not, of each query by its own n.
//!
//! *Mass on one key.* maxₖ aₖ, the same mean: the confidence of a head of Voita et al. 2019 ("Analyzing Multi-Head
//! Self-Attention: Specialized Heads Do the Heavy Lifting, the Rest Can Be Pruned", section 4), all keys included.
//!
//! Queries that may look at one key only are left out of both, as is what fills up sequences of an attention to
//! themselves; [`AttentionFlow`](crate::AttentionFlow) has the figures of each head.
//!
//! *Token residual.* ‖X − 1 x̄ᵀ‖ / ‖X‖ of the tokens X of a sequence and their mean x̄, mean over sequences; 0 where all
//! tokens are alike, so that the rank of X is 1. Dong, Cordonnier and Loukas 2021 ("Attention is not all you need: pure
//! attention loses rank doubly exponentially with depth") measure it by the composite norm √(‖·‖₁ ‖·‖∞), for the sake of
//! their proof, at the best rank-1 matrix 1 xᵀ. Here the norm is that of Frobenius, for which x̄ is the best x: so one
//! minus its square is the mean cosine of two tokens where all have one length, as behind a normalisation, which is what
//! Noci et al. 2022 measure ("Signal Propagation in Transformers: Theoretical Perspectives and the Role of Rank
//! Collapse"). What fills sequences up is counted as tokens: of results nobody says where they end.

use crate::attention::{greatest, least, mean};
use crate::quantity::{Axis, Chart, Drawn, Measured, Quantity, Read, Section, Unit};
use crate::record::LayerFlow;

const fn chart(
    id: &'static str,
    [title, description, y_label]: [&'static str; 3],
    section: Section,
    axis: Axis,
) -> Chart {
    Chart { id, title, description, y_label, section, axis, limit_above: None }
}

static ENTROPIES: Chart = chart(
    "attention-entropy",
    ["Entropy of attention", "relative to that of looking at all keys alike", "H / ln n"],
    Section::Attention,
    Axis::Share,
);
static LARGEST: Chart = chart(
    "attention-largest-weight",
    ["Attention on one key", "the largest weight of a query, mean over queries", "share of mass"],
    Section::Attention,
    Axis::Share,
);
static RANKS: Chart = chart(
    "token-residual",
    [
        "Tokens apart",
        "what tokens of a sequence differ by from their mean; near 0 their rank has collapsed",
        "‖X − 1x̄ᵀ‖ / ‖X‖",
    ],
    Section::Attention,
    Axis::LogWithFloor,
);

const fn row(
    [name, title, about]: [&'static str; 3],
    unit: Unit,
    read: fn(&LayerFlow) -> Option<f64>,
    drawn: Drawn,
) -> Quantity {
    Quantity { name, title, unit, about, read: Read::Layer(read), measured: Measured::Looks, drawn }
}

const fn curve(chart: &'static Chart, name: &'static str, colour: usize) -> Drawn {
    Drawn::Curve { chart, name, colour, within: None }
}

const fn heads(
    [name, title, about]: [&'static str; 3],
    read: fn(&LayerFlow) -> &[f64],
    id: &'static str,
) -> Quantity {
    let (unit, measured) = (Unit::Share, Measured::Looks);
    Quantity { name, title, unit, about, read: Read::Units(read), measured, drawn: Drawn::HeadMap { id } }
}

fn relative(layer: &LayerFlow, of: fn(&[f64]) -> f64) -> Option<f64> {
    layer.attention.as_ref().map(|attention| of(&attention.relative_entropy))
}

fn largest(layer: &LayerFlow, of: fn(&[f64]) -> f64) -> Option<f64> {
    layer.attention.as_ref().map(|attention| of(&attention.largest_weight))
}

/// E H.
pub static ATTENTION_ENTROPY: Quantity = row(
    [
        "attention_entropy",
        "entropy",
        "The entropy of an attention's weights, mean over queries with a choice, sequences and heads.",
    ],
    Unit::Of("nat"),
    |layer| layer.attention.as_ref().map(|attention| mean(&attention.entropy)),
    Drawn::Table,
);

/// E H / ln n.
pub static ATTENTION_RELATIVE_ENTROPY: Quantity = row(
    [
        "attention_relative_entropy",
        "H / ln n",
        "The same relative to ln n, n the keys that a query may look at: 1 where it looks at all alike.",
    ],
    Unit::Share,
    |layer| relative(layer, mean),
    curve(&ENTROPIES, "mean of heads", 0),
);

/// The head that looks at fewest keys.
pub static ATTENTION_LEAST_ENTROPY: Quantity = row(
    ["attention_least_entropy", "least head", "The least such entropy of a head, relative to ln n."],
    Unit::Share,
    |layer| relative(layer, least),
    curve(&ENTROPIES, "least of a head", 1),
);

/// The head that looks at most.
pub static ATTENTION_GREATEST_ENTROPY: Quantity = row(
    ["attention_greatest_entropy", "greatest head", "The greatest such entropy of a head, relative to ln n."],
    Unit::Share,
    |layer| relative(layer, greatest),
    curve(&ENTROPIES, "greatest of a head", 2),
);

/// E maxₖ aₖ.
pub static ATTENTION_LARGEST_WEIGHT: Quantity = row(
    [
        "attention_largest_weight",
        "on one key",
        "The share of a query's attention that is on one key, mean over queries with a choice, sequences and heads.",
    ],
    Unit::Share,
    |layer| largest(layer, mean),
    curve(&LARGEST, "mean of heads", 0),
);

/// The head that spreads most.
pub static ATTENTION_LEAST_LARGEST_WEIGHT: Quantity = row(
    ["attention_least_largest_weight", "least on one key", "The least such share of a head."],
    Unit::Share,
    |layer| largest(layer, least),
    curve(&LARGEST, "least of a head", 1),
);

/// The head that is surest.
pub static ATTENTION_GREATEST_LARGEST_WEIGHT: Quantity = row(
    ["attention_greatest_largest_weight", "greatest on one key", "The greatest such share of a head."],
    Unit::Share,
    |layer| largest(layer, greatest),
    curve(&LARGEST, "greatest of a head", 2),
);

/// H / ln n by head.
pub static HEAD_ENTROPY: Quantity = heads(
    [
        "head_entropy",
        "Entropy by head",
        "The entropy of each head's weights relative to ln n, mean over queries.",
    ],
    |layer| layer.attention.as_ref().map_or(&[], |attention| &attention.relative_entropy),
    "head-entropy",
);

/// maxₖ aₖ by head.
pub static HEAD_LARGEST_WEIGHT: Quantity = heads(
    [
        "head_largest_weight",
        "Attention on one key by head",
        "The share of each head's attention that is on one key.",
    ],
    |layer| layer.attention.as_ref().map_or(&[], |attention| &attention.largest_weight),
    "head-largest-weight",
);

/// E ‖X − 1 x̄ᵀ‖ / ‖X‖.
pub static TOKEN_RESIDUAL: Quantity = Quantity {
    name: "token_residual",
    title: "tokens apart",
    unit: Unit::Number,
    about: "How far the tokens of a sequence are from their mean, relative to their size: 0 where all are alike.",
    read: Read::MoreOfLayer,
    measured: Measured::Looks,
    drawn: Drawn::Curves { chart: &RANKS, names: ["weighted maps", "activations", "other"], within: None },
};
