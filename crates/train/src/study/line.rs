//! [`Line`]: a model line whose placeholders are filled, and [`Axes`]: with what.

use super::Norm;
use backflow_nn::{Activation, Computes, LineError, ModelLine, Plan, PlanRow};
use std::fmt;

/// What a configuration is in each respect in which those of a study may differ; `None` where it has no such.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Axes {
    /// The function after hidden layers.
    pub activation: Option<Activation>,
    /// How layers are normalised.
    pub norm: Option<Norm>,
    /// Whether something goes past branches.
    pub skip: Option<bool>,
    /// The number of hidden layers, or of whatever is repeated.
    pub depth: Option<usize>,
    /// The number of units of a layer, or of channels.
    pub width: Option<usize>,
}

impl Axes {
    /// The placeholders of model lines that they fill.
    pub const PLACEHOLDERS: [&str; 5] = ["activation", "norm", "skip", "depth", "width"];

    /// What stands for a placeholder.
    #[must_use]
    pub fn value(&self, placeholder: &str) -> Option<String> {
        let skip = |skip| if skip { "residual" } else { "sequential" }.to_owned();
        let values = [
            self.activation.map(|activation| activation.to_string()),
            self.norm.map(Norm::word),
            self.skip.map(skip),
            self.depth.map(|depth| depth.to_string()),
            self.width.map(|width| width.to_string()),
        ];
        let place = Self::PLACEHOLDERS.iter().position(|name| *name == placeholder)?;
        values.into_iter().nth(place)?
    }

    /// The same whatever depth and width.
    #[must_use]
    pub fn without_sizes(self) -> Self {
        Self { depth: None, width: None, ..self }
    }

    /// Depth and width in words, as far as there are any.
    #[must_use]
    pub fn size(&self) -> Option<String> {
        match (self.depth, self.width) {
            (Some(depth), Some(width)) => Some(format!("{depth} × {width}")),
            (Some(depth), None) => Some(format!("depth {depth}")),
            (None, Some(width)) => Some(format!("width {width}")),
            (None, None) => None,
        }
    }
}

/// A model line, its placeholders filled, with the sizes of all its layers.
#[derive(Debug)]
pub struct Line {
    /// What it is called among several lines of a study.
    pub name: Option<String>,
    /// The line with its placeholders.
    pub template: String,
    /// What these were filled with.
    pub axes: Axes,
    line: ModelLine,
    plan: Plan,
}

impl Line {
    /// The line for inputs of this shape and so many classes. `{width}`, `{depth}` and `{activation}` become what
    /// the axes say, `{norm}` a [word](Norm::word) or nothing, `{skip}(…)` a `residual(…)` or a `sequential(…)`.
    ///
    /// ```
    /// use backflow_train::study::{Axes, Line, Norm};
    /// let template = "flatten/[{skip}(linear:{width}/{norm}/relu)]*{depth}/linear:10";
    /// let (depth, width, norm) = (Some(3), Some(64), Some(Norm::None));
    /// let axes = Axes { depth, width, norm, skip: Some(true), ..Axes::default() };
    /// let line = Line::new(template, axes, &[1, 28, 28], 10)?;
    /// assert_eq!(line.text(), "flatten/[residual(linear:64/relu)]*3/linear:10");
    /// # Ok::<(), backflow_nn::LineError>(())
    /// ```
    ///
    /// # Errors
    /// If the filled text is no model line, or its sizes do not fit: see [`ModelLine::plan`].
    pub fn new(template: &str, axes: Axes, input: &[usize], classes: usize) -> Result<Self, LineError> {
        let line: ModelLine = Self::filled(template, &axes).parse()?;
        let plan = line.plan(input, classes)?;
        Ok(Self { name: None, template: template.to_owned(), axes, line, plan })
    }

    /// The text that a template becomes.
    #[must_use]
    pub fn filled(template: &str, axes: &Axes) -> String {
        ModelLine::filled(template, |placeholder| axes.value(placeholder))
    }

    /// The same with a name, among several.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// The line with its placeholders filled.
    #[must_use]
    pub fn text(&self) -> String {
        self.line.to_string()
    }

    /// Of a multilayer perceptron, by its word or written out: the function, the same after each hidden layer, and the
    /// sizes of all layers, inputs first.
    #[must_use]
    pub fn perceptron(&self) -> Option<(Activation, Vec<usize>)> {
        if let Some((sizes, activation)) = self.plan.perceptron() {
            return Some((activation, sizes.to_vec()));
        }
        let rows = self.plan.rows();
        let is_flat = |row: &PlanRow| row.computes != Computes::Flatten;
        let rows = if rows.first().is_none_or(is_flat) { &rows[..] } else { &rows[1..] };
        let (mut sizes, mut function) = (Vec::new(), None);
        for (nth, row) in rows.iter().enumerate() {
            match row.computes {
                Computes::Linear { inputs, bias: true } if nth % 2 == 0 => {
                    sizes.push(inputs);
                    sizes.extend(row.shape.last().filter(|_| nth + 1 == rows.len()));
                }
                Computes::Activation(of) if nth % 2 == 1 && function.is_none_or(|it| it == of) => {
                    function = Some(of);
                }
                _ => return None,
            }
        }
        function.filter(|_| rows.len() % 2 == 1).map(|function| (function, sizes))
    }

    /// All sizes.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

impl PartialEq for Line {
    fn eq(&self, other: &Self) -> bool {
        (&self.template, self.axes) == (&other.template, other.axes)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.line.fmt(f)
    }
}
