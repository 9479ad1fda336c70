//! The tasks that are here: one file each.

mod classification;
mod next_token;
mod reconstruction;
mod regression;
mod steps_of_sequences;

pub use classification::{Classification, count_correct};
pub use next_token::NextToken;
pub use reconstruction::Reconstruction;
pub use regression::{PointwiseLoss, Regression};
