//! What each shown step says by itself: the verdicts of the probe on one record.

use super::figures::Figures;
use super::tables::verdict;
use backflow_probe::GradFlow;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Sentences as HTML, and which of them are said of each column.
#[derive(Debug, Default)]
pub(super) struct Judged {
    texts: Vec<String>,
    columns: Vec<Judgement>,
}

#[derive(Debug, Default)]
struct Judgement {
    /// Of the whole network.
    network: Vec<usize>,
    /// Of single layers, by their places.
    layers: Vec<(usize, usize)>,
}

impl Judged {
    pub(super) fn of(figures: &Figures<'_>, eps: Option<f64>) -> Self {
        let mut judged = Self::default();
        let mut known = BTreeMap::new();
        let places: BTreeMap<&str, usize> =
            figures.layers.iter().enumerate().map(|(place, (path, _))| (&**path, place)).collect();
        for &step in &figures.columns {
            let flow = GradFlow::of(std::slice::from_ref(step));
            let flow = eps.into_iter().fold(flow, GradFlow::with_eps);
            let mut text = |sentence: &str| {
                *known.entry(sentence.to_owned()).or_insert_with(|| {
                    judged.texts.push(verdict(sentence));
                    judged.texts.len() - 1
                })
            };
            let network = flow.verdicts().iter().map(|verdict| text(&verdict.to_string())).collect();
            let layers = flow.layer_verdicts();
            let of_layer =
                |(path, sentence): &(String, String)| Some((*places.get(&**path)?, text(sentence)));
            let layers = layers.iter().filter_map(of_layer).collect();
            judged.columns.push(Judgement { network, layers });
        }
        judged
    }

    /// What is said of the whole network at a column.
    pub(super) fn network(&self, column: usize) -> String {
        let texts = self.columns[column].network.iter().map(|&text| &*self.texts[text]);
        texts.collect::<Vec<_>>().join("<br>")
    }

    /// What is said of a layer at a column.
    pub(super) fn layer(&self, column: usize, place: usize) -> String {
        let of_place = self.columns[column].layers.iter().filter(|(of, _)| *of == place);
        let texts = of_place.map(|&(_, text)| &*self.texts[text]);
        texts.collect::<Vec<_>>().join("<br>")
    }

    /// Whether anything is said of a layer at any step.
    pub(super) fn has_layers(&self) -> bool {
        self.columns.iter().any(|column| !column.layers.is_empty())
    }

    /// What the script needs to say the same of another step.
    pub(super) fn data(&self) -> Value {
        let network: Vec<&Vec<usize>> = self.columns.iter().map(|column| &column.network).collect();
        let layers: Vec<&Vec<(usize, usize)>> = self.columns.iter().map(|column| &column.layers).collect();
        json!({ "texts": self.texts, "network": network, "layers": layers })
    }
}
