//! The figures of one step in full, and how numbers are written.

use super::at;
use super::figures::{Figures, rare};
use super::judged::Judged;
use crate::page::escaped;
use crate::table;
use backflow_probe::quantities::QUANTITIES;
use backflow_probe::{Chart, Drawn, Quantity, Read, Unit};
use std::fmt::Write;

/// What has a column in the table of layers.
fn is_of_layers(quantity: &Quantity) -> bool {
    matches!(quantity.read, Read::Layer(_) | Read::MoreOfLayer)
}

/// What has one in the table of parameters.
fn is_of_parameters(quantity: &Quantity) -> bool {
    matches!(quantity.read, Read::Parameter(_) | Read::MoreOfParameter)
}

/// The figure as the tables show it. The script writes figures in the same way.
fn text(value: Option<f64>, share: bool) -> String {
    match value {
        None => String::new(),
        Some(x) if x.is_nan() => "NaN".to_owned(),
        Some(x) if x.is_infinite() => if x > 0.0 { "∞" } else { "−∞" }.to_owned(),
        Some(0.0) => "0".to_owned(),
        Some(x) if share => format!("{:.1} %", 100.0 * x),
        Some(x) if (1e-3..1e4).contains(&x.abs()) => {
            let decimals = (2.0 - x.abs().log10().floor()).max(0.0) as usize;
            format!("{x:.decimals$}")
        }
        Some(x) => format!("{x:.2e}"),
    }
}

/// The sentence, its leading words marked if they are in capitals, as in NOT FINITE.
pub(crate) fn verdict(sentence: &str) -> String {
    let is_capital = |c: char| c.is_uppercase() || c == '-' || c == ' ';
    let begin = sentence.split(|c| !is_capital(c)).next().unwrap_or("");
    // `DEAD: …`, `SLOW (…`, and not the capital of `DEAD Layer`.
    let ends_a_word = sentence[begin.len()..].chars().next().is_none_or(|c| !c.is_alphanumeric());
    let words =
        if ends_a_word { begin } else { begin.rsplit_once(' ').map_or("", |(words, _)| words) }.trim_end();
    if words.chars().count() < 3 {
        return escaped(sentence);
    }
    let class = if words == "HEALTHY" { "good" } else { "bad" };
    format!("<strong class=\"{class}\">{}</strong>{}", escaped(words), escaped(&sentence[words.len()..]))
}

/// What the caption of a chart says of the network as a whole, if there is such a thing.
pub(super) fn network(figures: &Figures<'_>, chart: &Chart) -> String {
    let is_of_chart =
        |quantity: &&&Quantity| matches!(quantity.drawn, Drawn::Caption { chart: of } if of.id == chart.id);
    let figure = |quantity: &&Quantity| {
        let Quantity { name, title, .. } = quantity;
        let value = text(figures.get(quantity, figures.shown, 0), false);
        format!("{title} <span data-of=\"{name}\" data-place=\"0\">{value}</span>")
    };
    let figures: Vec<String> = QUANTITIES.iter().filter(is_of_chart).map(figure).collect();
    if figures.is_empty() { String::new() } else { format!(". Whole network: {}", figures.join(", ")) }
}

/// Both tables.
pub(super) fn write(page: &mut String, figures: &Figures<'_>, judged: &Judged) {
    let at = format!("<span data-at=\"step\">{}</span>", figures.step(figures.shown));
    if !figures.layers.is_empty() {
        let _ = writeln!(page, "<h2>Layers at step {at}</h2>");
        let rows: Vec<Row> = (1..)
            .zip(&figures.layers)
            .map(|(number, (path, kind))| Row { number, words: vec![escaped(path), escaped(&kind.name)] })
            .collect();
        let judged = judged.has_layers().then_some(judged);
        write_table(page, figures, "layers", &["layer", "kind"], &rows, is_of_layers, judged);
    }
    if !figures.parameters.is_empty() {
        let _ = writeln!(page, "<h2>Parameters at step {at}</h2>");
        let numbers = figures.numbering.parameters.iter();
        let rows: Vec<Row> = numbers
            .zip(&figures.parameters)
            .map(|(&number, path)| Row { number, words: vec![escaped(path)] })
            .collect();
        write_table(page, figures, "parameters", &["parameter"], &rows, is_of_parameters, None);
    }
}

/// A row without its figures.
struct Row {
    /// On the axis of layers.
    number: usize,
    words: Vec<String>,
}

fn write_table(
    page: &mut String,
    figures: &Figures<'_>,
    name: &str,
    words: &[&str],
    rows: &[Row],
    is_column: fn(&Quantity) -> bool,
    judged: Option<&Judged>,
) {
    let has = |quantity: &Quantity| (0..rows.len()).any(|place| figures.has(quantity, place));
    let columns: Vec<&Quantity> =
        QUANTITIES.iter().copied().filter(|quantity| is_column(quantity) && has(quantity)).collect();
    table::begin(page, &format!("Table of {name}"));
    page.push_str("<th scope=\"col\">#</th>");
    for word in words {
        let _ = write!(page, "<th scope=\"col\" class=\"words\">{word}</th>");
    }
    for quantity in &columns {
        let at =
            rare(quantity).map(|name| format!(", {}", at(name, figures.measured_at(name, figures.shown))));
        let heading = escaped(quantity.title);
        let _ = write!(page, "<th scope=\"col\">{heading}{}</th>", at.unwrap_or_default());
    }
    if judged.is_some() {
        page.push_str("<th scope=\"col\" class=\"words\">verdict</th>");
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for (place, Row { number, words }) in rows.iter().enumerate() {
        let _ = write!(page, "<tr><td>{number}</td><th scope=\"row\" class=\"words\">{}</th>", words[0]);
        for word in &words[1..] {
            let _ = write!(page, "<td class=\"words\">{word}</td>");
        }
        for quantity in &columns {
            let is_share = quantity.unit == Unit::Share;
            let figure = text(figures.get(quantity, figures.shown, place), is_share);
            let (name, share) = (quantity.name, if is_share { " data-share" } else { "" });
            let _ = write!(page, "<td data-of=\"{name}\" data-place=\"{place}\"{share}>{figure}</td>");
        }
        if let Some(judged) = judged {
            let text = judged.layer(figures.shown, place);
            let _ = write!(page, "<td class=\"words\" data-judged=\"{place}\">{text}</td>");
        }
        page.push_str("</tr>\n");
    }
    table::end(page);
}

#[cfg(test)]
mod tests {
    use super::{text, verdict};

    #[test]
    fn figures_have_three_digits() {
        let written =
            [0.0, 1.0, 0.12345, 123.456, 0.0012345, 9999.0, 1e-9, -2.5e7, f64::NAN, f64::NEG_INFINITY];
        let written = written.map(|x| text(Some(x), false));
        let expected = ["0", "1.00", "0.123", "123", "0.00123", "9999", "1.00e-9", "-2.50e7", "NaN", "−∞"];
        assert_eq!(written, expected);
        assert_eq!([text(Some(0.256), true), text(Some(0.0), true), text(None, true)], ["25.6 %", "0", ""]);
    }

    #[test]
    fn the_word_of_a_verdict_stands_out() {
        assert_eq!(
            verdict("EPS-FLOORED (adam): <x>"),
            "<strong class=\"bad\">EPS-FLOORED</strong> (adam): &lt;x&gt;"
        );
        assert_eq!(verdict("HEALTHY"), "<strong class=\"good\">HEALTHY</strong>");
        assert_eq!(verdict("NOT FINITE: NaN"), "<strong class=\"bad\">NOT FINITE</strong>: NaN");
        assert_eq!(verdict("DEAD Layer"), "<strong class=\"bad\">DEAD</strong> Layer");
        assert_eq!(verdict("The run"), "The run");
        assert_eq!(verdict("A & b"), "A &amp; b");
    }
}
