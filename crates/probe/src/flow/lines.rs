//! A [`GradFlow`] as lines of text: the table, what its headings mean, and what the figures mean.

use super::GradFlow;
use crate::attention::{AttentionFlow, greatest, least, mean};
use crate::rows::FlowRow;
use crate::slope::{Line, Per, main_line};
use crate::table::{Column, Table};
use crate::text::{clipped, short};
use crate::verdict::Verdict;
use backflow_kernels::Float;
use std::fmt;

/// How many characters of a path the table shows at most.
pub(super) const LONGEST_PATH: usize = 40;
/// How many characters a bar has.
const BAR: usize = 16;
/// Decades that a bar stands for at least: small differences should look small.
const DECADES: f64 = 3.0;

const LEGEND: &str = "a: the layer's activations; flat: saturated activations, or units that are 0 on the \
                      whole batch; delta: dL/dz, z the layer's output before its activation function.";
const LEGEND_OF_BLOCKS: &str = "residual blocks, rms: of what goes past the branch (skip), what the branch adds, and \
                                their sum; d: of the deltas that what the block is given gets by either way, and in all.";
const LEGEND_OF_TOKENS: &str = "apart: how far the tokens of a sequence are from their mean, relative to their size; 0 where all are alike.";
const LEGEND_OF_ATTENTIONS: &str = "attentions, mean over queries that may look at two keys at least: the entropy of weights \
                                    in nats, and relative to ln n of n keys, 1 where a query looks at all alike; on one key: \
                                    the largest weight. Of the heads the mean, the least (lowest entropy) and the greatest (highest).";
const LEGEND_OF_SHADOW: &str =
    "in f64: delta rms of one loss that was computed with weights and data in f64.";

impl GradFlow {
    /// The rows in text, input first, with a bar for the logarithm of each delta.
    #[must_use]
    pub fn table(&self) -> Table {
        let predicted = self.predicted_deltas();
        let has_theory = predicted.iter().any(Option::is_some);
        let has_shadow = self.rows.iter().any(|row| row.shadow.is_some());
        let has_tokens = self.rows.iter().any(|row| row.token_residual.is_some());
        let is_updated = self.rows.iter().any(|row| row.update_ratio.is_some());
        // What is there, and what is not in this flow.
        let columns = [
            (true, Column::words("layer", Column::ALWAYS)),
            (true, Column::numbers("a mean", 1)),
            (true, Column::numbers("a std", 2)),
            (true, Column::numbers("flat", 4)),
            (true, Column::numbers("delta rms", 9)),
            (true, Column::words("log scale", 7)),
            (has_shadow, Column::numbers("in f64", 8)),
            (has_theory, Column::numbers("theory", 6)),
            (true, Column::numbers("dL/dW rms", 3)),
            (is_updated, Column::numbers("|dW|/|W|", 5)),
            (has_tokens, Column::numbers("apart", 4)),
        ];
        let cells = |((row, bar), predicted): ((&FlowRow, String), Option<f64>)| {
            let flat = row.saturated_share.or(row.dead_share).map(|share| format!("{:.0} %", share * 100.0));
            [
                clipped(&row.path, LONGEST_PATH).into_owned(),
                short(Some(row.activation_mean)),
                short(Some(row.activation_std)),
                flat.unwrap_or_else(|| "-".to_owned()),
                short(row.delta_rms),
                bar,
                short(row.shadow.map(|shadow| shadow.delta_rms_f64)),
                short(predicted),
                short(row.weight_gradient_rms),
                short(row.update_ratio),
                short(row.token_residual),
            ]
        };
        let is_there = columns.clone().map(|(is_there, _)| is_there);
        let rows = self.rows.iter().zip(self.bars()).zip(predicted).map(cells);
        let rows = rows.map(|cells| {
            let cells = cells.into_iter().zip(is_there).filter(|&(_, is_there)| is_there);
            cells.map(|(cell, _)| cell).collect()
        });
        Table {
            rows: rows.collect(),
            columns: columns
                .into_iter()
                .filter_map(|(is_there, column)| is_there.then_some(column))
                .collect(),
            legend: [LEGEND]
                .into_iter()
                .chain(has_shadow.then_some(LEGEND_OF_SHADOW))
                .chain(has_tokens.then_some(LEGEND_OF_TOKENS))
                .collect(),
        }
    }

    /// What flows along the branches of residual blocks and past them, input first; `None` if there are none.
    #[must_use]
    pub fn blocks(&self) -> Option<Table> {
        let blocks = self.rows.iter().filter(|row| row.streams.iter().any(Option::is_some));
        let cells = |row: &FlowRow| {
            let path = clipped(&row.path, LONGEST_PATH).into_owned();
            std::iter::once(path).chain(row.streams.map(short)).collect::<Vec<_>>()
        };
        let rows: Vec<_> = blocks.map(cells).collect();
        let headings = [("skip", 4), ("branch", 5), ("sum", 3), ("d skip", 6), ("d branch", 9), ("d sum", 8)];
        let columns = std::iter::once(Column::words("block", Column::ALWAYS));
        let columns =
            columns.chain(headings.map(|(heading, worth)| Column::numbers(heading, worth))).collect();
        (!rows.is_empty()).then(|| Table { columns, rows, legend: vec![LEGEND_OF_BLOCKS] })
    }

    /// Where the heads of attentions look, input first; `None` if there are none.
    #[must_use]
    pub fn attentions(&self) -> Option<Table> {
        let cells = |row: &FlowRow| {
            let AttentionFlow { entropy, relative_entropy, largest_weight } = row.attention.as_ref()?;
            let of_heads = |heads: &[f64]| [mean(heads), least(heads), greatest(heads)];
            let figures = [mean(entropy)].into_iter().chain(of_heads(relative_entropy));
            let figures = figures.chain(of_heads(largest_weight)).map(|x| short(Some(x)));
            let path = clipped(&row.path, LONGEST_PATH).into_owned();
            Some([path, entropy.len().to_string()].into_iter().chain(figures).collect::<Vec<_>>())
        };
        let rows: Vec<_> = self.rows.iter().filter_map(cells).collect();
        let headings = [
            ("heads", 2),
            ("entropy", 4),
            ("/ ln n", 9),
            ("lowest", 7),
            ("highest", 5),
            ("on one key", 8),
            ("least", 3),
            ("greatest", 6),
        ];
        let columns = std::iter::once(Column::words("attention", Column::ALWAYS));
        let columns =
            columns.chain(headings.map(|(heading, worth)| Column::numbers(heading, worth))).collect();
        (!rows.is_empty()).then(|| Table { columns, rows, legend: vec![LEGEND_OF_ATTENTIONS] })
    }

    fn bars(&self) -> Vec<String> {
        let logs: Vec<Option<f64>> = self.rows.iter().map(|row| row.delta_rms.and_then(log10)).collect();
        let least = logs.iter().flatten().copied().fold(f64::INFINITY, f64::min);
        let most = logs.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
        let bar = |log: &Option<f64>| {
            log.map_or(0, |log| {
                let share = 1.0 - (most - log) / (most - least).max(DECADES);
                1 + (share * (BAR - 1) as f64).round() as usize
            })
        };
        logs.iter().map(|log| "#".repeat(bar(log))).collect()
    }

    /// Everything as text: the table, of as many columns as fit into `width` characters, if one is given, and
    /// sentences, each on a line of its own, however long.
    #[must_use]
    pub fn lines(&self, width: Option<usize>) -> Vec<String> {
        let table = self.table();
        let mut lines = table.lines(width);
        lines.extend(table.legend.iter().map(|&sentence| sentence.to_owned()));
        for table in self.blocks().into_iter().chain(self.attentions()).chain(self.over_steps()) {
            lines.extend(table.lines(width));
            lines.extend(table.legend.iter().map(|&sentence| sentence.to_owned()));
        }
        let line = main_line(&self.rows).filter(|_| !self.record.several_passes);
        if let Some(Line { slope, per, fit, .. }) = line {
            let (is_layer, per) = (per == Per::Layer, per.name());
            if let Some(theory) = self.predicted_slope() {
                lines.push(format!(
                    "delta per {per} on the way back: {slope:+.3} decades measured, {theory:+.3} in theory."
                ));
            } else if !is_layer {
                lines.push(format!("delta per {per} on the way back: {slope:+.3} decades, R² {fit:.2}."));
            }
        }
        lines.extend(self.theory_notes().iter().map(|note| format!("theory: {note}.")));
        if self.rows.is_empty() {
            let reason = "No layer was seen: layers announce themselves, and results that are named(\"…\").";
            lines.push(reason.to_owned());
        }
        lines.extend(self.record.not_measured.iter().map(|missing| format!("{missing}.")));
        for verdict in self.verdicts() {
            lines.push(verdict.to_string());
            if !matches!(verdict, Verdict::Healthy | Verdict::NotJudged { .. }) {
                lines.push(format!("    what helps: {}", verdict.remedy()));
            }
        }
        lines
    }
}

impl fmt::Display for GradFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines(None).iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

pub(super) fn log10(x: f64) -> Option<f64> {
    (x > 0.0 && x.is_finite()).then(|| Float::ln(x) / std::f64::consts::LN_10)
}
