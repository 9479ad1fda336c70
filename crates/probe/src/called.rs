//! Activation functions that a program calls on tensors, as `z.tanh()`: rows of a record like those of
//! layers.
//!
//! The function of a layer is the one that its output alone goes into, and whose result leads on to another
//! output. Whatever else is done with either, as in `z * z.sigmoid()`, the layer has no function that could
//! be told by looking, and its row shows z.

use crate::chains::Chains;
use backflow_tensor::Tensor;
use backflow_tensor::observe::Announcement;
use std::collections::BTreeMap;

/// The function that was called last, until it is known whether a layer computed it, which will announce it.
#[derive(Clone, Debug)]
pub(crate) struct Called {
    /// The row of the layer whose output it was called on.
    pub(crate) layer: usize,
    pub(crate) function: Announcement,
    pub(crate) y: Tensor,
}

/// Rows of called functions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Functions(Vec<Function>);

#[derive(Clone, Copy, Debug)]
struct Function {
    row: usize,
    /// The row of the layer.
    layer: usize,
    /// Whether it is the layer's function, as the graph tells when it is complete.
    is_of_layer: bool,
}

impl Functions {
    pub(crate) fn add(&mut self, row: usize, layer: usize) {
        self.0.push(Function { row, layer, is_of_layer: false });
    }

    /// The rows of layers, and of what was called on them.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        self.0.iter().map(|function| (function.layer, function.row))
    }

    /// Tells which of them are functions of their layers.
    pub(crate) fn judge(&mut self, chains: &Chains) {
        for function in &mut self.0 {
            function.is_of_layer = chains.uses[function.layer] == 1 && chains.uses[function.row] > 0;
        }
    }

    /// The rows with each layer's function right behind it, and without those that are of no layer.
    pub(crate) fn put_in_order<R>(&mut self, rows: Vec<R>) -> Vec<R> {
        let mut functions: BTreeMap<usize, R> = BTreeMap::new();
        let of_row: BTreeMap<usize, Function> =
            self.0.drain(..).map(|function| (function.row, function)).collect();
        let mut layers = Vec::new();
        for (row, flow) in rows.into_iter().enumerate() {
            match of_row.get(&row) {
                None => layers.push((row, flow)),
                Some(function) if function.is_of_layer => _ = functions.insert(function.layer, flow),
                Some(_) => {}
            }
        }
        let with_function = |(row, flow)| [Some(flow), functions.remove(&row)];
        layers.into_iter().flat_map(with_function).flatten().collect()
    }
}
