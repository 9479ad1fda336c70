//! The configurations of a study: every combination of what its options list.

use super::StudyOptions;
use super::list::{self, List, Skip};
use crate::data::Data;
use crate::failure::Failure;
use crate::ranges;
use crate::setup::{self, usage};
use backflow_nn::{Activation, Init, MOST_PARAMETERS, ModelLine};
use backflow_probe::text::grouped;
use backflow_tensor::quote::{quoted, told};
use backflow_tensor::spelling::did_you_mean;
use backflow_train::study::{Axes, Configuration, Line};
use std::sync::Arc;

/// The textbook's pair: the deep network that does not learn, and the one that does.
const ACTIVATIONS: [Activation; 2] = [Activation::Sigmoid, Activation::Relu];

const DEPTH: usize = 20;

const WIDTH: usize = 64;

/// A line of so many characters stands for itself in tables and legends.
const SHORT: usize = 16;

impl StudyOptions {
    /// The lines of `--model`, with their placeholders.
    pub(super) fn templates(&self) -> Vec<String> {
        self.model.iter().flat_map(|lines| lines.split(';')).map(|line| line.trim().to_owned()).collect()
    }

    /// Every combination: functions first, depths last.
    pub(super) fn configurations(&self, data: &Data) -> Result<Vec<Configuration>, Failure> {
        let weighted = self.weights()?;
        let inits = weighted.as_ref();
        if !self.model.is_empty() {
            return self.of_lines(inits, data);
        }
        let activations = list::or(self.activation.as_ref(), &ACTIVATIONS);
        let depths = list::or(self.depth.as_ref(), &[DEPTH]);
        let widths = list::or(self.width.as_ref(), &[WIDTH]);
        let mut configurations = Vec::new();
        for &activation in activations {
            for &init in list::or(inits, &[Init::default_for(activation)]) {
                for &width in widths {
                    for &depth in depths {
                        let configuration = Configuration::perceptron(activation, init, depth, width);
                        let sizes = configuration.sizes(data.train.features(), data.train.classes());
                        if sizes.is_none_or(|(_, sizes)| setup::weights(&sizes).is_none()) {
                            let most = grouped(MOST_PARAMETERS);
                            return Err(usage(
                                &format!("--depth {depth} --width {width}"),
                                format!("more than {most} weights; make the network shallower or narrower"),
                            ));
                        }
                        configurations.push(configuration);
                    }
                }
            }
        }
        Ok(configurations)
    }

    /// The initial weights of `--init`, or of `--sigma-w` and `--sigma-b`, if they are given: of a variance that is the
    /// square of the one over the inputs, and biases of one that is the square of the other.
    fn weights(&self) -> Result<Option<List<Init>>, Failure> {
        if self.init.is_some() {
            return Ok(self.init.clone());
        }
        let Some(weights) = &self.sigma_w else { return Ok(None) };
        let mut inits = Vec::new();
        for &sigma_b in list::or(self.sigma_b.as_ref(), &[0.0]) {
            for &sigma_w in list::or(Some(weights), &[]) {
                if sigma_w == 0.0 {
                    return Err(usage(
                        "--sigma-w",
                        "0: without weights nothing comes through; write numbers above 0",
                    ));
                }
                let init = Init::LecunNormal.with_gain(sigma_w);
                inits.push(if sigma_b > 0.0 {
                    init.with_bias_variance(ranges::rounded(sigma_b * sigma_b))
                } else {
                    init
                });
            }
        }
        Ok(Some(List(inits)))
    }

    /// Of each line, every combination of what its placeholders may be.
    fn of_lines(&self, inits: Option<&List<Init>>, data: &Data) -> Result<Vec<Configuration>, Failure> {
        let templates = self.templates();
        self.check_placeholders(&templates)?;
        let mut configurations = Vec::new();
        for (nth, template) in templates.iter().enumerate() {
            if templates[..nth].contains(template) {
                return Err(usage("--model", format!("\"{}\" is there twice", quoted(template))));
            }
            let is_short = template.chars().count() <= SHORT;
            let name = if is_short { template.clone() } else { format!("line {}", nth + 1) };
            for axes in self.combinations(template) {
                let line = planned(template, axes, data)?;
                let line = Arc::new(if templates.len() > 1 { line.named(&*name) } else { line });
                let of = |init| Configuration::of_line(line.clone(), init);
                match inits {
                    Some(List(inits)) => configurations.extend(inits.iter().map(|&init| of(Some(init)))),
                    None => configurations.push(of(None)),
                }
            }
        }
        Ok(configurations)
    }

    /// What the placeholders of a line may be together.
    fn combinations(&self, template: &str) -> Vec<Axes> {
        let placeholders = ModelLine::placeholders(template);
        // One with nothing in it, where the line has no such placeholder.
        fn values<T: Copy>(list: Option<&List<T>>, is_used: bool) -> Vec<Option<T>> {
            match list {
                Some(List(values)) if is_used => values.iter().copied().map(Some).collect(),
                _ => vec![None],
            }
        }
        let is_used = |name: &str| placeholders.contains(&name);
        let mut combinations = Vec::new();
        for activation in values(self.activation.as_ref(), is_used("activation")) {
            for norm in values(self.norm.as_ref(), is_used("norm")) {
                for skip in values(self.skip.as_ref(), is_used("skip")) {
                    for width in values(self.width.as_ref(), is_used("width")) {
                        for depth in values(self.depth.as_ref(), is_used("depth")) {
                            let skip = skip.map(|Skip(is_on)| is_on);
                            combinations.push(Axes { activation, norm, skip, depth, width });
                        }
                    }
                }
            }
        }
        combinations
    }

    /// Refuses placeholders that nothing stands for, and options that stand for none.
    fn check_placeholders(&self, templates: &[String]) -> Result<(), Failure> {
        let given = [
            ("activation", self.activation.is_some(), "relu,tanh"),
            ("norm", self.norm.is_some(), "none,batch,layer"),
            ("skip", self.skip.is_some(), "on,off"),
            ("depth", self.depth.is_some(), "2,4,8"),
            ("width", self.width.is_some(), "16,64"),
        ];
        let mut used = Vec::new();
        for template in templates {
            for name in ModelLine::placeholders(template) {
                let before = template.split(&format!("{{{name}}}")).next().unwrap_or_default();
                let place = format!("column {}, \"{{{}}}\"", before.chars().count() + 1, quoted(name));
                match given.iter().find(|(known, ..)| *known == name) {
                    None => {
                        let there_are = did_you_mean(name, "there are", Axes::PLACEHOLDERS);
                        let known = Axes::PLACEHOLDERS.map(|name| format!("{{{name}}}")).join(", ");
                        let what = format!("{place}: there is no such placeholder; {there_are} {known}");
                        return Err(usage("--model", what));
                    }
                    Some((_, false, example)) => {
                        let what =
                            format!("{place}: nothing stands for it; write --{name} {example}, or the like");
                        return Err(usage("--model", what));
                    }
                    Some(_) => used.push(name),
                }
            }
        }
        let unused = given.iter().find(|(name, is_given, _)| *is_given && !used.contains(name));
        unused.map_or(Ok(()), |(name, ..)| {
            let what = format!("no line of --model has {{{name}}}; write it where the line is to differ, or leave the option out");
            Err(usage(&format!("--{name}"), what))
        })
    }
}

/// The line with these values, whose sizes fit the data; or where in the filled text it is wrong.
fn planned(template: &str, axes: Axes, data: &Data) -> Result<Line, Failure> {
    let line = Line::new(template, axes, data.samples().shape(), data.train.classes());
    let place = || {
        let filled = Line::filled(template, &axes);
        let values = [
            axes.activation.map(|activation| format!("activation {activation}")),
            axes.norm.map(|norm| format!("norm {norm}")),
            axes.skip.map(|skip| format!("skip {}", Skip(skip))),
            axes.depth.map(|depth| format!("depth {depth}")),
            axes.width.map(|width| format!("width {width}")),
        ];
        let values: Vec<String> = values.into_iter().flatten().collect();
        let values = if values.is_empty() { String::new() } else { format!(" ({})", values.join(", ")) };
        format!("--model \"{}\"{values}", told(&filled))
    };
    line.map_err(|error| usage(&place(), error))
}
