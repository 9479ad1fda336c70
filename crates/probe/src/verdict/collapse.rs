//! Whether tokens became alike with depth.

use super::{DECADES, Verdict};
use crate::rows::FlowRow;
use crate::slope::log10;
use backflow_tensor::observe::Role;

/// How far apart tokens are at most, relative to their size, that are called alike: a mean cosine of 0.9999. Of trained
/// networks that are known to do well, tokens are most alike in the last layer of GPT-2, with a mean cosine of 0.99
/// (Ethayarajh 2019, "How Contextual are Contextualized Word Representations?"), which is 0.1.
const ALIKE: f64 = 1e-2;

/// Where tokens became alike before the last attention, and stayed so: everywhere behind, branches of blocks included.
/// A branch by itself may begin with nothing but a bias, and what enters the next one tells that the way past it is well.
/// The figures of the output are the loss's doing.
pub(super) fn rank_collapse(rows: &[FlowRow]) -> Option<Verdict> {
    let attention = rows.iter().rposition(|row| row.role == Role::AttentionWeights)?;
    let tokens: Vec<(usize, &FlowRow, f64)> = rows
        .iter()
        .enumerate()
        .filter(|(_, row)| !row.is_end)
        .filter_map(|(place, row)| Some((place, row, row.token_residual?)))
        .collect();
    let (_, first, at_first) = *tokens.first()?;
    let (_, last, at_last) = *tokens.last()?;
    let begin = tokens.iter().rposition(|(_, _, residual)| *residual >= ALIKE || residual.is_nan());
    let begin = begin.map_or(0, |apart| apart + 1);
    let (place, row, residual) = *tokens.get(begin)?;
    // Where all is 0 from the first, it is the data that is alike.
    let has_fallen = at_first > 0.0 && (at_last == 0.0 || log10(at_first / at_last) > DECADES);
    (place < attention && has_fallen).then(|| Verdict::RankCollapse {
        layer: row.path.clone(),
        residual,
        first: (first.path.clone(), at_first),
        last: (last.path.clone(), at_last),
    })
}
