//! [`Open`]: outputs that wait for their deltas.

use crate::sample_watch::Input;

/// An output whose delta is still to come, or came.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) row: usize,
    pub(super) input: Option<Input>,
    /// The output's number in the graph, if it is tracked.
    pub(super) id: Option<u64>,
    pub(super) has_delta: bool,
    /// The axis of the output's units.
    pub(super) axis: isize,
}

/// Of outputs of a place, the one whose delta has come. The last mostly comes first, and need not be searched
/// for.
pub(super) fn due(open: &mut Vec<Open>, output: Option<u64>) -> Option<Open> {
    let found = open.iter_mut().rfind(|open| open.id == output && !open.has_delta)?;
    found.has_delta = true;
    let found = Open { input: found.input.take(), ..*found };
    while open.pop_if(|open| open.has_delta).is_some() {}
    Some(found)
}
