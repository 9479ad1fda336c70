//! Convolutions of images, and their gradients.
//!
//! ```text
//! forward   y[n, i, j, o]  = Σ_{a, b, c} x[n, i·s + a·d − p, j·s + b·d − p, c] · w[o, c, a, b] (+ bias[o])
//! input     dx = the same sum turned round: every x gets back what it gave to each y
//! weight    dw = the sum over n, i, j of x · dy
//! ```
//!
//! Each is a matrix product whose left operand is never written down: rows of a tile are pixels, or taps and
//! channels, and are read where they lie (`matmul/gathered.rs`), with the output's channels
//! in registers. What lies outside an image is 0 and takes part: a band of rows is copied with its border to a
//! buffer that stays in cache. The copy takes images of any layout, so that all layouts give the same bits.
//!
//! **Determinism.** A sum over taps and channels runs tap by tap, row by row of the kernel, channels innermost,
//! in slices of whole taps and at most 512 terms, as in [`matmul`](crate::matmul). A sum over pixels runs row by
//! row in slices of at most 512, within blocks of images whose number the sizes decide; blocks are added in a
//! tree. Threads do not enter.
//!
//! Not here: 1-D convolutions (a height of 1), other borders than 0 (the caller pads), three dimensions.

mod band;
mod channelwise;
mod gather;
mod panels;
mod phases;
mod slices;
mod weight;

use crate::Float;
pub use weight::weight;

/// Sizes of a convolution; all at least 1 but the batch and the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Images.
    pub batch: usize,
    /// Channels of an input image.
    pub in_channels: usize,
    /// Channels of an output image.
    pub out_channels: usize,
    /// Into how many groups channels are cut; both numbers of channels are multiples of it.
    pub groups: usize,
    /// Height and width of the input.
    pub input: [usize; 2],
    /// Of the kernel.
    pub kernel: [usize; 2],
    /// Of the output.
    pub output: [usize; 2],
    /// Pixels between neighbouring windows.
    pub stride: [usize; 2],
    /// Rows and columns of zeros before the first of the input. How many there are behind the last, the size of
    /// the output says.
    pub padding: [usize; 2],
    /// Pixels between neighbouring taps.
    pub dilation: [usize; 2],
}

/// Images inside a slice: pixel `(y, x)` of channel `c` of image `n` is
/// `data[offset + n·strides[0] + c·strides[1] + y·strides[2] + x·strides[3]]`.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a, T> {
    /// What is viewed.
    pub data: &'a [T],
    /// The index of the first element.
    pub offset: usize,
    /// Elements between images, channels, rows and columns.
    pub strides: [usize; 4],
}

impl Sizes {
    /// Channels of an input image, in a group.
    fn in_group(&self) -> usize {
        self.in_channels / self.groups
    }

    /// Channels of an output image, in a group.
    fn out_group(&self) -> usize {
        self.out_channels / self.groups
    }

    /// Whether every channel is by itself, so that lanes are channels.
    fn is_channelwise(&self) -> bool {
        self.groups > 1 && self.in_group() == 1 && self.out_group() == 1
    }

    /// How many sums over groups there are, and channels of each.
    fn parts(&self) -> [usize; 3] {
        if self.is_channelwise() {
            [1, self.in_channels, self.out_channels]
        } else {
            [self.groups, self.in_group(), self.out_group()]
        }
    }

    /// The shape of the input, as images lie in results: channels innermost.
    fn input_len(&self) -> usize {
        self.batch * self.in_channels * self.input[0] * self.input[1]
    }

    fn output_len(&self) -> usize {
        self.batch * self.out_channels * self.output[0] * self.output[1]
    }

    #[track_caller]
    fn check(&self) {
        let Self { in_channels, out_channels, groups, input, kernel, stride, dilation, .. } = *self;
        let positive = [input, kernel, stride, dilation].iter().flatten().all(|&size| size > 0);
        assert!(
            positive && groups > 0 && in_channels > 0 && out_channels > 0,
            "convolution: a size is 0: {self:?}"
        );
        assert!(
            in_channels.is_multiple_of(groups) && out_channels.is_multiple_of(groups),
            "convolution: channels are no multiples of the groups: {self:?}"
        );
    }
}

impl<T> Images<'_, T> {
    #[track_caller]
    fn check(&self, name: &str, sizes: [usize; 4]) {
        if sizes.contains(&0) {
            return;
        }
        let last = sizes
            .iter()
            .zip(&self.strides)
            .try_fold(self.offset, |last, (size, stride)| last.checked_add((size - 1).checked_mul(*stride)?));
        assert!(
            last.is_some_and(|last| last < self.data.len()),
            "convolution: {name} of {sizes:?} with strides {:?} from {} on leaves its slice of {} elements",
            self.strides,
            self.offset,
            self.data.len()
        );
    }

    /// The channels from this one on.
    fn at_channel(self, channel: usize) -> Self {
        Self { offset: self.offset + channel * self.strides[1], ..self }
    }
}

/// `y = x ∗ w + bias`, with channels innermost in `y`: `[batch, height, width, channels]`. `w` is read as images
/// of `[out_channels, in_channels / groups, height, width]`.
///
/// # Panics
/// If an operand leaves its slice, or `y` or the bias has the wrong length.
#[track_caller]
pub fn forward<T: Float>(sizes: &Sizes, x: Images<'_, T>, w: Images<'_, T>, bias: Option<&[T]>, y: &mut [T]) {
    sizes.check();
    let Sizes { batch, in_channels, out_channels, input, kernel, output, .. } = *sizes;
    x.check("x", [batch, in_channels, input[0], input[1]]);
    w.check("w", [out_channels, sizes.in_group(), kernel[0], kernel[1]]);
    assert!(y.len() == sizes.output_len(), "convolution: y of {} elements for {sizes:?}", y.len());
    assert!(bias.is_none_or(|bias| bias.len() == out_channels), "convolution: one bias per channel");
    if y.is_empty() {
        return;
    }
    let [height, width] = output;
    let [groups, channels, columns] = sizes.parts();
    let window = gather::Window {
        batch,
        input,
        output,
        taps: kernel,
        stride: sizes.stride,
        dilation: sizes.dilation,
        before: sizes.padding.map(|padding| padding as isize),
        channels,
        columns,
        per_channel: sizes.is_channelwise(),
    };
    let places = gather::Places {
        image: height * width * out_channels,
        row: width * out_channels,
        pixel: out_channels,
    };
    for group in 0..groups {
        let first = group * columns;
        let filters = panels::Filters {
            w: Images { offset: w.offset + first * w.strides[0], ..w },
            first: [0, 0],
            step: [1, 1],
            from_outputs: false,
        };
        let bias = bias.map(|bias| &bias[first..first + columns]);
        gather::run(&window, x.at_channel(group * channels), &filters, bias, y, first, places);
    }
}

/// The gradient of the input: `dx`, with channels innermost, of `dy`.
///
/// # Panics
/// As [`forward`].
#[track_caller]
pub fn input<T: Float>(sizes: &Sizes, dy: Images<'_, T>, w: Images<'_, T>, dx: &mut [T]) {
    sizes.check();
    let Sizes { batch, out_channels, kernel, output, .. } = *sizes;
    dy.check("dy", [batch, out_channels, output[0], output[1]]);
    w.check("w", [out_channels, sizes.in_group(), kernel[0], kernel[1]]);
    assert!(dx.len() == sizes.input_len(), "convolution: dx of {} elements for {sizes:?}", dx.len());
    if dx.is_empty() {
        return;
    }
    if sizes.output_len() == 0 {
        return dx.fill(T::ZERO);
    }
    phases::input(sizes, dy, w, dx);
}
