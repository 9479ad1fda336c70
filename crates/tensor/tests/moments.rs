//! Moments that a storage remembers are those of its elements as they are.

use backflow_kernels::reduce;
use backflow_tensor::observe::{Announcement, Observer, Site, observe};
use backflow_tensor::{DType, Rng, Tensor};

struct Looks;
impl Observer for Looks {
    fn output(&mut self, _: &Site, _: &Announcement, _: &Tensor) {}
    fn gradient(&mut self, _: &Site, _: Option<u64>, _: &Tensor) {}
}

#[test]
fn a_function_that_somebody_looks_on_at_tells_them_of_what_it_reads_and_makes() {
    let x = Tensor::randn([3, 65_537], DType::F32, &mut Rng::seed_from_u64(7)).requires_grad();
    let z = &x * 2.0;
    let y = z.relu();
    assert!(![&z, &y].into_iter().any(Tensor::has_known_moments), "nobody looks");
    let (_, (y, dz)) = observe(Looks, || {
        let y = z.relu();
        let dz = y.square().sum(..).differentiate().wrt(&[&z]).run().of(&z).clone();
        (y, dz)
    });
    assert!([&z, &y, &dz].into_iter().all(Tensor::has_known_moments));
    for known in [&z, &y, &dz, &dz.reshape([65_537, 3]).detach()] {
        let elements = known.to_vec::<f32>();
        assert_eq!(known.moments(), reduce::moments(&elements, None));
    }
    // A part of them is other elements.
    assert!(!y.slice(0, 1..).has_known_moments());
    assert_eq!(y.slice(0, 1..).moments(), reduce::moments(&y.to_vec::<f32>()[65_537..], None));
}

#[test]
fn what_is_written_is_looked_at_again() {
    let mut x = Tensor::from([1.0, -2.0, 0.0]);
    assert_eq!((x.moments().sum, x.moments().zeros), (-1.0, 1));
    let alias = x.detach();
    assert!(alias.has_known_moments());
    x.as_mut_slice::<f64>()[0] = 5.0;
    assert_eq!((x.moments().sum, alias.moments().sum), (3.0, -1.0));
    drop(alias);
    x.as_mut_slice::<f64>()[1] = 5.0;
    assert!(!x.has_known_moments());
    assert_eq!(x.moments().sum, 10.0);
    assert!(!Tensor::from([1_i64]).has_known_moments());
}
