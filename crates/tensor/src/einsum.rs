//! Sums of products, written as Einstein did.
//!
//! Not an op: operands are contracted from left to right, each pair by one matrix product, so gradients of any order
//! come with it. Which order of three or more is the cheapest is left to the caller.

use crate::error::misuse;
use crate::tensor::Tensor;

/// An axis: a letter, or one of those that `...` stands for, counted from the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    Among(usize),
    Letter(char),
}

/// A tensor and the names of its axes.
struct Named {
    x: Tensor,
    labels: Vec<Label>,
    /// As they were written, a letter twice where it was.
    written: Vec<Label>,
}

impl Tensor {
    /// The sum of products of the operands' elements over all axes that the right-hand side does not name. A letter is an
    /// axis, `...` stands for leading axes, which broadcast; without `->` the result has the letters that occur once, in
    /// the order of the alphabet. A letter twice in one operand takes the diagonal. PyTorch's `einsum`.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let (a, b) = (Tensor::from([[1.0, 2.0], [3.0, 4.0]]), Tensor::from([[1.0, 0.0], [1.0, 1.0]]));
    /// assert_eq!(Tensor::einsum("ij,jk->ik", [&a, &b]).to_vec::<f64>(), a.matmul(&b).to_vec::<f64>());
    /// assert_eq!(Tensor::einsum("ij,ij->", [&a, &b]).item(), 8.0);
    /// assert_eq!(Tensor::einsum("ii", [&a]).item(), 5.0);
    /// ```
    ///
    /// # Panics
    /// If the equation is not such a one, does not fit the operands, or sizes of one letter differ.
    #[must_use]
    #[track_caller]
    pub fn einsum<'a>(equation: &str, operands: impl IntoIterator<Item = &'a Self>) -> Self {
        let operands: Vec<&Self> = operands.into_iter().collect();
        let text: String = equation.chars().filter(|letter| !letter.is_whitespace()).collect();
        let (left, right) = text.split_once("->").map_or((&*text, None), |(left, right)| (left, Some(right)));
        let parts: Vec<&str> = left.split(',').collect();
        if parts.len() != operands.len() {
            refuse(equation, &operands, "needs one part for each operand, with commas between them");
        }
        let mut named = Vec::with_capacity(parts.len());
        for (part, x) in parts.iter().zip(&operands) {
            let Some(labels) = labels(part, Some(x.rank())) else {
                refuse(equation, &operands, "a part does not have the axes of its operand")
            };
            let Some(one) = (Named { x: (*x).clone(), written: labels.clone(), labels }).with_diagonals()
            else {
                refuse(equation, &operands, "axes of one name differ in size")
            };
            named.push(one);
        }
        let result = match right {
            Some(right) => labels_of_result(right, &named),
            None => Some(labels_by_default(&named)),
        };
        let Some(result) = result else {
            refuse(equation, &operands, "the right-hand side has a letter twice, or one that no operand has")
        };
        let mut named = named.into_iter();
        let mut product = named.next().expect("an equation has a part at least");
        let rest: Vec<Named> = named.collect();
        for (nth, next) in rest.iter().enumerate() {
            let is_needed = |label: &Label| {
                result.contains(label) || rest[nth + 1..].iter().any(|later| later.labels.contains(label))
            };
            let Some(joined) = product.times(next, &is_needed) else {
                refuse(equation, &operands, "axes of one name differ in size")
            };
            product = joined;
        }
        let product = product.summed(&|label| result.contains(label));
        let axes: Vec<usize> = result.iter().filter_map(|label| product.axis(*label)).collect();
        product.x.permute(axes)
    }
}

#[track_caller]
fn refuse(equation: &str, operands: &[&Tensor], what: &str) -> ! {
    let mut rows = vec![("equation", equation.to_owned())];
    let names: Vec<String> = (0..operands.len()).map(|nth| format!("operand {nth}")).collect();
    let shapes = operands.iter().map(|x| x.shape().to_string());
    rows.extend(names.iter().map(String::as_str).zip(shapes));
    let hint = "a letter for each axis of each operand, as in bij,bjk->bik";
    misuse("einsum", what, &rows, hint);
}

/// The labels of a part; `...` stands for so many axes as are left of the rank.
fn labels(part: &str, rank: Option<usize>) -> Option<Vec<Label>> {
    let (before, after) =
        part.split_once("...").map_or((part, None), |(before, after)| (before, Some(after)));
    let letters = |text: &str| -> Option<Vec<Label>> {
        text.chars().map(|letter| letter.is_ascii_alphabetic().then_some(Label::Letter(letter))).collect()
    };
    let (mut labels, after_labels) = (letters(before)?, letters(after.unwrap_or(""))?);
    let named = labels.len() + after_labels.len();
    if let Some(rank) = rank {
        let among = rank.checked_sub(named)?;
        if among > 0 && after.is_none() {
            return None;
        }
        labels.extend((0..among).rev().map(Label::Among));
    }
    labels.extend(after_labels);
    Some(labels)
}

/// All axes that `...` stood for, the leftmost first.
fn among(named: &[Named]) -> impl Iterator<Item = Label> {
    let all = named.iter().flat_map(|one| &one.labels).filter(|label| matches!(label, Label::Among(_)));
    let most = all.max().map_or(0, |label| if let Label::Among(last) = label { last + 1 } else { 0 });
    (0..most).rev().map(Label::Among)
}

fn labels_of_result(right: &str, named: &[Named]) -> Option<Vec<Label>> {
    let (before, after) = right.split_once("...").map_or((right, ""), |both| both);
    let mut result = labels(before, None)?;
    if right.contains("...") {
        result.extend(among(named));
        result.extend(labels(after, None)?);
    }
    let once = result.iter().enumerate().all(|(nth, label)| !result[..nth].contains(label));
    let known = result.iter().all(|label| named.iter().any(|one| one.labels.contains(label)));
    (once && known).then_some(result)
}

fn labels_by_default(named: &[Named]) -> Vec<Label> {
    let all: Vec<Label> = named.iter().flat_map(|one| one.written.iter().copied()).collect();
    let mut letters: Vec<Label> =
        all.iter().copied().filter(|label| matches!(label, Label::Letter(_))).collect();
    letters.retain(|label| all.iter().filter(|other| *other == label).count() == 1);
    letters.sort_unstable();
    among(named).chain(letters).collect()
}

impl Named {
    fn axis(&self, label: Label) -> Option<usize> {
        self.labels.iter().position(|&other| other == label)
    }

    /// Each letter once; `None` if the sizes of one differ.
    #[track_caller]
    fn with_diagonals(mut self) -> Option<Self> {
        while let Some(again) =
            (0..self.labels.len()).find(|&nth| self.labels[..nth].contains(&self.labels[nth]))
        {
            let first = self.axis(self.labels[again]).expect("it is there again");
            let size = self.x.size(again as isize);
            if self.x.size(first as isize) != size {
                return None;
            }
            let others: Vec<usize> =
                (0..self.x.rank()).filter(|&axis| axis != first && axis != again).collect();
            let turned = self.x.permute([&others[..], &[first, again]].concat());
            // From one element of the diagonal to the next it is a row and one more.
            self.x = turned.flatten(-2).step_by(-1, size + 1);
            self.labels = others.iter().map(|&axis| self.labels[axis]).chain([self.labels[again]]).collect();
        }
        Some(self)
    }

    /// Summed over all axes that are not needed.
    #[track_caller]
    fn summed(self, is_needed: &dyn Fn(&Label) -> bool) -> Self {
        let axes: Vec<usize> =
            (0..self.labels.len()).filter(|&axis| !is_needed(&self.labels[axis])).collect();
        if axes.is_empty() {
            return self;
        }
        Self { x: self.x.sum(axes), labels: self.labels.into_iter().filter(is_needed).collect(), ..self }
    }

    /// The product with another, summed over what is not needed any more; `None` if sizes differ.
    #[track_caller]
    fn times(self, other: &Self, is_needed: &dyn Fn(&Label) -> bool) -> Option<Self> {
        let left = self.summed(&|label| is_needed(label) || other.labels.contains(label));
        let right = Self { x: other.x.clone(), labels: other.labels.clone(), written: Vec::new() };
        let right = right.summed(&|label| is_needed(label) || left.labels.contains(label));
        let (both, left_only): (Vec<Label>, Vec<Label>) =
            left.labels.iter().copied().partition(|&label| right.axis(label).is_some());
        let (batch, contracted): (Vec<Label>, Vec<Label>) =
            both.into_iter().partition(|label| is_needed(label));
        let right_only: Vec<Label> =
            right.labels.iter().copied().filter(|&label| left.axis(label).is_none()).collect();
        // Axes among `...` broadcast.
        let mut sizes = Vec::new();
        for &label in batch.iter().chain(&contracted) {
            let [a, b] = [&left, &right].map(|one| one.x.size(one.axis(label).expect("in both") as isize));
            let broadcasts = matches!(label, Label::Among(_)) && (a == 1 || b == 1);
            if a != b && !broadcasts {
                return None;
            }
            sizes.push(if a == 1 { b } else { a });
        }
        let (batch_sizes, contracted_sizes) = sizes.split_at(batch.len());
        let of = |one: &Self, only: &[Label]| -> (Tensor, Vec<usize>) {
            let order = batch.iter().chain(only).chain(&contracted);
            let axes: Vec<usize> = order.map(|&label| one.axis(label).expect("of this one")).collect();
            let x = one.x.permute(axes);
            let only: Vec<usize> = (0..only.len()).map(|nth| x.size((batch.len() + nth) as isize)).collect();
            let x = x.broadcast_to([batch_sizes, &only, contracted_sizes].concat());
            let rows = only.iter().product::<usize>();
            (x.reshape([batch_sizes.iter().product(), rows, contracted_sizes.iter().product()]), only)
        };
        let ((a, rows), (b, columns)) = (of(&left, &left_only), of(&right, &right_only));
        let x = a.matmul(&b.t()).reshape([batch_sizes, &rows, &columns].concat());
        let labels = batch.iter().chain(&left_only).chain(&right_only).copied().collect();
        Some(Self { x, labels, written: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use crate::{DType, Rng, Tensor};

    fn draw(shape: &[usize], seed: u64) -> Tensor {
        Tensor::randn(shape, DType::F64, &mut Rng::seed_from_u64(seed))
    }

    /// The same by loops over all letters.
    #[test]
    fn axes_that_broadcast_are_summed_over() {
        let (a, b) = (draw(&[1, 3, 4], 0), draw(&[5, 4], 1));
        let y = Tensor::einsum("...ij,...j->i", [&a, &b.reshape([5, 1, 4]).sum(1)]);
        assert_eq!(y.shape(), [3]);
        let right = (a.reshape([3, 4]).matmul(&b.t())).sum(1);
        let apart = (y - right).abs().max(..).item();
        assert!(apart < 1e-13, "{apart}");
    }
}
