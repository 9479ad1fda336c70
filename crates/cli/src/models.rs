//! `backflow models`: the words of `--model`, and the layers of a network in a table.

use crate::data::Data;
use crate::data_options::DataOptions;
use crate::failure::Failure;
use crate::network::wrong;
use crate::options::{self, InputShape};
use crate::task::TaskOptions;
use crate::terminal::{self, line};
use backflow_nn::{ModelLine, Samples, Setting, WORDS};
use backflow_probe::text::wrapped;
use clap::Args;

/// Lines are no longer than this, so that they do not break in an ordinary window.
const WIDTH: usize = 80;

#[derive(Args, Debug)]
pub(crate) struct ModelsOptions {
    /// A network, whose layers are shown [default: list the words].
    #[arg(value_parser = options::model, value_name = "LINE")]
    model: Option<ModelLine>,

    /// The shape of an input: channels, rows and columns, steps and features, or a number of features.
    #[arg(
        long,
        default_value = "1x28x28",
        value_parser = options::input_shape,
        value_name = "CxHxW|TxN|N",
        conflicts_with = "data"
    )]
    input: InputShape,

    /// The number of outputs.
    #[arg(
        long,
        default_value_t = 10,
        value_parser = options::at_least_one::<usize>,
        allow_hyphen_values = true,
        value_name = "N",
        conflicts_with = "data"
    )]
    classes: usize,

    // With these, inputs and outputs are theirs.
    #[command(flatten)]
    data: DataOptions,
}

pub(crate) fn run(options: &ModelsOptions) -> Result<(), Failure> {
    let Some(model) = &options.model else {
        list();
        return Ok(());
    };
    let InputShape(input) = &options.input;
    let samples = match options.data.are_given() {
        true => Data::load(&options.data, &TaskOptions::default(), None)?.samples(),
        false => Samples::new(input, options.classes),
    };
    let plan = model.plan_for(&samples).map_err(|error| wrong(&error))?;
    plan.to_string().lines().for_each(line);
    Ok(())
}

fn list() {
    line("Networks: --model LINE");
    let text = "words joined by /, each with its settings, WORD:VALUE,KEY=VALUE; [WORD/WORD]*N repeats, \
                residual(WORD/WORD) adds what goes in to what comes out; a number stands for rows and columns, \
                as 3, or 3x5";
    print(text, "");
    line("");
    let text = "rnn, lstm and gru are layers, and alone in a line whole networks: lstm:128 is \
                lstm:128/last/linear:10 where sequences are of ten classes, lstm:128/linear:10 where their steps are, \
                and embedding:128 stands before it where these are tokens; in both directions it is mean, not last. \
                So is transformer:64, with embedding:64/positions before it, or linear:64/positions, and mean behind it";
    print(text, "");
    for word in WORDS {
        line("");
        line(word.name);
        print(word.help, "    ");
        if !word.settings.is_empty() {
            print(&word.settings.iter().map(in_words).collect::<Vec<_>>().join(", "), "    ");
        }
    }
    line("");
    line("backflow models cnn");
    line("backflow models lstm:128 --data adding:T=100");
    line("backflow models transformer:64,heads=4,layers=2 --data text:README.md");
    line("backflow train --model conv:16/relu/maxpool:2/flatten/linear:10");
}

/// Its name with its default; `…` has to be given.
fn in_words(setting: &Setting) -> String {
    format!("{}={}", setting.name, setting.default.unwrap_or("…"))
}

/// Prints the text, which may break between words, behind an indent.
fn print(text: &str, indent: &str) {
    let width = terminal::width().unwrap_or(WIDTH).min(WIDTH) - indent.len();
    wrapped(text, width).iter().for_each(|text| line(&format!("{indent}{text}")));
}
