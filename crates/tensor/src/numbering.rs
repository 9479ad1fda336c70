//! The numbers of nodes: above those of all operands, so that descending numbers are a backward order.
//!
//! What is computed again on the way back ([`checkpoint`](crate::checkpoint())) takes the numbers that it had
//! the first time. Then a sweep meets it where it would have met the nodes that are gone, and sums of
//! gradients are added up in the same order.

use crate::census::{newest_number, node_made};
use crate::mode::{Mode, Restore, mode, switch};
use std::cell::RefCell;

thread_local! {
    static NUMBERS: RefCell<Numbers> = const { RefCell::new(Numbers { given: Vec::new(), logs: 0, again: Vec::new() }) };
}

struct Numbers {
    /// Those given since the outermost [`Log`] began.
    given: Vec<u64>,
    /// How many logs there are, one inside another.
    logs: usize,
    /// Those to be given again, the next one last.
    again: Vec<u64>,
}

/// The number of a new node.
pub(crate) fn number(mode: Mode) -> u64 {
    let fresh = node_made();
    if !mode.numbered {
        return fresh;
    }
    NUMBERS.with_borrow_mut(|numbers| {
        // A computation that makes more nodes than it did goes on with fresh ones, which are above all
        // others.
        let number = numbers.again.pop().unwrap_or(fresh);
        numbers.given.push(number);
        number
    })
}

/// What the next node's number will be at least: nodes made before have lower ones.
fn next_number() -> u64 {
    NUMBERS.with_borrow(|numbers| numbers.again.last().copied()).unwrap_or_else(newest_number)
}

/// Writes down the numbers that are given until it is taken.
pub(crate) struct Log {
    pub(crate) first: u64,
    start: usize,
    _numbered: Restore,
}

impl Log {
    pub(crate) fn begin() -> Self {
        let start = NUMBERS.with_borrow_mut(|numbers| {
            numbers.logs += 1;
            numbers.given.len()
        });
        Self { first: next_number(), start, _numbered: switch(Mode { numbered: true, ..mode() }) }
    }

    pub(crate) fn take(self) -> Vec<u64> {
        NUMBERS.with_borrow(|numbers| numbers.given[self.start..].to_vec())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        NUMBERS.with_borrow_mut(|numbers| {
            numbers.logs -= 1;
            // Inside another log they belong to that one, too.
            if numbers.logs == 0 {
                numbers.given.truncate(self.start);
            }
        });
    }
}

/// Gives these numbers again until it is dropped, to nodes made in this mode.
pub(crate) struct Again {
    outer: Vec<u64>,
    start: usize,
    _mode: Restore,
}

impl Again {
    pub(crate) fn give(numbers: &[u64], mode: Mode) -> Self {
        let again = numbers.iter().rev().copied().collect();
        let (outer, start) = NUMBERS
            .with_borrow_mut(|numbers| (std::mem::replace(&mut numbers.again, again), numbers.given.len()));
        Self { outer, start, _mode: switch(Mode { numbered: true, ..mode }) }
    }
}

impl Drop for Again {
    fn drop(&mut self) {
        NUMBERS.with_borrow_mut(|numbers| {
            numbers.again = std::mem::take(&mut self.outer);
            numbers.given.truncate(self.start);
        });
    }
}
