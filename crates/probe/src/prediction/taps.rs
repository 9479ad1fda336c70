//! [`Taps`]: which pixels the windows of a convolution see.

use backflow_tensor::Convolution;

/// The windows of a convolution of images of one size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taps {
    pub(super) image: [usize; 2],
    pub(super) result: [usize; 2],
    pub(super) kernel: [usize; 2],
    pub(super) windows: Convolution,
    /// Whether all weights but those in the middle of the kernel are 0.
    pub(super) is_middle_only: bool,
}

impl Taps {
    /// Each tap with each place of the result at which it lies in the image, and the pixel there.
    pub(super) fn each(&self, mut see: impl FnMut(usize, usize, usize)) {
        let axes = [0, 1].map(|axis| self.along(axis));
        for &(row_tap, row, image_row) in &axes[0] {
            for &(column_tap, column, image_column) in &axes[1] {
                see(
                    row_tap * self.kernel[1] + column_tap,
                    row * self.result[1] + column,
                    image_row * self.image[1] + image_column,
                );
            }
        }
    }

    fn along(&self, axis: usize) -> Vec<(usize, usize, usize)> {
        let (before, _) = self.windows.zeros(axis, self.kernel[axis]);
        let middle = (self.kernel[axis] - 1) / 2;
        let taps = (0..self.kernel[axis]).filter(|&tap| !self.is_middle_only || tap == middle);
        let seen = taps.flat_map(|tap| (0..self.result[axis]).map(move |place| (tap, place)));
        let pixel = |(tap, place): (usize, usize)| {
            let pixel = place * self.windows.stride[axis] + tap * self.windows.dilation[axis];
            let pixel = pixel.checked_sub(before).filter(|&pixel| pixel < self.image[axis])?;
            Some((tap, place, pixel))
        };
        seen.filter_map(pixel).collect()
    }

    /// The places of the image, and of the result.
    pub(super) fn places(&self) -> [usize; 2] {
        [self.image, self.result].map(|size| size.iter().product())
    }
}
