//! Every value of a random program is what loops over plain arrays say.

use crate::ops::{ENTRIES, WITHOUT_TWIN};
use crate::program::{Program, Sizes};
use crate::seeds;
use backflow_tensor::catalogue::CATALOGUE;

#[test]
fn every_op_of_the_catalogue_has_a_naive_twin_or_a_reason() {
    for op in CATALOGUE {
        let count = ENTRIES.iter().filter(|entry| entry.op == op.name).count();
        let excused = WITHOUT_TWIN.iter().filter(|(name, _)| *name == op.name).count();
        assert_eq!(count + excused, 1, "{}", op.name);
    }
    assert_eq!(ENTRIES.len() + WITHOUT_TWIN.len(), CATALOGUE.len());
}

#[test]
fn values_are_those_of_naive_loops() {
    let (mut programs, mut applied, mut numbers) = (0, [0_u64; ENTRIES.len()], 0);
    for seed in seeds(400) {
        let mut program = Program::new(seed, Sizes::Small);
        for _ in 0..40 {
            let entry = program.below(ENTRIES.len());
            let Some(made) = (ENTRIES[entry].apply)(&mut program) else { continue };
            assert_eq!(made.op, ENTRIES[entry].op);
            numbers += program.compare_and_take(made).unwrap_or_else(|failure| panic!("{failure}"));
            applied[entry] += 1;
        }
        programs += 1;
    }
    let total: u64 = applied.iter().sum();
    println!("{total} ops in {programs} programs, {numbers} numbers compared");
    if programs >= 400 {
        for (entry, &count) in ENTRIES.iter().zip(&applied) {
            assert!(count > 30, "{} was tried {count} times", entry.op);
        }
        assert!(numbers as u64 > 10 * total, "{numbers} numbers of {total} ops");
    }
}
