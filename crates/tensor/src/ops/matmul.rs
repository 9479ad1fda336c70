//! The matrix product, of single matrices and of stacks of them.
//!
//! ```text
//! y  = a b
//! da = dy bᵀ,  db = aᵀ dy            keeps its inputs
//! ```
//!
//! Transposed operands are read where they lie. Each element of the result is summed in one fixed order, so
//! the bits do not depend on the number of threads.

use crate::catalogue::Samples;
use crate::dtype::{FloatElement, require_one_dtype, with_float};
use crate::error::misuse;
use crate::layout::Layout;
use crate::onlooker::{self, Computed, Kind};
use crate::op::{Keep, Op, Work, Zeros};
use crate::pitfall::Pitfall;
use crate::shape::{MAX_RANK, Shape};
use crate::tensor::Tensor;
use backflow_kernels::matmul::{Matrix, Output, matmul};

pub(super) static OP: Op = Op::new("matmul")
    .formula("y = a b")
    .gradient("da = dy bᵀ, db = aᵀ dy")
    .operands(&["left", "right"])
    .keep(Keep::Inputs)
    .work(Work::Products(product_operations))
    .zeros(Zeros::Product)
    .pitfalls(&[Pitfall::ZERO_TIMES_INFINITY])
    .sampled_by(samples);

impl Tensor {
    /// The matrix product. Shapes: `[…, m, k]` by `[…, k, n]` gives `[…, m, n]`, leading axes broadcast; a
    /// vector stands for one row on the left and one column on the right, and its axis is gone from the
    /// result.
    ///
    /// # Panics
    /// If an operand is a scalar, the inner sizes or the element types differ, or leading axes do not
    /// broadcast.
    #[must_use]
    #[track_caller]
    pub fn matmul(&self, other: &Self) -> Self {
        let (a, b) = (self, other);
        require_one_dtype("matmul", a, b);
        match (a.rank(), b.rank()) {
            (0, _) | (_, 0) => shapes_misfit("a scalar has no rows or columns", a, b, "multiply it with *"),
            (1, 1) => a.unsqueeze(0).matmul(&b.unsqueeze(1)).reshape(Shape::SCALAR),
            (1, _) => a.unsqueeze(0).matmul(b).squeeze(-2),
            (_, 1) => a.matmul(&b.unsqueeze(1)).squeeze(-1),
            // Stacked rows against one matrix are one tall product, and so is the gradient of the matrix.
            (rank, 2) if rank > 2 => {
                let (rows, sizes) = (a.shape(), b.shape());
                let k = rows[rank - 1];
                if k != sizes[0] {
                    inner_sizes_differ(a, b);
                }
                let rows_count = rows[..rank - 1].iter().product::<usize>();
                a.reshape([rows_count, k]).matmul(b).reshape(Shape::joined(&rows[..rank - 1], &[sizes[1]]))
            }
            (rank, other) => {
                let y = a.matmul_stacks(b);
                if rank.min(other) > 2 {
                    onlooker::product(a, &y);
                }
                y
            }
        }
    }

    #[track_caller]
    fn matmul_stacks(&self, other: &Self) -> Self {
        let (a, b) = (self, other);
        let (left, right) = (&a.layout.shape, &b.layout.shape);
        let (left_stack, left_matrix) = left.split_at(left.rank() - 2);
        let (right_stack, right_matrix) = right.split_at(right.rank() - 2);
        let (m, k, n) = (left_matrix[0], left_matrix[1], right_matrix[1]);
        if k != right_matrix[0] {
            inner_sizes_differ(a, b);
        }
        let Some(stack) = Shape::new(left_stack).broadcast(&Shape::new(right_stack)) else {
            shapes_misfit("leading axes do not broadcast", a, b, "");
        };
        let shape = Shape::joined(&stack, &[m, n]);
        let y = with_float!("matmul", a.dtype(), T => Self::build::<T>(shape, |out| {
            if stack.rank() == 0 {
                return matmul(m, n, k, matrix(a, &a.layout, 0), matrix(b, &b.layout, 0), out, Output::Overwrite);
            }
            let a_layout = a.layout.broadcast_to(&Shape::joined(&stack, &[m, k]));
            let b_layout = b.layout.broadcast_to(&Shape::joined(&stack, &[k, n]));
            if m * n == 0 {
                return;
            }
            for (idx, c) in out.chunks_exact_mut(m * n).enumerate() {
                matmul(m, n, k, matrix(a, &a_layout, idx), matrix(b, &b_layout, idx), c, Output::Overwrite);
            }
        }));
        y.record(&OP, &[a, b], |g| {
            g.give(0, |g| g.dy().matmul_stacks(&g.x(1).t()));
            g.give(1, |g| g.x(0).t().matmul_stacks(g.dy()));
        })
    }
}

impl Tensor {
    /// The outer product of two vectors: `y[i, j] = x[i]·other[j]`.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let y = Tensor::from([1.0, 2.0]).outer(&Tensor::from([3.0, 4.0, 5.0]));
    /// assert_eq!((y.shape().to_vec(), y.to_vec::<f64>()), (vec![2, 3], vec![3.0, 4.0, 5.0, 6.0, 8.0, 10.0]));
    /// ```
    ///
    /// # Panics
    /// If an operand is no vector, or the element types differ.
    #[must_use]
    #[track_caller]
    pub fn outer(&self, other: &Self) -> Self {
        if (self.rank(), other.rank()) != (1, 1) {
            let rows = [("left", self.shape().to_string()), ("right", other.shape().to_string())];
            misuse("outer", "needs two vectors", &rows, "flatten(0) makes a vector of any tensor");
        }
        self.unsqueeze(1) * other.unsqueeze(0)
    }

    /// The sum of the diagonal of a matrix, or of each matrix of a stack.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// assert_eq!(Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).trace().item(), 6.0);
    /// ```
    ///
    /// # Panics
    /// If there are fewer than two axes.
    #[must_use]
    #[track_caller]
    pub fn trace(&self) -> Self {
        let shape = self.shape();
        let [.., rows, columns] = *shape else {
            let hint = "rows and columns are the last two";
            misuse("trace", "needs a matrix, or a stack of them", &[("shape", shape.to_string())], hint);
        };
        let square = self.slice(-2, ..rows.min(columns));
        square.flatten(-2).step_by(-1, columns + 1).sum(-1)
    }
}

/// The floating-point operations of a product, 2·m·n·k. Its gradients are products of the same size; that of
/// a bias is none.
pub(super) fn product_operations(computed: &Computed<'_>) -> u64 {
    let (y, left) = match computed.kind {
        Kind::Result => (computed.result, computed.operands[0]),
        // The gradient of the result comes before what was kept: the operands.
        Kind::Gradient { operand: 0 | 1 } => (computed.operands[0], computed.operands[1]),
        _ => return 0,
    };
    2 * (y.elements() * left.size(-1)) as u64
}

/// The `idx`-th matrix of a stack.
fn matrix<'a, T: FloatElement>(x: &'a Tensor, layout: &Layout, mut idx: usize) -> Matrix<'a, T> {
    let rank = layout.shape.rank();
    let strides: &[usize; MAX_RANK] = &layout.strides;
    let mut offset = layout.offset;
    for axis in (0..rank - 2).rev() {
        offset += idx % layout.shape[axis] * strides[axis];
        idx /= layout.shape[axis];
    }
    Matrix { data: x.storage_slice(), offset, row_stride: strides[rank - 2], col_stride: strides[rank - 1] }
}

#[track_caller]
fn inner_sizes_differ(a: &Tensor, b: &Tensor) -> ! {
    let k = a.size(-1);
    let turned = b.t().shape();
    let hint = if turned[turned.rank() - 2] == k { format!("right.t() is {turned}") } else { String::new() };
    shapes_misfit("inner sizes differ", a, b, &hint)
}

#[track_caller]
fn shapes_misfit(what: &str, a: &Tensor, b: &Tensor, hint: &str) -> ! {
    misuse("matmul", what, &[("left", a.shape().to_string()), ("right", b.shape().to_string())], hint)
}

fn samples(s: &mut Samples) {
    let shapes: [(&[usize], &[usize]); 12] = [
        (&[3, 4], &[4, 5]),
        (&[1, 1], &[1, 1]),
        (&[3, 0], &[0, 2]),
        (&[0, 3], &[3, 2]),
        (&[4], &[4]),
        (&[4], &[4, 3]),
        (&[3, 4], &[4]),
        (&[2, 3, 4], &[4, 5]),
        (&[2, 3, 4], &[2, 4, 3]),
        (&[2, 1, 3, 4], &[5, 4, 2]),
        (&[4, 5], &[2, 5, 3]),
        (&[17, 33], &[33, 9]),
    ];
    for (left, right) in shapes {
        let inputs = [s.draw(left, -2.0..2.0), s.draw(right, -2.0..2.0)];
        s.case("", &inputs, "a @ b", |x| x[0].matmul(&x[1]));
    }
    let strided = [
        ("left transposed", s.draw(&[4, 3], -2.0..2.0).t(), s.draw(&[4, 5], -2.0..2.0)),
        ("right transposed", s.draw(&[3, 4], -2.0..2.0), s.draw(&[5, 4], -2.0..2.0).t()),
        ("both transposed", s.draw(&[4, 3], -2.0..2.0).t(), s.draw(&[5, 4], -2.0..2.0).t()),
        ("sliced", s.draw(&[3, 8], -2.0..2.0).step_by(1, 2), s.draw(&[6, 5], -2.0..2.0).slice(0, 1..5)),
        ("broadcast", s.draw(&[1, 4], -2.0..2.0).broadcast_to([3, 4]), s.draw(&[4, 5], -2.0..2.0)),
    ];
    for (label, a, b) in strided {
        s.case(label, &[a, b], "a @ b", |x| x[0].matmul(&x[1]));
    }
    let inputs = [s.draw(&[3], -2.0..2.0), s.draw(&[4], -2.0..2.0)];
    s.case("outer", &inputs, "torch.outer(a, b)", |x| x[0].outer(&x[1]));
    for shape in [[3, 3], [2, 4], [4, 2]] {
        let x = s.draw(&shape, -2.0..2.0);
        s.case("trace", &[x], "torch.trace(a)", |x| x[0].trace());
    }
    let equations: [(&str, &[usize], &[usize]); 8] = [
        ("ij,jk->ik", &[2, 3], &[3, 4]),
        ("bij,bkj->bki", &[2, 3, 4], &[2, 5, 4]),
        ("i,j->ji", &[3], &[4]),
        ("ij,ij->", &[2, 3], &[2, 3]),
        ("iij,jk", &[3, 3, 2], &[2, 4]),
        ("...ij,jk->...ik", &[2, 2, 3], &[3, 4]),
        ("...i,...i->...", &[2, 1, 3], &[4, 3]),
        ("ij,kl->k", &[2, 3], &[4, 2]),
    ];
    for (equation, a, b) in equations {
        let inputs = [s.draw(a, -2.0..2.0), s.draw(b, -2.0..2.0)];
        let torch = format!("torch.einsum('{equation}', a, b)");
        s.case(equation, &inputs, &torch, move |x| Tensor::einsum(equation, [&x[0], &x[1]]));
    }
}
