//! [`Pooling`]: how the windows of a pooling lie on images.

use crate::convolution::channels_last;
use crate::error::misuse;
use crate::layout::Layout;
use crate::pair::Pair;
use crate::shape::Shape;
use crate::tensor::Tensor;
use backflow_kernels::pooling::{Span, Windows};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Windows of a pooling, with PyTorch's arguments and defaults; a number or a pair alone is a kernel of this size.
/// A number stands for both axes; a pair is rows, then columns.
///
/// ```
/// use backflow_tensor::{DType, Pooling, Tensor};
/// let x = Tensor::zeros([8, 16, 15, 15], DType::F32);
/// assert_eq!(x.max_pool2d(2).shape(), [8, 16, 7, 7]);
/// assert_eq!(x.max_pool2d(Pooling::new(2).ceil_mode(true)).shape(), [8, 16, 8, 8]);
/// assert_eq!(x.avg_pool2d(Pooling::new([3, 1]).stride(2).padding([1, 0])).shape(), [8, 16, 8, 8]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pooling {
    kernel: [usize; 2],
    stride: Option<[usize; 2]>,
    padding: [usize; 2],
    dilation: [usize; 2],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: Option<usize>,
}

impl<P: Into<Pair>> From<P> for Pooling {
    fn from(kernel: P) -> Self {
        Self::new(kernel)
    }
}

impl Pooling {
    /// Windows of this size, one beside the other, on an image without padding.
    #[must_use]
    pub fn new(kernel: impl Into<Pair>) -> Self {
        Self {
            kernel: kernel.into().0,
            stride: None,
            padding: [0; 2],
            dilation: [1; 2],
            ceil_mode: false,
            count_include_pad: true,
            divisor_override: None,
        }
    }

    /// Pixels from a window to the next; as many as the kernel has unless set.
    #[must_use]
    pub fn stride(self, stride: impl Into<Pair>) -> Self {
        Self { stride: Some(stride.into().0), ..self }
    }

    /// Pixels around the image, of which a maximum takes none and which are 0 in a mean: at most half a window.
    #[must_use]
    pub fn padding(self, padding: impl Into<Pair>) -> Self {
        Self { padding: padding.into().0, ..self }
    }

    /// Pixels from an element of a window to the next.
    #[must_use]
    pub fn dilation(self, dilation: impl Into<Pair>) -> Self {
        Self { dilation: dilation.into().0, ..self }
    }

    /// Whether there are windows that reach beyond the padded image. The last one must begin before the end of the
    /// image.
    #[must_use]
    pub fn ceil_mode(self, ceil_mode: bool) -> Self {
        Self { ceil_mode, ..self }
    }

    /// Whether the pixels of the padding count in the divisor of a mean; what lies beyond it never does.
    #[must_use]
    pub fn count_include_pad(self, count_include_pad: bool) -> Self {
        Self { count_include_pad, ..self }
    }

    /// By what the sum of a window is divided in a mean, whatever it holds.
    #[must_use]
    pub fn divisor_override(self, divisor: usize) -> Self {
        Self { divisor_override: Some(divisor), ..self }
    }

    /// Where the windows lie on images `[N, C, H, W]`.
    #[track_caller]
    pub(crate) fn on(&self, op: &'static str, x: &Tensor) -> Arc<Windows> {
        let rows = || [("x", x.described()), ("windows", self.to_string())];
        let stride = self.stride.unwrap_or(self.kernel);
        let at_least_one = [self.kernel, stride, self.dilation];
        if at_least_one.as_flattened().contains(&0) || self.divisor_override == Some(0) {
            misuse(op, "kernels, strides, dilations and divisors are at least 1", &rows(), "");
        }
        let shape = image_shape(op, x, &rows());
        let mut spans = [Vec::new(), Vec::new()];
        for axis in [0, 1] {
            let reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1;
            if self.padding[axis] > reach / 2 {
                let hint = format!("at most {} here; Tensor::pad puts more around an image", reach / 2);
                misuse(op, "the padding is more than half a window", &rows(), &hint);
            }
            let Some(along) = self.spans(axis, stride[axis], shape[axis + 2], reach) else {
                let hint = "pad more, or take a smaller window";
                misuse(op, "the window is larger than the padded image", &rows(), hint);
            };
            if along.iter().any(|span| span.count == 0) {
                misuse(op, "a window takes nothing but padding", &rows(), "pad less");
            }
            spans[axis] = along;
        }
        windows(shape, self.dilation, spans)
    }

    /// What the windows take along an axis.
    fn spans(&self, axis: usize, stride: usize, size: usize, reach: usize) -> Option<Vec<Span>> {
        let (kernel, padding, dilation) = (self.kernel[axis], self.padding[axis], self.dilation[axis]);
        let end = size + 2 * padding;
        let room = (end + if self.ceil_mode { stride - 1 } else { 0 }).checked_sub(reach)?;
        // Places count from the first pixel of the padding.
        let starts = (0..=room / stride)
            .map(|nth| nth * stride)
            .filter(|start| *start < size + padding || !self.ceil_mode);
        let span = |start: usize| {
            let before = |end: usize| end.saturating_sub(start).div_ceil(dilation).min(kernel);
            let (skipped, taken) = (before(padding), before(padding + size));
            let counted = if self.count_include_pad { before(end) } else { taken - skipped };
            let share = match self.divisor_override {
                Some(divisor) if axis == 0 => divisor,
                Some(_) => 1,
                None => counted,
            };
            let first = (start + skipped * dilation).saturating_sub(padding);
            Span { first, count: taken - skipped, share }
        };
        Some(starts.map(span).collect())
    }
}

impl fmt::Display for Pooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kernel {:?}, stride {:?}", self.kernel, self.stride.unwrap_or(self.kernel))?;
        if self.padding != [0; 2] {
            write!(f, ", padding {:?}", self.padding)?;
        }
        if self.dilation != [1; 2] {
            write!(f, ", dilation {:?}", self.dilation)?;
        }
        if self.ceil_mode {
            f.write_str(", ceil mode")?;
        }
        if !self.count_include_pad {
            f.write_str(", without padding in divisors")?;
        }
        self.divisor_override.map_or(Ok(()), |divisor| write!(f, ", divisor {divisor}"))
    }
}

/// Windows of this number, as equal as they can be: the i-th of n on m pixels from ⌊im/n⌋ to ⌈(i + 1)m/n⌉.
#[track_caller]
pub(crate) fn adaptive(op: &'static str, x: &Tensor, output: [usize; 2]) -> Arc<Windows> {
    let rows = [("x", x.described()), ("result", format!("{output:?}"))];
    let shape = image_shape(op, x, &rows);
    if output.contains(&0) || shape[2..].contains(&0) {
        misuse(op, "needs a pixel, and makes one, at least", &rows, "");
    }
    let spans = [0, 1].map(|axis| {
        let (size, output) = (shape[axis + 2], output[axis]);
        let span = |nth: usize| {
            let first = nth * size / output;
            let count = ((nth + 1) * size).div_ceil(output) - first;
            Span { first, count, share: count }
        };
        (0..output).map(span).collect()
    });
    windows(shape, [1; 2], spans)
}

#[track_caller]
fn image_shape(op: &'static str, x: &Tensor, rows: &[(&str, String)]) -> Shape {
    if x.rank() != 4 {
        let hint = "x [batch, channels, rows, columns]; of one image, unsqueeze(0)";
        misuse(op, "needs images of four axes", rows, hint);
    }
    x.shape()
}

fn windows(shape: Shape, step: [usize; 2], spans: [Vec<Span>; 2]) -> Arc<Windows> {
    Arc::new(Windows { batch: shape[0], channels: shape[1], image: [shape[2], shape[3]], step, spans })
}

/// The shape of images under windows.
pub(crate) fn image_shape_of(windows: &Windows) -> Shape {
    Shape::from([windows.batch, windows.channels, windows.image[0], windows.image[1]])
}

/// The shape of what there is one of in each window.
pub(crate) fn pooled_shape_of(windows: &Windows) -> Shape {
    let [rows, columns] = &windows.spans;
    Shape::from([windows.batch, windows.channels, rows.len(), columns.len()])
}

impl Tensor {
    /// Images with channels innermost in memory: these if they lie so, or a copy.
    pub(crate) fn channels_last(&self) -> Cow<'_, Self> {
        // Axes of length 1 have no place of their own in an order.
        let order = Layout::dense(self.shape(), channels_last()).order();
        self.in_order(order.expect("made dense"))
    }
}
