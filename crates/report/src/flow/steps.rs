//! The axis of steps, which the heat map and the curves over the run have in common.

use super::figures::Figures;

/// Where the first column begins, and how wide each is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Columns {
    pub(super) left: f64,
    pub(super) width: f64,
}

impl Columns {
    /// All columns between two margins.
    pub(super) fn between(figures: &Figures<'_>, left: f64, right: f64) -> Self {
        Self { left, width: (right - left) / figures.columns.len() as f64 }
    }

    /// The line at the step that is shown elsewhere.
    pub(super) fn mark(self, figures: &Figures<'_>, top: f64, bottom: f64) -> String {
        let Self { left, width } = self;
        let x = left + width * (figures.shown as f64 + 0.5);
        let path = format!("d=\"M0 {:.1}V{:.1}\"", top - 4.0, bottom + 4.0);
        format!(
            "<g class=\"now\" data-left=\"{left:.2}\" data-width=\"{width:.4}\" transform=\"translate({x:.1} \
             0)\"><path class=\"halo\" {path}/><path {path}/></g>\n"
        )
    }
}

/// Round numbers of steps and where they are, in columns; far enough from each other to be read.
pub(super) fn ticks(figures: &Figures<'_>) -> Vec<(f64, String)> {
    round_steps(&figures.columns.iter().map(|flow| flow.step).collect::<Vec<_>>())
}

fn round_steps(steps: &[u64]) -> Vec<(f64, String)> {
    let (first, last) = (steps[0], steps[steps.len() - 1]);
    let middle = steps[steps.len() / 2].saturating_sub(first);
    // Where the half of the columns is within a quarter of the way, the steps are spaced by their logarithm.
    let digits: &'static [u64] = if last / first.max(1) > 500 { &[1] } else { &[1, 2, 5] };
    let powers = |digits: &'static [u64]| {
        (0..19).flat_map(|power| digits.iter().map(move |digit| digit * 10_u64.pow(power).min(u64::MAX / 5)))
    };
    let round: Vec<u64> = if middle < last.saturating_sub(first) / 4 {
        powers(digits).collect()
    } else {
        let apart = powers(&[1, 2, 5]).find(|apart| last.saturating_sub(first) / apart <= 8).unwrap_or(1);
        (0..=9).map(|idx| (first.div_ceil(apart) + idx) * apart).collect()
    };
    let mut ticks: Vec<(f64, String)> = Vec::new();
    for step in round.into_iter().filter(|step| (first..=last).contains(step)) {
        let column = steps.partition_point(|&shown| shown < step);
        let place = column as f64 + 0.5;
        if ticks.last().is_none_or(|(last, _)| place - last >= steps.len() as f64 / 12.0) {
            ticks.push((place, step.to_string()));
        }
    }
    ticks
}

#[cfg(test)]
mod tests {
    use super::round_steps;

    #[test]
    fn steps_are_marked_at_round_numbers_however_they_are_spaced() {
        let texts = |steps: &[u64]| round_steps(steps).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
        assert_eq!(texts(&(1..=60).collect::<Vec<_>>()), ["10", "20", "30", "40", "50", "60"]);
        assert_eq!(texts(&(0..=200).map(|idx| 50 * idx).collect::<Vec<_>>())[..3], ["0", "2000", "4000"]);
        let spaced: Vec<u64> = (0..200).map(|idx| 10_f64.powf(f64::from(idx) / 50.0) as u64).collect();
        assert_eq!(texts(&spaced), ["1", "10", "100", "1000"]);
        assert_eq!(texts(&[7]), ["7"]);
    }
}
