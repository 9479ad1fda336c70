//! Where the state is that a layer hands on if a normalisation follows it: behind that.
//!
//! The delta in front of a normalisation is that behind it over a scale that the normalisation takes away: of a first
//! layer, that of the data. Behind it, layers of one stack compare, where all have places of one of two kinds:
//!
//! - In front of functions: behind the normalisation if that comes before the layer's activation function, or the
//!   layer's own output if only a function follows.
//! - Behind functions and normalisations: where each layer is followed by a function and by a normalisation behind it.
//!
//! Where a layer has neither, all deltas are those of the layers' own outputs.

use crate::rows::FlowRow;
use backflow_tensor::observe::Role;
use std::collections::{BTreeMap, BTreeSet};

/// What follows a layer, before the next one.
#[derive(Clone, Copy)]
struct Behind {
    has_function: bool,
    /// The place of the first normalisation.
    normalisation: Option<usize>,
}

/// Tells rows where their states are, where that is behind a normalisation.
pub(crate) fn take_normalisations(rows: &mut [FlowRow]) {
    let of_chains: BTreeSet<usize> = rows.iter().map(|row| row.chain).collect();
    for chain in of_chains {
        let places: Vec<usize> = (0..rows.len()).filter(|&row| rows[row].chain == chain).collect();
        let last = places.iter().rfind(|&&row| rows[row].role == Role::WeightedMap).copied();
        let end = last.filter(|&row| chain == 0 || rows[row].is_end);
        let mut found = of_layers(rows, &places, end, |row| row.joint.is_none());
        found.extend(of_joints(rows, &places));
        for (row, normalisation) in found {
            rows[row].joint_delta_rms = rows[normalisation].delta_rms;
            rows[row].normalisation = Some(rows[normalisation].path.clone());
        }
        let branches: BTreeSet<usize> =
            places.iter().filter_map(|&row| rows[row].branch).map(|(number, _)| number).collect();
        for number in branches {
            let found = of_layers(rows, &places, None, |row| row.branch == Some((number, None)));
            for (row, normalisation) in found {
                rows[row].branch_delta_rms = rows[normalisation].branch_delta_rms;
            }
        }
    }
}

/// Weighted maps of a chain, or a branch, that no gradient goes around, but for the end: each with its normalisation.
fn of_layers(
    rows: &[FlowRow],
    places: &[usize],
    end: Option<usize>,
    is_of_line: impl Fn(&FlowRow) -> bool,
) -> Vec<(usize, usize)> {
    let mut layers = Vec::new();
    for (nth, &row) in places.iter().enumerate() {
        if rows[row].role == Role::WeightedMap && is_of_line(&rows[row]) && Some(row) != end {
            layers.push((row, behind(rows, &places[nth..], &is_of_line)));
        }
    }
    let each = |is: fn(&Behind) -> bool| layers.iter().all(|(_, behind)| is(behind));
    let is_behind_functions = each(|behind| behind.has_function && behind.normalisation.is_some());
    // A layer with neither, as where normalisations are in front of the layers, has a place of another kind.
    if !each(|behind| behind.has_function || behind.normalisation.is_some()) {
        return Vec::new();
    }
    let counts = |behind: &Behind| is_behind_functions || !behind.has_function;
    layers
        .iter()
        .filter(|(_, of)| counts(of))
        .filter_map(|&(row, of)| Some((row, of.normalisation?)))
        .collect()
}

/// What follows the first of these rows.
fn behind(rows: &[FlowRow], places: &[usize], is_of_line: &impl Fn(&FlowRow) -> bool) -> Behind {
    let mut has_function = rows[places[0]].activation.is_some();
    for &place in &places[1..] {
        let row = &rows[place];
        match row.role {
            Role::Normalisation => {
                return Behind { has_function, normalisation: is_of_line(row).then_some(place) };
            }
            Role::Pooling | Role::Dropout | Role::Named => has_function |= row.activation.is_some(),
            _ => break,
        }
    }
    Behind { has_function, normalisation: None }
}

/// The layers whose ways meet in front of a normalisation, with their sum, if all that meet on the chain do. One alone
/// does not tell: a normalisation of all that blocks have added up stands behind the last of them.
fn of_joints(rows: &[FlowRow], places: &[usize]) -> Vec<(usize, usize)> {
    let mut joints: BTreeMap<usize, usize> = BTreeMap::new();
    for (nth, &row) in places.iter().enumerate() {
        if let Some(number) = rows[row].joint {
            joints.insert(number, nth);
        }
    }
    let (mut found, count) = (Vec::new(), joints.len());
    for (number, last) in joints {
        let behind = |nth: usize| places.get(nth).copied().filter(|&row: &usize| rows[row].joint.is_none());
        let sum = behind(last + 1).filter(|&row| rows[row].is_block());
        let next = behind(last + 1 + usize::from(sum.is_some()));
        let Some(normalisation) = next.filter(|&row| rows[row].role == Role::Normalisation) else {
            return Vec::new();
        };
        let layers = places.iter().copied().filter(|&row| rows[row].joint == Some(number));
        found.extend(layers.chain(sum).map(|row| (row, normalisation)));
    }
    if count > 1 { found } else { Vec::new() }
}
