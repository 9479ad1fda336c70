//! The largest element of each window.

use super::{Channels, Image, Span, Sums, Windows, lanes, lanes_mut};
use crate::Float;
use crate::isa::dispatch;
use crate::parallel::{self, Rows};

/// The largest element of each window, and which pixel of its image (`row · width + column`) holds it: of equal
/// ones the first, row by row. A NaN is larger than all, and of several the last one counts, as in PyTorch.
///
/// # Panics
/// If a slice has the wrong length, a window is empty or leaves the image, or there are 2³² pixels.
#[track_caller]
pub fn max<T: Float>(windows: &Windows, x: &[T], y: &mut [T], places: &mut [u32]) {
    windows.check("max", x.len(), y.len());
    assert!(places.len() == y.len(), "max: {} places for {} elements", places.len(), y.len());
    let [height, width] = windows.image;
    assert!(u32::try_from(height * width).is_ok(), "max: places of {height} × {width} pixels are too large");
    if y.is_empty() {
        return;
    }
    let (image, pooled) = (windows.image_len(), windows.pooled_len());
    let results = (Rows::new(y, pooled), Rows::new(places, pooled));
    parallel::for_each(results, windows.grain(), |(y, places)| {
        let x = x[y.first * image..].chunks_exact(image);
        for ((y, places), x) in
            y.data.chunks_exact_mut(pooled).zip(places.data.chunks_exact_mut(pooled)).zip(x)
        {
            dispatch(Image { windows, channels: Largest { x, y, places } });
        }
    });
}

struct Largest<'a, T> {
    x: &'a [T],
    y: &'a mut [T],
    places: &'a mut [u32],
}

impl<T: Float> Channels for Largest<'_, T> {
    #[inline(always)]
    fn lanes<const LANES: usize>(
        &mut self,
        windows: &Windows,
        spans: [Span; 2],
        window: usize,
        channel: usize,
    ) {
        let first = spans[0].first * windows.image[1] + spans[1].first;
        let (mut largest, mut places) = ([T::NEG_INFINITY; LANES], [first as u32; LANES]);
        for i in 0..spans[0].count {
            for j in 0..spans[1].count {
                let pixel = windows.pixel(spans, i, j);
                let x = lanes::<T, LANES>(self.x, pixel * windows.channels + channel);
                for lane in 0..LANES {
                    let is_larger = x[lane] > largest[lane] || x[lane].is_nan();
                    largest[lane] = if is_larger { x[lane] } else { largest[lane] };
                    places[lane] = if is_larger { pixel as u32 } else { places[lane] };
                }
            }
        }
        *lanes_mut(self.y, window) = largest;
        *lanes_mut(self.places, window) = places;
    }
}

/// The gradient of [`max`]: each pixel gets that of the windows whose largest element it holds.
///
/// # Panics
/// As [`max`].
#[track_caller]
pub fn max_backward<T: Float>(windows: &Windows, dy: &[T], places: &[u32], dx: &mut [T]) {
    windows.check("max_backward", dx.len(), dy.len());
    assert!(places.len() == dy.len(), "max_backward: {} places for {} elements", places.len(), dy.len());
    windows.each_image(dx, |image, dx| {
        let (dy, places) = (windows.part(dy, image), windows.part(places, image));
        dispatch(Image { windows, channels: Back { dy, places, dx: Sums::new(dx) } });
    });
}

struct Back<'a, T> {
    dy: &'a [T],
    places: &'a [u32],
    dx: Sums<'a, T>,
}

impl<T: Float> Channels for Back<'_, T> {
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
        let (dy, places) = (*lanes::<T, LANES>(self.dy, window), *lanes::<u32, LANES>(self.places, window));
        for i in 0..spans[0].count {
            for j in 0..spans[1].count {
                let pixel = windows.pixel(spans, i, j);
                let sums = lanes_mut::<T, LANES>(self.dx.data, pixel * windows.channels + channel);
                for lane in 0..LANES {
                    sums[lane] += if places[lane] == pixel as u32 { dy[lane] } else { T::ZERO };
                }
            }
        }
    }
}
