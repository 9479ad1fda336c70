//! The mean of each window.

use super::{Channels, Image, Span, Sums, Windows, lanes, lanes_mut};
use crate::Float;
use crate::isa::dispatch;

/// The sum of each window, divided by the product of its shares.
///
/// # Panics
/// If a slice has the wrong length, or a window is empty or leaves the image.
#[track_caller]
pub fn mean<T: Float>(windows: &Windows, x: &[T], y: &mut [T]) {
    windows.check("mean", x.len(), y.len());
    windows.each_image(y, |image, y| {
        dispatch(Image { windows, channels: Mean { x: windows.part(x, image), y } });
    });
}

fn share<T: Float>([rows, columns]: [Span; 2]) -> T {
    T::from_f64((rows.share * columns.share) as f64)
}

struct Mean<'a, T> {
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Float> Channels for Mean<'_, T> {
    #[inline(always)]
    fn lanes<const LANES: usize>(
        &mut self,
        windows: &Windows,
        spans: [Span; 2],
        window: usize,
        channel: usize,
    ) {
        let mut sums = [T::ZERO; LANES];
        for i in 0..spans[0].count {
            let mut row = [T::ZERO; LANES];
            for j in 0..spans[1].count {
                let pixel = windows.pixel(spans, i, j);
                add(&mut row, 0, *lanes::<T, LANES>(self.x, pixel * windows.channels + channel));
            }
            // Row by row, rounding errors grow like the sides of a window and not like its area.
            add(&mut sums, 0, row);
        }
        let share = share(spans);
        let y = lanes_mut::<T, LANES>(self.y, window);
        for lane in 0..LANES {
            y[lane] = sums[lane] / share;
        }
    }
}

/// The gradient of [`mean`]: each pixel gets, of each window that it is in, the gradient divided by the shares.
///
/// # Panics
/// As [`mean`].
#[track_caller]
pub fn mean_backward<T: Float>(windows: &Windows, dy: &[T], dx: &mut [T]) {
    windows.check("mean_backward", dx.len(), dy.len());
    windows.each_image(dx, |image, dx| {
        dispatch(Image { windows, channels: Spread { dy: windows.part(dy, image), dx: Sums::new(dx) } });
    });
}

struct Spread<'a, T> {
    dy: &'a [T],
    dx: Sums<'a, T>,
}

impl<T: Float> Channels for Spread<'_, T> {
    #[inline(always)]
    fn reach(&mut self, end: usize) {
        self.dx.reach(end);
    }

    #[inline(always)]
    fn lanes<const LANES: usize>(
        &mut self,
        windows: &Windows,
        spans: [Span; 2],
        window: usize,
        channel: usize,
    ) {
        let share = share(spans);
        let mut part = *lanes::<T, LANES>(self.dy, window);
        for part in &mut part {
            *part = *part / share;
        }
        for i in 0..spans[0].count {
            for j in 0..spans[1].count {
                add(self.dx.data, windows.pixel(spans, i, j) * windows.channels + channel, part);
            }
        }
    }
}

/// Adds to the lanes from a place on.
#[inline(always)]
fn add<T: Float, const LANES: usize>(slice: &mut [T], first: usize, addends: [T; LANES]) {
    let sums = lanes_mut::<T, LANES>(slice, first);
    for lane in 0..LANES {
        sums[lane] += addends[lane];
    }
}
