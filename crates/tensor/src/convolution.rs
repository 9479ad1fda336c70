//! [`Convolution`]: how windows lie on images.

use crate::error::misuse;
use crate::layout::AxisOrder;
use crate::pair::Pair;
use crate::shape::Shape;
use crate::tensor::Tensor;
use backflow_kernels::convolution::{Images, Sizes};

/// Strides, padding, dilation and groups of a convolution, as PyTorch's arguments of these names: 1, none, 1 and
/// 1 unless set. A number stands for both axes; a pair is rows, then columns.
///
/// ```
/// use backflow_tensor::{Convolution, DType, Padding, Tensor};
/// let (x, w) = (Tensor::zeros([8, 3, 32, 30], DType::F32), Tensor::zeros([16, 3, 3, 3], DType::F32));
/// assert_eq!(x.conv2d(&w, None, Convolution::new()).shape(), [8, 16, 30, 28]);
/// assert_eq!(x.conv2d(&w, None, Convolution::new().stride(2).padding(1)).shape(), [8, 16, 16, 15]);
/// assert_eq!(x.conv2d(&w, None, Convolution::new().padding(Padding::Same)).shape(), [8, 16, 32, 30]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Pixels from a window to the next: rows, columns.
    pub stride: [usize; 2],
    /// Zeros around the image.
    pub padding: Padding,
    /// Pixels from a tap of the kernel to the next: rows, columns.
    pub dilation: [usize; 2],
    /// Into how many groups channels are cut.
    pub groups: usize,
}

/// Zeros around an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// None: every window lies inside.
    Valid,
    /// As many as make the result as large as the image, for strides of 1: `dilation · (kernel − 1)` in all, half of
    /// them, rounded down, before the first pixel.
    Same,
    /// So many rows above and below, and columns left and right.
    Zeros([usize; 2]),
}

impl From<usize> for Padding {
    fn from(both: usize) -> Self {
        Self::Zeros([both; 2])
    }
}

impl From<[usize; 2]> for Padding {
    fn from(pair: [usize; 2]) -> Self {
        Self::Zeros(pair)
    }
}

impl Default for Convolution {
    fn default() -> Self {
        Self::new()
    }
}

impl Convolution {
    /// Windows side by side, on an image without padding.
    #[must_use]
    pub const fn new() -> Self {
        Self { stride: [1; 2], padding: Padding::Valid, dilation: [1; 2], groups: 1 }
    }

    /// Pixels from a window to the next.
    #[must_use]
    pub fn stride(self, stride: impl Into<Pair>) -> Self {
        Self { stride: stride.into().0, ..self }
    }

    /// Zeros around the image.
    #[must_use]
    pub fn padding(self, padding: impl Into<Padding>) -> Self {
        Self { padding: padding.into(), ..self }
    }

    /// Pixels from a tap of the kernel to the next.
    #[must_use]
    pub fn dilation(self, dilation: impl Into<Pair>) -> Self {
        Self { dilation: dilation.into().0, ..self }
    }

    /// Into how many groups channels are cut, each with weights of its own: the first outputs see the first inputs
    /// alone, and so on.
    #[must_use]
    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// The same for images of one row: what is set for rows is as if it were not.
    #[must_use]
    pub fn along_columns(self) -> Self {
        let padding = match self.padding {
            Padding::Zeros([_, columns]) => Padding::Zeros([0, columns]),
            other => other,
        };
        Self { stride: [1, self.stride[1]], padding, dilation: [1, self.dilation[1]], ..self }
    }

    /// Rows and columns of the result, for an image and a kernel of these; `None` if the kernel is larger than
    /// the padded image.
    ///
    /// ```
    /// # use backflow_tensor::Convolution;
    /// assert_eq!(Convolution::new().stride(2).output([32, 30], [3, 3]), Some([15, 14]));
    /// assert_eq!(Convolution::new().output([2, 30], [3, 3]), None);
    /// ```
    #[must_use]
    pub fn output(&self, image: [usize; 2], kernel: [usize; 2]) -> Option<[usize; 2]> {
        let along = |axis: usize| {
            let (_, zeros) = self.zeros(axis, kernel[axis]);
            let room = (image[axis] + zeros).checked_sub(self.reach(axis, kernel[axis]))?;
            Some(room / self.stride[axis] + 1)
        };
        Some([along(0)?, along(1)?])
    }

    /// Zeros before the first pixel of an axis, and in all, for a kernel of this size.
    #[must_use]
    pub fn zeros(&self, axis: usize, kernel: usize) -> (usize, usize) {
        match self.padding {
            Padding::Valid => (0, 0),
            Padding::Same => {
                let all = self.reach(axis, kernel) - 1;
                (all / 2, all)
            }
            Padding::Zeros(zeros) => (zeros[axis], 2 * zeros[axis]),
        }
    }

    /// Pixels from the first tap of a kernel of this size to its last, both counted.
    fn reach(&self, axis: usize, kernel: usize) -> usize {
        self.dilation[axis] * (kernel - 1) + 1
    }

    /// The sizes of a convolution of images `[N, C, H, W]` with weights `[O, C / groups, KH, KW]`.
    #[track_caller]
    pub(crate) fn sizes(&self, op: &'static str, x: &Tensor, weight: &Tensor) -> Sizes {
        let rows = || [("x", x.described()), ("weight", weight.described()), ("windows", self.to_string())];
        self.check(op, x, weight, &rows);
        let (x, w) = (x.shape(), weight.shape());
        if x[1] != w[1] * self.groups {
            misuse(
                op,
                "numbers of channels do not fit",
                &rows(),
                "weight [outputs, inputs / groups, rows, columns]",
            );
        }
        let Some(output) = self.output([x[2], x[3]], [w[2], w[3]]) else {
            let hint = "pad more, or take a smaller kernel";
            misuse(op, "the kernel is larger than the padded image", &rows(), hint);
        };
        self.with([x[2], x[3]], output, x[0], [x[1], w[0]], [w[2], w[3]])
    }

    /// The sizes of the convolution whose gradient in its input is a transposed one of `x`, `[N, O, H, W]`.
    #[track_caller]
    pub(crate) fn transposed_sizes(
        &self,
        op: &'static str,
        x: &Tensor,
        weight: &Tensor,
        output_padding: [usize; 2],
    ) -> Sizes {
        let rows = || [("x", x.described()), ("weight", weight.described()), ("windows", self.to_string())];
        self.check(op, x, weight, &rows);
        let (x, w) = (x.shape(), weight.shape());
        if x[1] != w[0] {
            misuse(
                op,
                "numbers of channels do not fit",
                &rows(),
                "weight [inputs, outputs / groups, rows, columns]",
            );
        }
        let is_too_long = |axis: usize| output_padding[axis] >= self.stride[axis].max(self.dilation[axis]);
        if is_too_long(0) || is_too_long(1) {
            let hint =
                "it tells apart the sizes that a stride makes one: less than the stride or the dilation";
            misuse(op, "too much output padding", &rows(), hint);
        }
        let input = [0, 1].map(|axis| {
            let (_, zeros) = self.zeros(axis, w[axis + 2]);
            let windows = x[axis + 2].checked_sub(1)? * self.stride[axis];
            let whole = windows + self.reach(axis, w[axis + 2]) + output_padding[axis];
            whole.checked_sub(zeros).filter(|&size| size > 0)
        });
        let [Some(height), Some(width)] = input else {
            misuse(op, "the padding leaves nothing of the result", &rows(), "pad less");
        };
        self.with([height, width], [x[2], x[3]], x[0], [w[1] * self.groups, x[1]], [w[2], w[3]])
    }

    #[track_caller]
    fn check(&self, op: &str, x: &Tensor, weight: &Tensor, rows: &dyn Fn() -> [(&'static str, String); 3]) {
        if x.dtype() != weight.dtype() {
            misuse(op, "element types differ", &rows(), "convert x with to_dtype");
        }
        if x.rank() != 4 || weight.rank() != 4 {
            let hint = "x [batch, channels, rows, columns]; of one image, unsqueeze(0)";
            misuse(op, "needs images and weights of four axes", &rows(), hint);
        }
        let sizes = weight.shape();
        let positive = [self.stride, self.dilation].iter().flatten().all(|&size| size > 0);
        if !positive || self.groups == 0 || sizes.contains(&0) {
            misuse(op, "strides, dilations, groups and sizes of weights are at least 1", &rows(), "");
        }
        if !sizes[0].is_multiple_of(self.groups) {
            misuse(op, "the channels of the weights are no multiple of the groups", &rows(), "");
        }
        if self.padding == Padding::Same && self.stride != [1; 2] {
            let hint = "write the padding as numbers";
            misuse(op, "padding that keeps the size is for strides of 1", &rows(), hint);
        }
    }

    fn with(
        &self,
        input: [usize; 2],
        output: [usize; 2],
        batch: usize,
        [in_channels, out_channels]: [usize; 2],
        kernel: [usize; 2],
    ) -> Sizes {
        let padding = [0, 1].map(|axis| self.zeros(axis, kernel[axis]).0);
        let Self { stride, dilation, groups, .. } = *self;
        Sizes { batch, in_channels, out_channels, groups, input, kernel, output, stride, padding, dilation }
    }
}

impl std::fmt::Display for Convolution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { stride, padding, dilation, groups } = self;
        write!(f, "stride {stride:?}, padding ")?;
        match padding {
            Padding::Valid => f.write_str("valid")?,
            Padding::Same => f.write_str("same")?,
            Padding::Zeros(zeros) => write!(f, "{zeros:?}")?,
        }
        write!(f, ", dilation {dilation:?}, groups {groups}")
    }
}

/// The order of axes in memory that convolutions work in: channels innermost.
pub(crate) fn channels_last() -> AxisOrder {
    AxisOrder::from_axes(&[0, 2, 3, 1], 4).expect("four axes, each once")
}

/// The shape of the input of a convolution.
pub(crate) fn input_shape(sizes: &Sizes) -> Shape {
    Shape::from([sizes.batch, sizes.in_channels, sizes.input[0], sizes.input[1]])
}

/// The shape of its result.
pub(crate) fn output_shape(sizes: &Sizes) -> Shape {
    Shape::from([sizes.batch, sizes.out_channels, sizes.output[0], sizes.output[1]])
}

impl Tensor {
    /// Four axes as they lie, for the kernels.
    pub(crate) fn images<T: crate::dtype::FloatElement>(&self) -> Images<'_, T> {
        let [images, channels, rows, columns, ..] = self.layout.strides;
        Images {
            data: self.storage_slice(),
            offset: self.layout.offset,
            strides: [images, channels, rows, columns],
        }
    }
}
