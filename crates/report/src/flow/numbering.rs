//! One numbering of layers for all figures and tables of a page: layers and named results in the order in which
//! they were called, counted from 1, and behind them whatever else has parameters or a Jacobian.

use std::collections::BTreeMap;

/// The number of everything that has a place on the axis of layers.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    numbers: BTreeMap<String, usize>,
    /// The number of each parameter: that of the layer that it is of.
    pub(super) parameters: Vec<usize>,
    pub(super) jacobians: Vec<usize>,
    /// The last number.
    pub(super) end: usize,
}

/// The path of the layer that a parameter is of, and its name there.
pub(super) fn owner(parameter: &str) -> (&str, &str) {
    parameter.rsplit_once('.').unwrap_or(("", parameter))
}

impl Numbering {
    pub(super) fn of<'a>(
        layers: impl Iterator<Item = &'a str>,
        parameters: &[String],
        jacobians: &[String],
    ) -> Self {
        let mut numbering = Self::default();
        for path in layers {
            numbering.end += 1;
            let first = numbering.end;
            numbering.numbers.insert(path.to_owned(), first);
            // Of a layer that is called several times, `path (2)` is the second.
            if let Some((layer, _)) = path.rsplit_once(" (") {
                numbering.numbers.entry(layer.to_owned()).or_insert(first);
            }
        }
        numbering.parameters = parameters.iter().map(|path| numbering.number(owner(path).0)).collect();
        numbering.jacobians = jacobians.iter().map(|path| numbering.number(path)).collect();
        numbering
    }

    /// The number of this path; a new one if it has none.
    fn number(&mut self, path: &str) -> usize {
        if let Some(&number) = self.numbers.get(path) {
            return number;
        }
        self.end += 1;
        self.numbers.insert(path.to_owned(), self.end);
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::Numbering;

    #[test]
    fn parameters_have_the_number_of_their_layer_and_others_come_behind() {
        let texts = |paths: &[&str]| paths.iter().map(|&path| path.to_owned()).collect::<Vec<_>>();
        let layers = ["rnn", "tanh", "rnn (2)", "tanh (2)", "out (1)", "out (2)"];
        let parameters = texts(&["out.weight", "rnn.weight", "rnn.bias", "scale", "shift", "gate.bias"]);
        let jacobians = texts(&["out (2)", "mixed", "gate"]);
        let numbering = Numbering::of(layers.into_iter(), &parameters, &jacobians);
        assert_eq!(numbering.parameters, [5, 1, 1, 7, 7, 8]);
        assert_eq!(numbering.jacobians, [6, 9, 8]);
        assert_eq!(numbering.end, 9);
        assert_eq!(Numbering::of([].into_iter(), &[], &[]).end, 0);
    }
}
