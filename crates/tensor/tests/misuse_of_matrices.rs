//! What a mistake with matrices, and with sums of products, is answered with, word for word.

mod mistake;

use backflow_tensor::{DType, Tensor};
use mistake::{f32s, says};

#[test]
fn what_is_no_matrix_or_vector() {
    let x = f32s([3]);
    let expected = "\
tril: needs a matrix, or a stack of them
    shape  [3]
    hint   rows and columns are the last two; unsqueeze adds one";
    says(expected, "tril", || x.tril(0));
    says(&expected.replace("tril", "triu"), "triu", || x.triu(0));
    let expected = "\
trace: needs a matrix, or a stack of them
    shape  [3]
    hint   rows and columns are the last two";
    says(expected, "trace", || x.trace());
    let expected = "\
outer: needs two vectors
    left   [3]
    right  [1, 3]
    hint   flatten(0) makes a vector of any tensor";
    says(expected, "outer", || x.outer(&x.unsqueeze(0)));
}

#[test]
fn equations_that_do_not_fit() {
    let (a, b) = (f32s([2, 3]), f32s([4, 5]));
    let says_of = |equation: &str, what: &str| {
        let expected = format!(
            "einsum: {what}\n    equation   {equation}\n    operand 0  [2, 3]\n    operand 1  [4, 5]\n    hint       \
             a letter for each axis of each operand, as in bij,bjk->bik"
        );
        says(&expected, "Tensor::einsum", || Tensor::einsum(equation, [&a, &b]));
    };
    for equation in ["ij->i", "ij,jk,k->i", ""] {
        says_of(equation, "needs one part for each operand, with commas between them");
    }
    for equation in ["ij,jkl->i", "i,jk->i", "i1,jk->i", "...ijk,jk", "ij,...kl...->i"] {
        says_of(equation, "a part does not have the axes of its operand");
    }
    for equation in ["ij,jk->ik", "ij,kk->ij", "...,..."] {
        says_of(equation, "axes of one name differ in size");
    }
    for equation in ["ij,kl->ii", "ij,kl->im", "ij,kl->...1"] {
        says_of(equation, "the right-hand side has a letter twice, or one that no operand has");
    }
    let expected = "\
einsum: needs one part for each operand, with commas between them
    equation  i
    hint      a letter for each axis of each operand, as in bij,bjk->bik";
    says(expected, "Tensor::einsum", || Tensor::einsum("i", []));
    let expected = "\
matmul: element types differ
    left   [1, 1, 2] f32
    right  [1, 2, 1] f64
    hint   convert one of them with to_dtype";
    let other = Tensor::ones([2], DType::F64);
    says(expected, "Tensor::einsum", || Tensor::einsum("i,i->", [&f32s([2]), &other]));
}
