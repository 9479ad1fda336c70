//! A schedule by name for a run whose length is known.

use backflow_optim::{Schedule, SpecError, schedule_from_spec};

/// The schedule of this spec over a run of `steps` steps: one that needs to know how long it lasts and is not told lasts for
/// the whole run.
///
/// ```
/// use backflow_optim::Schedule;
/// let schedule = backflow_train::schedule_over("cosine", 100).unwrap();
/// assert!(schedule.learning_rate(0.1, 100) < 1e-12);
/// ```
///
/// # Errors
/// If the text names no schedule, or gives it options that it does not have, or lacks another that it needs.
pub fn schedule_over(spec: &str, steps: u64) -> Result<impl Schedule + use<>, SpecError> {
    match schedule_from_spec(spec) {
        Err(SpecError::Missing { key: "steps", .. }) => {
            let separator = if spec.contains(':') { ',' } else { ':' };
            schedule_from_spec(&format!("{spec}{separator}steps={steps}"))
        }
        result => result,
    }
}
