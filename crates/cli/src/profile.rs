//! The figures of `train --profile` as they are written to `summary.json`.

use backflow_tensor::profile::{Cost, Part};
use backflow_train::StepTimes;
use serde::Serialize;
use std::time::Duration;

/// Where the time of a step went: means over the profiled steps.
#[derive(Debug, Serialize)]
pub(crate) struct ProfileFigures {
    profiled_steps: u64,
    /// The longest first.
    parts: Vec<PartFigures>,
    /// Between the ops: the program's own code, recording, freeing.
    around_ms: f64,
    /// The parts and what is around them.
    sum_ms: f64,
    /// The profiled step by the clock: the sum, and the profile's own time.
    step_ms: f64,
    plain_steps: Option<usize>,
    plain_median_ms: Option<f64>,
    /// By what share a profiled step is longer than one without a profile, by the medians.
    slowdown: Option<f64>,
    /// By what share the sum of the parts is longer than a step without a profile, by the medians.
    discrepancy: Option<f64>,
}

/// An op in one direction, or a section of the program.
#[derive(Debug, Serialize)]
struct PartFigures {
    name: &'static str,
    /// `forward`, `backward` or `section`.
    kind: &'static str,
    calls: f64,
    ms: f64,
    /// Of the sum.
    share: f64,
    floating_point_operations: f64,
    bytes: f64,
    gflop_per_s: Option<f64>,
    gb_per_s: Option<f64>,
}

impl ProfileFigures {
    pub(crate) fn of(times: &StepTimes) -> Self {
        let profile = times.profile();
        let steps = profile.runs().max(1) as f64;
        let ms = |time: Duration| time.as_secs_f64() * 1e3 / steps;
        let sum_ms = ms(profile.sum());
        let figures = |(part, cost): (Part, Cost)| {
            let (name, kind) = match part {
                Part::Forward(op) => (op.name, "forward"),
                Part::Backward(op) => (op.name, "backward"),
                Part::Section(name) => (name, "section"),
            };
            PartFigures {
                name,
                kind,
                calls: cost.calls as f64 / steps,
                ms: ms(cost.time),
                share: ms(cost.time) / sum_ms,
                floating_point_operations: cost.floating_point_operations as f64 / steps,
                bytes: cost.bytes as f64 / steps,
                gflop_per_s: cost.gflop_per_second(),
                gb_per_s: cost.gigabytes_per_second(),
            }
        };
        Self {
            profiled_steps: profile.runs(),
            parts: profile.parts().into_iter().map(figures).collect(),
            around_ms: ms(profile.around()),
            sum_ms,
            step_ms: ms(profile.total()),
            plain_steps: times.plain().map(|(steps, _)| steps),
            plain_median_ms: times.plain().map(|(_, median)| median.as_secs_f64() * 1e3),
            slowdown: times.slowdown(),
            discrepancy: times.discrepancy(),
        }
    }
}
