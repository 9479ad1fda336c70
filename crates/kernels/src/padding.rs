//! Images with a border.
//!
//! ```text
//! y[o, i, j] = x[o, rows[i], columns[j]]      fill where there is no such row or column
//! ```
//!
//! An element here is `inner` numbers: one of a plain matrix, all channels of an image that has them innermost.

use crate::map::Element;
use crate::parallel::{self, GRAIN, Rows};

/// Where the rows and columns of `[outer, height, width, inner]` go.
#[derive(Clone, Debug)]
pub struct Border {
    /// How many images there are.
    pub outer: usize,
    /// Numbers of a pixel.
    pub inner: usize,
    /// Height and width of the image without a border.
    pub image: [usize; 2],
    /// Which row of it each row with a border shows, and which column; `None` if none.
    pub sources: [Vec<Option<usize>>; 2],
}

/// Neighbouring columns that show neighbours of the image, or nothing.
struct Run {
    source: Option<usize>,
    count: usize,
}

impl Border {
    fn runs(&self) -> Vec<Run> {
        let follow = |a: &Option<usize>, b: &Option<usize>| a.map(|a| a + 1) == *b;
        let runs = self.sources[1].chunk_by(follow);
        runs.map(|run| Run { source: run[0], count: run.len() }).collect()
    }

    #[track_caller]
    fn check(&self, name: &str, x: usize, y: usize) {
        let Self { outer, inner, image, sources } = self;
        let lies_inside = |axis: usize| sources[axis].iter().flatten().all(|&source| source < image[axis]);
        assert!(
            x == outer * inner * image[0] * image[1]
                && y == outer * inner * sources[0].len() * sources[1].len()
                && lies_inside(0)
                && lies_inside(1),
            "{name}: {x} and {y} elements for {self:?}"
        );
    }

    /// Elements of a row, without a border and with it.
    fn widths(&self) -> [usize; 2] {
        [self.image[1] * self.inner, self.sources[1].len() * self.inner]
    }
}

/// The images with their border.
///
/// # Panics
/// If a slice has the wrong length, or a row or column does not exist.
#[track_caller]
pub fn pad<T: Element>(border: &Border, x: &[T], fill: T, y: &mut [T]) {
    border.check("pad", x.len(), y.len());
    if y.is_empty() {
        return;
    }
    let ([width, padded], rows, runs) = (border.widths(), &border.sources[0], border.runs());
    parallel::for_each(Rows::new(y, padded), (GRAIN / padded).max(1), |Rows { first, data, .. }| {
        for (nth, mut y) in data.chunks_exact_mut(padded).enumerate() {
            let (image, row) = ((first + nth) / rows.len(), rows[(first + nth) % rows.len()]);
            let x = row.map(|row| &x[(image * border.image[0] + row) * width..][..width]);
            for &Run { source, count } in &runs {
                let part = y.split_off_mut(..count * border.inner).expect("runs make up a row");
                match x.zip(source) {
                    Some((x, source)) => part.copy_from_slice(&x[source * border.inner..][..part.len()]),
                    None => part.fill(fill),
                }
            }
        }
    });
}
