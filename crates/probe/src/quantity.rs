//! [`Quantity`]: what the laboratory measures, as a value: a name, a unit, where its figures are, when they
//! are measured, and how they are drawn.
//!
//! Whoever shows figures goes through the [table](crate::quantities::QUANTITIES) and asks each row: the page,
//! event files for TensorBoard, the console and the documentation. So a new quantity is a row and the file
//! that measures it. A row says how its figures are drawn by naming a [`Chart`]; this crate draws nothing.

use crate::record::{Exponents, FlowStep, LayerFlow, ParameterFlow, Spectrum};
use crate::when::When;
use backflow_tensor::Tensor;
use std::fmt;

/// Something that is measured in a training: a row of the [table](crate::quantities::QUANTITIES).
///
/// ```
/// use backflow_nn::{Activation, Init, Mlp};
/// use backflow_optim::{Optimizer, Sgd};
/// use backflow_probe::quantities::{DELTA_RMS, GRADIENT_STABLE_RANK};
/// use backflow_probe::{Figure, Recorder, When};
/// use backflow_tensor::{DType, Rng, Tensor};
///
/// let mut rng = Rng::seed_from_u64(0);
/// let mut model = Mlp::new(&[4, 8, 1], Activation::Tanh, Init::XavierNormal, DType::F32, &mut rng);
/// let x = Tensor::randn([16, 4], DType::F32, &mut rng);
/// let mut optimizer = Optimizer::new(Sgd::new(0.1));
/// let mut recorder = Recorder::new(&model).measure(&GRADIENT_STABLE_RANK, When::Every(1));
/// recorder.step(|| optimizer.step_with(&mut model, |model| model.forward(&x).square().mean(..)));
/// let record = &recorder.records()[0];
/// assert_eq!(DELTA_RMS.figures(record).len(), 3);
/// let ranks = GRADIENT_STABLE_RANK.figures(record);
/// assert!(matches!(ranks[..], [(Some("layers.0.weight"), Figure::Number(rank)), _] if rank >= 1.0));
/// ```
#[derive(Debug)]
pub struct Quantity {
    /// Its name in event files, and in logs where it has no field of its own; no other has it.
    pub name: &'static str,
    /// What tables call it.
    pub title: &'static str,
    /// In what it is measured.
    pub unit: Unit,
    /// What it is, in one sentence.
    pub about: &'static str,
    /// Where its figures are in a record.
    pub read: Read,
    /// When, and how.
    pub measured: Measured,
    /// How they are drawn.
    pub drawn: Drawn,
}

/// In what a quantity is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number without a unit.
    Number,
    /// Between 0 and 1.
    Share,
    /// Between −1 and 1.
    Cosine,
    /// So many of these.
    Count(&'static str),
    /// In this unit, where `loss`, `weight` and `output` stand for whatever theirs are.
    Of(&'static str),
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number => "1",
            Self::Share => "share",
            Self::Cosine => "cosine",
            Self::Count(unit) | Self::Of(unit) => unit,
        })
    }
}

/// Where the figures of a quantity are in a record. `None` where there is none.
#[derive(Clone, Copy, Debug)]
pub enum Read {
    /// One a step.
    Step(fn(&FlowStep) -> Option<f64>),
    /// One for each layer or named result.
    Layer(fn(&LayerFlow) -> Option<f64>),
    /// One for each parameter.
    Parameter(fn(&ParameterFlow) -> Option<f64>),
    /// One for the Jacobian of each layer.
    Jacobian(fn(&Spectrum) -> f64),
    /// A histogram for each layer or named result.
    LayerExponents(fn(&LayerFlow) -> Option<&Exponents>),
    /// One for each unit, or each head, of each layer or named result; empty where there are none.
    Units(fn(&LayerFlow) -> &[f64]),
    /// A histogram for each parameter.
    ParameterExponents(fn(&ParameterFlow) -> Option<&Exponents>),
    /// One for each layer, under the quantity's name in [`LayerFlow::more`].
    MoreOfLayer,
    /// One for each parameter, under the quantity's name in [`ParameterFlow::more`].
    MoreOfParameter,
}

/// When a quantity is measured, and by what.
#[derive(Clone, Copy, Debug)]
pub enum Measured {
    /// With every look: [`Recorder::every`](crate::Recorder::every).
    Looks,
    /// [`Recorder::histograms`](crate::Recorder::histograms).
    Histograms,
    /// [`Recorder::units`](crate::Recorder::units).
    Units,
    /// [`Recorder::gradient_cosines`](crate::Recorder::gradient_cosines).
    GradientCosines,
    /// [`Recorder::noise_scale`](crate::Recorder::noise_scale).
    NoiseScale,
    /// [`Recorder::curvature`](crate::Recorder::curvature).
    Curvature,
    /// [`Recorder::jacobians`](crate::Recorder::jacobians).
    Jacobians,
    /// By the quantity itself, as [`Recorder::measure`](crate::Recorder::measure) says.
    Itself {
        /// Which tensors it is a function of.
        of: Of,
        /// The function; `None` where it has no value, as for tensors of another rank.
        measure: fn(&Tensor) -> Option<f64>,
        /// When it can be measured without the time of a training being lost.
        affordable: When,
    },
}

/// The tensors that a quantity is a function of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// The outputs of layers, and named results.
    Outputs,
    /// The gradients of the loss with respect to these.
    Deltas,
    /// The gradients of parameters.
    Gradients,
}

/// How a quantity is drawn on a page. What has a figure for each layer or parameter is also a column of their
/// table, unless it is for event files alone.
#[derive(Clone, Copy, Debug)]
pub enum Drawn {
    /// In event files alone.
    EventFiles,
    /// A column of a table alone.
    Table,
    /// The curve below the map of deltas.
    BelowMap,
    /// Curves over the places: layers apart by what they are to the flow, parameters by the last part of
    /// their paths.
    Curves {
        /// Where.
        chart: &'static Chart,
        /// What the curves of weighted maps, of activation functions and of all other results are called.
        names: [&'static str; 3],
        /// What is shaded around them.
        within: Option<&'static Quantity>,
    },
    /// One curve among others of a chart, over the places or over the run.
    Curve {
        /// Where.
        chart: &'static Chart,
        /// What it is called there.
        name: &'static str,
        /// Its number among the colours, in the order of which the curves stand.
        colour: usize,
        /// What is shaded around it.
        within: Option<&'static Quantity>,
    },
    /// A limit to compare the curves of a chart over the run with.
    Limit {
        /// Where.
        chart: &'static Chart,
        /// What it is called there.
        name: &'static str,
        /// Its number among the colours.
        colour: usize,
        /// Whether theory says that it is one; what theory says is dashed.
        is_theory: bool,
    },
    /// A number in the caption of a chart: that of the network as a whole.
    Caption {
        /// Of which.
        chart: &'static Chart,
    },
    /// Histograms, a row per place, under the quantity's title.
    Histograms {
        /// The name of the figure's file, without its ending.
        id: &'static str,
    },
    /// One map of the heads of all attentions by steps, from 0 to 1.
    HeadMap {
        /// The name of the figure's file, without its ending.
        id: &'static str,
    },
    /// A map for each layer, of units by steps.
    UnitMaps {
        /// The name of the figures' files, which a number follows.
        id: &'static str,
    },
}

/// A figure of the page, which the quantities that are drawn in it name.
#[derive(Debug)]
pub struct Chart {
    /// The name of the figure's file, without its ending; no other has it.
    pub id: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What is drawn.
    pub description: &'static str,
    /// What the vertical axis measures.
    pub y_label: &'static str,
    /// Where on the page it stands.
    pub section: Section,
    /// The vertical axis.
    pub axis: Axis,
    /// The description where a limit is too far above the rest to be drawn.
    pub limit_above: Option<&'static str>,
}

/// Where on the page a chart stands; within a section, charts have the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// What flows, layer by layer, beside the map.
    Flow,
    /// What flows along the branches of residual blocks and past them.
    Blocks,
    /// Where the heads of attentions look, and what they make of tokens.
    Attention,
    /// How far the gates of recurrent layers are open.
    Gates,
    /// How activations are distributed.
    Activations,
    /// By how much, and where, things are turned.
    Directions,
    /// Over the run: a figure per step.
    Run,
}

/// The vertical axis of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// By the value.
    Linear,
    /// By its logarithm.
    Log,
    /// By its logarithm; what is a million times below the largest is drawn on the lower edge.
    LogWithFloor,
    /// From 0 to at most 1.
    Share,
    /// From −1 to 1.
    Cosine,
}

/// A figure of a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figure<'a> {
    /// A number, which may be NaN or infinite.
    Number(f64),
    /// A histogram.
    Histogram(&'a Exponents),
    /// A number for each unit.
    Units(&'a [f64]),
}

impl PartialEq for Quantity {
    /// Whether they are the same row.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Quantity {
    /// Its figures in a record: each with the path of the layer or parameter that it is of.
    #[must_use]
    pub fn figures<'a>(&self, flow: &'a FlowStep) -> Vec<(Option<&'a str>, Figure<'a>)> {
        fn at<'a>(path: &'a str, x: Option<f64>) -> Option<(Option<&'a str>, Figure<'a>)> {
            Some((Some(path), Figure::Number(x?)))
        }
        match self.read {
            Read::Step(_) => self.of_step(flow).map(|x| (None, Figure::Number(x))).into_iter().collect(),
            Read::Layer(_) | Read::MoreOfLayer => {
                flow.layers.iter().filter_map(|layer| at(&layer.path, self.of_layer(layer))).collect()
            }
            Read::Parameter(_) | Read::MoreOfParameter => {
                let parameters = flow.parameters.iter();
                parameters.filter_map(|parameter| at(&parameter.path, self.of_parameter(parameter))).collect()
            }
            Read::Jacobian(of) => {
                let layers = flow.jacobians.iter().flat_map(|jacobians| &jacobians.layers);
                layers.filter_map(|(path, spectrum)| at(path, Some(of(spectrum)))).collect()
            }
            Read::LayerExponents(of) => {
                let layers = flow.layers.iter();
                layers.filter_map(|layer| Some((Some(&*layer.path), Figure::Histogram(of(layer)?)))).collect()
            }
            Read::Units(of) => {
                let layers = flow.layers.iter().filter(|layer| !of(layer).is_empty());
                layers.map(|layer| (Some(&*layer.path), Figure::Units(of(layer)))).collect()
            }
            Read::ParameterExponents(of) => {
                let parameters = flow.parameters.iter();
                parameters
                    .filter_map(|parameter| Some((Some(&*parameter.path), Figure::Histogram(of(parameter)?))))
                    .collect()
            }
        }
    }

    /// Whether a record has a figure of it.
    #[must_use]
    pub fn is_in(&self, flow: &FlowStep) -> bool {
        !self.figures(flow).is_empty()
    }

    /// Its figure for a step, if it has one a step.
    #[must_use]
    pub fn of_step(&self, flow: &FlowStep) -> Option<f64> {
        if let Read::Step(of) = self.read { of(flow) } else { None }
    }

    /// Its figure for a layer, if it has one for layers.
    #[must_use]
    pub fn of_layer(&self, layer: &LayerFlow) -> Option<f64> {
        match self.read {
            Read::Layer(of) => of(layer),
            Read::MoreOfLayer => layer.more.get(self.name).copied(),
            _ => None,
        }
    }

    /// Its figure for a parameter, if it has one for parameters.
    #[must_use]
    pub fn of_parameter(&self, parameter: &ParameterFlow) -> Option<f64> {
        match self.read {
            Read::Parameter(of) => of(parameter),
            Read::MoreOfParameter => parameter.more.get(self.name).copied(),
            _ => None,
        }
    }

    /// The chart that it is drawn in, if it is.
    #[must_use]
    pub fn chart(&self) -> Option<&'static Chart> {
        match self.drawn {
            Drawn::Curves { chart, .. }
            | Drawn::Curve { chart, .. }
            | Drawn::Limit { chart, .. }
            | Drawn::Caption { chart } => Some(chart),
            Drawn::EventFiles
            | Drawn::Table
            | Drawn::BelowMap
            | Drawn::Histograms { .. }
            | Drawn::HeadMap { .. }
            | Drawn::UnitMaps { .. } => None,
        }
    }

    /// What is shaded around it, if something is.
    #[must_use]
    pub fn within(&self) -> Option<&'static Self> {
        match self.drawn {
            Drawn::Curves { within, .. } | Drawn::Curve { within, .. } => within,
            _ => None,
        }
    }

    /// Measures it of a tensor, if it measures itself and is a function of these.
    pub(crate) fn measure(&self, these: Of, x: &Tensor) -> Option<(String, f64)> {
        match self.measured {
            Measured::Itself { of, measure, .. } if of == these => Some((self.name.to_owned(), measure(x)?)),
            _ => None,
        }
    }
}
