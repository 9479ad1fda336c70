//! Evaluation costs no graph. Alone in its program, because the census counts what the whole process makes.

use backflow::prelude::*;
use backflow::tensor::census;

#[test]
fn evaluating_a_tracked_model_records_nothing_and_leaves_nothing() {
    let loader = Loader::new(&Mnist::embedded().test, 100);
    let activation = Activation::Relu;
    let rng = &mut Rng::seed_from_u64(0);
    let model = Mlp::new(&[784, 16, 10], activation, Init::default_for(activation), DType::F32, rng);
    let before = census();
    let evaluation = evaluate(&Classification::new(), &model, &loader).unwrap();
    let after = census();
    assert!(evaluation.loss > 0.0 && after.buffers_made > before.buffers_made, "it did evaluate");
    assert_eq!(after.nodes_made, before.nodes_made);
    assert_eq!((after.live_buffers, after.live_bytes), (before.live_buffers, before.live_bytes));
}
