//! [`Tensor`]: a view of shared elements, and the place in the graph that it came from.

use crate::dtype::{DType, Element, Stored, with_element, with_float};
use crate::error::misuse;
use crate::graph::Node;
use crate::layout::{AxisOrder, Layout};
use crate::mode::{Mode, mode};
use crate::onlooker;
use crate::rng::Rng;
use crate::shape::Shape;
use crate::storage::{Buffer, Storage};
use backflow_kernels::Float;
use backflow_kernels::strided::Strided;
use rand_distr::{Distribution, StandardNormal, Uniform};
use std::sync::Arc;

/// An n-dimensional array that remembers how it was computed.
///
/// Arithmetic works on references and values alike, broadcasts by NumPy's rule, and panics with both shapes
/// where they do not fit. Views (transpose, slice, broadcast) share their elements, which are copied on the
/// first write while shared.
///
/// A result is recorded in the graph when one of its operands is tracked and recording is on
/// (see [`no_grad`](crate::no_grad)); [`requires_grad`](Self::requires_grad) makes a tracked leaf.
///
/// ```
/// use backflow_tensor::Tensor;
/// let w = Tensor::from([1.0, -2.0]).requires_grad();
/// let loss = (&w * &w).sum(..);
/// let grads = loss.backward();
/// assert_eq!(grads.of(&w).to_vec::<f64>(), [2.0, -4.0]);
/// ```
///
/// # Arithmetic
///
/// `+ − × ÷` take a tensor or a [number](crate::Scalar) on either side, and the result keeps the tensor's
/// type: `&x * 2`, `&x / n`, `1.0 - &x`. On the left a number is an `f64` or an `i32`, as literals are.
///
/// `a += b` is `a = a + b`, and so are its kin: another result under the same name, recorded as such. Nothing
/// is written in place, so aliases of `a` and graphs keep what they hold; and if `a` was a leaf, it is one no
/// more. What changes the numbers of a leaf is [`assign`](Self::assign).
///
/// ```
/// # use backflow_tensor::Tensor;
/// let x = Tensor::from([1.0, 2.0]).requires_grad();
/// let mut y = x.clone();
/// y *= &x;
/// y += 1;
/// assert_eq!((x.to_vec::<f64>(), y.to_vec::<f64>()), (vec![1.0, 2.0], vec![2.0, 5.0]));
/// assert_eq!(y.sum(..).backward().of(&x).to_vec::<f64>(), [2.0, 4.0]);
/// ```
///
/// # Identity
///
/// `clone()` is an alias: the same elements and the same leaf, so that gradients of both are one gradient. A
/// write ([`as_mut_slice`](Self::as_mut_slice), an optimizer's step) that separates two aliases makes the
/// *written* one a new leaf: two tensors that hold different numbers are never one leaf. Only tensors count
/// as aliases. A [detached](Self::detach) one shares elements and is no leaf, and a graph that is still alive
/// keeps the old elements for itself: a write then copies the elements, and the leaf stays the same.
///
/// ```
/// # use backflow_tensor::Tensor;
/// let mut w = Tensor::from([1.0]).requires_grad();
/// let loss = (&w * &w).sum(..);
/// let (alias, number) = (w.clone(), w.id());
/// assert!(alias.is_alias_of(&w));
/// drop(alias);
/// w.as_mut_slice::<f64>()[0] = 2.0;         // the loss still holds 1: a copy, and the same leaf
/// assert_eq!(w.id(), number);
///
/// let alias = w.clone();
/// w.as_mut_slice::<f64>()[0] = 3.0;         // the alias holds 2 and is the leaf that w was
/// assert_eq!((alias.id() == number, w.id() == number), (true, false));
/// ```
///
/// A tensor of its own, with the same elements, is made by [`copied`](crate::Module::copied).
#[derive(Clone)]
pub struct Tensor {
    // Three pointers: graphs, maps and results move tensors about all the time.
    pub(crate) storage: Arc<Storage>,
    pub(crate) layout: Arc<Layout>,
    pub(crate) node: Option<Arc<Node>>,
}

/// Making tensors.
impl Tensor {
    /// A tensor of `shape` with the elements of `data` in row-major order.
    ///
    /// # Panics
    /// If `data` does not have as many elements as the shape.
    #[must_use]
    #[track_caller]
    pub fn from_vec<T: Element>(data: Vec<T>, shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        if data.len() != shape.elements() {
            let rows = [
                ("data", format!("{} elements", data.len())),
                ("shape", format!("{shape}, {} elements", shape.elements())),
            ];
            misuse("from_vec", "data does not fill the shape", &rows, "");
        }
        Self::from_buffer(Buffer::from_vec(data), shape)
    }

    /// A scalar.
    #[must_use]
    pub fn scalar<T: Element>(value: T) -> Self {
        Self::from_buffer(Buffer::from_vec(vec![value]), Shape::SCALAR)
    }

    /// A tensor filled with `value`, converted to `dtype`.
    #[must_use]
    #[track_caller]
    pub fn full(shape: impl Into<Shape>, value: f64, dtype: DType) -> Self {
        let shape = shape.into();
        shape.require_room();
        Self::filled(Arc::new(Layout::contiguous(shape)), value, dtype)
    }

    fn filled(layout: Arc<Layout>, value: f64, dtype: DType) -> Self {
        match dtype {
            DType::F32 => Self::build_as(layout, |out| out.fill(value as f32)),
            DType::F64 => Self::build_as(layout, |out| out.fill(value)),
            DType::I64 => Self::build_as(layout, |out| out.fill(value as i64)),
            DType::Bool => Self::build_as(layout, |out| out.fill(value != 0.0)),
        }
    }

    /// A tensor of zeros.
    #[must_use]
    #[track_caller]
    pub fn zeros(shape: impl Into<Shape>, dtype: DType) -> Self {
        Self::full(shape, 0.0, dtype)
    }

    /// A tensor of ones.
    #[must_use]
    #[track_caller]
    pub fn ones(shape: impl Into<Shape>, dtype: DType) -> Self {
        Self::full(shape, 1.0, dtype)
    }

    /// The same number everywhere, in this tensor's shape, element type and, if it is dense, order.
    pub(crate) fn full_like(&self, value: f64) -> Self {
        let order = self.layout.order().unwrap_or(AxisOrder::ROW_MAJOR);
        Self::filled(self.layout_in_order(order), value, self.dtype())
    }

    /// Zeros with the shape and element type of this tensor.
    #[must_use]
    pub fn zeros_like(&self) -> Self {
        Self::filled(self.contiguous_layout(), 0.0, self.dtype())
    }

    /// Ones with the shape and element type of this tensor.
    #[must_use]
    pub fn ones_like(&self) -> Self {
        Self::filled(self.contiguous_layout(), 1.0, self.dtype())
    }

    /// `[0, 1, …, n − 1]`.
    #[must_use]
    pub fn arange(n: usize, dtype: DType) -> Self {
        Self::from_vec((0..n as i64).collect(), [n]).to_dtype(dtype)
    }

    /// The identity matrix of size n × n.
    #[must_use]
    pub fn eye(n: usize, dtype: DType) -> Self {
        Self::from_vec((0..n * n).map(|i| i % (n + 1) == 0).collect(), [n, n]).to_dtype(dtype)
    }

    /// Independent samples of the uniform distribution on [low, high).
    ///
    /// # Panics
    /// If `low < high` does not hold, or the bounds are not finite.
    #[must_use]
    #[track_caller]
    pub fn uniform(shape: impl Into<Shape>, low: f64, high: f64, dtype: DType, rng: &mut Rng) -> Self {
        let Ok(distribution) = Uniform::new(low, high) else {
            misuse("uniform", "needs low < high, both finite", &[("bounds", format!("[{low}, {high})"))], "");
        };
        Self::sampled(shape.into(), dtype, || distribution.sample(rng))
    }

    /// Independent samples of the standard normal distribution.
    #[must_use]
    #[track_caller]
    pub fn randn(shape: impl Into<Shape>, dtype: DType, rng: &mut Rng) -> Self {
        Self::sampled(shape.into(), dtype, || StandardNormal.sample(rng))
    }

    // Samples are drawn in f64 and rounded: both element types see the same random numbers.
    #[track_caller]
    fn sampled(shape: Shape, dtype: DType, mut draw: impl FnMut() -> f64) -> Self {
        with_float!("random tensor", dtype, T => {
            let mut buffer = Buffer::<T>::stale(shape.elements());
            buffer.as_mut_slice().fill_with(|| T::from_f64(draw()));
            Self::from_buffer(buffer, shape)
        })
    }

    pub(crate) fn from_buffer<T: Element>(buffer: Buffer<T>, shape: Shape) -> Self {
        Self::laid_out(buffer, Arc::new(Layout::contiguous(shape)))
    }

    /// A tensor of the shape of `like`, whose layout it shares if that is contiguous.
    pub(crate) fn from_buffer_like<T: Element>(buffer: Buffer<T>, like: &Self) -> Self {
        Self::laid_out(buffer, like.contiguous_layout())
    }

    fn contiguous_layout(&self) -> Arc<Layout> {
        self.layout_in_order(AxisOrder::ROW_MAJOR)
    }

    /// A layout of this shape, dense in this order: this tensor's own if it is.
    fn layout_in_order(&self, order: AxisOrder) -> Arc<Layout> {
        let layout = &self.layout;
        if layout.offset == 0 && layout.order() == Some(order) {
            return Arc::clone(layout);
        }
        layout.shape.require_room();
        Arc::new(Layout::dense(layout.shape, order))
    }

    fn laid_out<T: Element>(buffer: Buffer<T>, layout: Arc<Layout>) -> Self {
        Self { storage: Arc::new(Stored::wrap(buffer)), layout, node: None }
    }

    /// Allocates the result of an op and lets `fill` write every element of it.
    pub(crate) fn build<T: Element>(shape: Shape, fill: impl FnOnce(&mut [T])) -> Self {
        // Views of huge shapes cost nothing and can be combined: what is to be allocated is checked again.
        shape.require_room();
        Self::build_as(Arc::new(Layout::contiguous(shape)), fill)
    }

    /// [`build`](Self::build) for a result of the shape of `like`, whose layout it shares if that is
    /// contiguous: most results of a training step have the shape of an operand, and a layout takes as long
    /// to make as the sum of 500 numbers.
    pub(crate) fn build_like<T: Element>(like: &Self, fill: impl FnOnce(&mut [T])) -> Self {
        Self::build_as(like.contiguous_layout(), fill)
    }

    /// [`build_like`](Self::build_like) for a result that is dense in the order of `like`, which is: `fill`
    /// writes the elements in the order of memory.
    pub(crate) fn build_laid_out_like<T: Element>(like: &Self, fill: impl FnOnce(&mut [T])) -> Self {
        let order = like.layout.order().expect("told from something dense");
        Self::build_as(like.layout_in_order(order), fill)
    }

    /// [`build`](Self::build) for a result that is dense in this order: `fill` writes the elements in the
    /// order of memory.
    pub(crate) fn build_in_order<T: Element>(
        shape: Shape,
        order: AxisOrder,
        fill: impl FnOnce(&mut [T]),
    ) -> Self {
        shape.require_room();
        Self::build_as(Arc::new(Layout::dense(shape, order)), fill)
    }

    fn build_as<T: Element>(layout: Arc<Layout>, fill: impl FnOnce(&mut [T])) -> Self {
        let Mode { tracing, flushing, .. } = mode();
        let _computing = tracing.then(onlooker::computing);
        let mut buffer = Buffer::<T>::stale(layout.shape.elements());
        fill(buffer.as_mut_slice());
        let mut y = Self::laid_out(buffer, layout);
        if flushing {
            y.flush_subnormals();
        }
        y
    }
}

/// Looking at tensors.
impl Tensor {
    /// The length along each axis.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.layout.shape
    }

    /// The number of axes.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.layout.shape.rank()
    }

    /// The length along one axis; negative axes count from the end.
    ///
    /// # Panics
    /// If there is no such axis.
    #[must_use]
    #[track_caller]
    pub fn size(&self, axis: isize) -> usize {
        self.layout.shape[self.layout.shape.axis("size", axis)]
    }

    /// The number of elements.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.layout.shape.elements()
    }

    /// The type of the elements.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.storage.dtype()
    }

    /// The value of a tensor with one element.
    ///
    /// # Panics
    /// If there is not exactly one element.
    #[must_use]
    #[track_caller]
    pub fn item(&self) -> f64 {
        if self.elements() != 1 {
            misuse(
                "item",
                "needs exactly one element",
                &[("shape", self.shape().to_string())],
                "reduce it first, e.g. with mean(..)",
            );
        }
        with_element!(self.dtype(), T => self.storage_slice::<T>()[self.layout.offset].as_f64())
    }

    /// The elements in row-major order.
    ///
    /// # Panics
    /// If `T` is not the type of the elements.
    #[must_use]
    #[track_caller]
    pub fn to_vec<T: Element>(&self) -> Vec<T> {
        if T::DTYPE != self.dtype() {
            dtype_mismatch("to_vec", T::DTYPE, self.dtype());
        }
        self.contiguous().as_slice::<T>().expect("made contiguous above").to_vec()
    }

    /// The elements in row-major order, converted to `f64`.
    #[must_use]
    pub fn to_f64_vec(&self) -> Vec<f64> {
        with_element!(self.dtype(), T => self.to_vec::<T>().into_iter().map(Element::as_f64).collect())
    }

    /// The elements without a copy, where they are of type `T` and lie contiguously in row-major order. Views
    /// do not always, and what is computed of a view of three axes or more, element by element, lies as it
    /// does.
    ///
    /// ```
    /// # use backflow_tensor::{DType, Tensor};
    /// let images = Tensor::ones([8, 28, 24, 3], DType::F32).permute([0, 3, 1, 2]);
    /// assert!(images.relu().as_slice::<f32>().is_none());
    /// assert!(images.relu().permute([0, 2, 3, 1]).as_slice::<f32>().is_some());
    /// ```
    #[must_use]
    pub fn as_slice<T: Element>(&self) -> Option<&[T]> {
        let all = T::slice(&self.storage)?;
        self.layout.is_contiguous().then(|| &all[self.layout.offset..][..self.elements()])
    }

    /// The elements for writing, made contiguous and unshared first (a copy only if they are shared or
    /// strided).
    ///
    /// This is how optimizers update parameters. A tracked leaf stays the same leaf, unless another tensor is
    /// that leaf too and goes on holding the old elements: then this one becomes a leaf of its own (see
    /// [Identity](Self#identity)).
    ///
    /// # Panics
    /// If `T` is not the type of the elements, or if this is the tracked result of an op, whose elements
    /// the graph may need.
    #[must_use]
    #[track_caller]
    pub fn as_mut_slice<T: Element>(&mut self) -> &mut [T] {
        if T::DTYPE != self.dtype() {
            dtype_mismatch("as_mut_slice", T::DTYPE, self.dtype());
        }
        if self.node.as_ref().is_some_and(|node| !node.is_leaf()) {
            misuse(
                "as_mut_slice",
                "the tracked result of an op cannot be overwritten",
                &[],
                "detach() it first",
            );
        }
        let whole = self.layout.offset == 0 && self.layout.is_contiguous();
        if !whole || Arc::get_mut(&mut self.storage).is_none() {
            self.separate();
        }
        let elements = self.elements();
        let storage = Arc::get_mut(&mut self.storage).expect("unshared above");
        &mut T::slice_mut(storage).expect("the type was checked above")[..elements]
    }

    /// Whether both tensors show the same elements in memory, so that neither was copied.
    #[must_use]
    pub fn shares_elements_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.storage, &other.storage)
    }

    #[track_caller]
    pub(crate) fn storage_slice<T: Element>(&self) -> &[T] {
        match T::slice(&self.storage) {
            Some(elements) => elements,
            None => dtype_mismatch("elements", T::DTYPE, self.dtype()),
        }
    }

    /// The elements as the kernels take them.
    pub(crate) fn strided<T: Element>(&self) -> Strided<'_, T> {
        self.laid_out_as(&self.layout)
    }
}

#[track_caller]
pub(crate) fn dtype_mismatch(op: &str, asked: DType, found: DType) -> ! {
    misuse(
        op,
        "element types differ",
        &[("asked", asked.to_string()), ("found", found.to_string())],
        "convert with to_dtype",
    );
}

/// Tracking.
impl Tensor {
    /// Makes this tensor a tracked leaf: results computed from it are recorded, and
    /// [`backward`](Self::backward) reports its gradient.
    ///
    /// # Panics
    /// If the elements are not floating point.
    #[must_use]
    #[track_caller]
    pub fn requires_grad(mut self) -> Self {
        if !self.dtype().is_float() {
            misuse(
                "requires_grad",
                "only floating-point tensors have gradients",
                &[("dtype", self.dtype().to_string())],
                "",
            );
        }
        self.node = Some(Node::leaf(self.shape(), self.dtype()));
        self
    }

    /// The place in the graph, which a buffer does not have.
    pub(crate) fn tracked(&self) -> Option<&Arc<Node>> {
        self.node.as_ref().filter(|node| !node.is_buffer())
    }

    /// The same elements, cut off from the graph.
    #[must_use]
    pub fn detach(&self) -> Self {
        self.untracked()
    }

    /// Whether gradients flow through this tensor: it is a tracked leaf or was computed from one.
    #[must_use]
    pub fn is_tracked(&self) -> bool {
        self.tracked().is_some()
    }

    /// Whether this is a tracked leaf, such as a trainable parameter.
    #[must_use]
    pub fn is_leaf(&self) -> bool {
        self.tracked().is_some_and(|node| node.is_leaf())
    }

    /// The result of an op that has nothing to do. Tracked as its operand is, unless recording is off.
    pub(crate) fn unchanged(&self) -> Self {
        if crate::mode::is_recording() { self.clone() } else { self.untracked() }
    }

    pub(crate) fn untracked(&self) -> Self {
        Self { storage: Arc::clone(&self.storage), layout: Arc::clone(&self.layout), node: None }
    }
}
