//! [`Theory`]: what theory predicts for a network, whichever way it is written, and what that is beside measured rows.

use crate::finite_width::FiniteWidth;
use crate::prediction::{LinePrediction, Prediction};
use crate::rows::FlowRow;
use backflow_kernels::Float;

/// What theory predicts for a network before it is trained.
#[derive(Clone, Debug, PartialEq)]
pub enum Theory {
    /// For a multilayer perceptron.
    Perceptron(Prediction),
    /// For what another model line says.
    Line(LinePrediction),
}

impl From<Prediction> for Theory {
    fn from(theory: Prediction) -> Self {
        Self::Perceptron(theory)
    }
}

impl From<LinePrediction> for Theory {
    fn from(theory: LinePrediction) -> Self {
        Self::Line(theory)
    }
}

impl Theory {
    /// That of a multilayer perceptron.
    #[must_use]
    pub fn perceptron(&self) -> Option<&Prediction> {
        if let Self::Perceptron(theory) = self { Some(theory) } else { None }
    }

    /// Where finite width decides: how, and what slopes are to be expected.
    #[must_use]
    pub fn finite_width(&self) -> Option<&FiniteWidth> {
        match self {
            Self::Perceptron(theory) => theory.finite_width.as_ref(),
            Self::Line(theory) => theory.finite_width.as_ref(),
        }
    }

    /// What else it has to say, a sentence each without its stop.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        match self {
            Self::Perceptron(theory) => theory.notes(),
            Self::Line(theory) => theory.notes(),
        }
    }

    pub(super) fn delta_rms(&self, rows: &[FlowRow]) -> Vec<Option<f64>> {
        let theory = match self {
            Self::Line(theory) => return theory.delta_rms(rows),
            Self::Perceptron(theory) => theory,
        };
        let (linear, mut predicted) = (weighted(rows), vec![None; rows.len()]);
        // The output layer's delta is the loss's doing; the layer before it is where the network begins to act.
        let Some(last) = linear.len().checked_sub(2) else { return predicted };
        if theory.finite_width.is_some() || theory.delta_decades.len() != linear.len() {
            return predicted;
        }
        if let Some(anchor) = rows[linear[last]].delta_rms {
            for (layer, &row) in linear.iter().enumerate().take(last + 1) {
                let decades = theory.delta_decades[layer] - theory.delta_decades[last];
                predicted[row] = Some(anchor * Float::powf(10.0, decades));
            }
        }
        predicted
    }

    pub(super) fn activation_rms(&self, rows: &[FlowRow]) -> Vec<Option<f64>> {
        let theory = match self {
            Self::Line(theory) => return rows.iter().map(|row| theory.activation_rms(row)).collect(),
            Self::Perceptron(theory) => theory,
        };
        let (linear, mut predicted) = (weighted(rows), vec![None; rows.len()]);
        if theory.finite_width.is_none() && theory.activation_rms.len() + 1 == linear.len() {
            for (&row, &rms) in linear.iter().zip(&theory.activation_rms) {
                predicted[row] = Some(rms);
            }
        }
        predicted
    }

    pub(super) fn slope(&self, rows: &[FlowRow]) -> Option<f64> {
        match self {
            Self::Perceptron(theory) => theory.slope().filter(|_| theory.finite_width.is_none()),
            Self::Line(theory) => theory.slope(rows),
        }
    }
}

/// The places of weighted maps.
fn weighted(rows: &[FlowRow]) -> Vec<usize> {
    (0..rows.len()).filter(|&row| rows[row].is_weighted()).collect()
}
