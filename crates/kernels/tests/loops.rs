//! Elementwise loops: contiguous, strided and fused, at every instruction set and number of threads.
#![allow(missing_docs, reason = "an integration test")]

use backflow_kernels::isa::{self, Isa};
use backflow_kernels::strided::Strided;
use backflow_kernels::{Float, map, strided, subnormal};
use std::sync::Mutex;

/// The instruction set is a setting of the whole process: tests that force one take turns.
static ISA: Mutex<()> = Mutex::new(());

/// Lengths around every block size of the loops, and some that are worked on in parallel.
const LENGTHS: [usize; 19] =
    [0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 65, 255, 257, 1023, 1025, 32_769, 100_003];

/// Numbers of many magnitudes, both signs, and the special ones.
fn numbers<T: Float>(n: usize) -> Vec<T> {
    let special = [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e-42, -3e38];
    let ordinary = |i: usize| (i as f64 * 0.618_033_988_75).fract() * 20.0 - 10.0;
    (0..n).map(|i| T::from_f64(if i % 13 == 5 { special[i / 13 % 7] } else { ordinary(i) })).collect()
}

/// Bits, with all NaN alike: which of two NaN an addition passes on is the compiler's choice.
fn bits<T: Float>(x: &[T]) -> Vec<u64> {
    x.iter().map(|x| if x.is_nan() { u64::MAX } else { x.to_f64().to_bits() }).collect()
}

fn at_each_level<R: PartialEq>(what: &str, run: impl Fn() -> R) {
    let _turn = ISA.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    isa::force(Some(Isa::Portable));
    let portable = run();
    for level in isa::ALL.into_iter().filter(|level| level.is_available()) {
        isa::force(Some(level));
        assert!(run() == portable, "{what}: {level:?} differs from the portable loop");
    }
    isa::force(None);
}

fn with_threads<R: PartialEq + Send>(what: &str, run: impl Fn() -> R + Sync) {
    let _turn = ISA.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let on = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(&run);
    let one = on(1);
    assert!(run() == one, "{what}: a thread outside the pool differs from one inside");
    assert!(on(2) == one, "{what}: two threads differ from one");
    assert!(on(4) == one, "{what}: four threads differ from one");
}

type Unary = (&'static str, fn(f32) -> f32);

#[test]
fn every_instruction_set_and_thread_count_gives_the_same_bits() {
    // The closures of `map` are generic so that they can be inlined; a macro keeps each its own type.
    macro_rules! same_bits {
        ($($f:ident)*) => {$(
            let run = |x: &[f32]| {
                let mut y = vec![0.0; x.len()];
                map::map(x, &mut y, |x: f32| Float::$f(x));
                let one_by_one: [Unary; 1] = [("", Float::$f)];
                assert!(bits(&y) == x.iter().flat_map(|&x| bits(&[one_by_one[0].1(x)])).collect::<Vec<_>>());
                bits(&y)
            };
            let x = numbers::<f32>(100_003);
            at_each_level(stringify!($f), || run(&x));
            with_threads(stringify!($f), || run(&x));
        )*};
    }
    same_bits!(exp exp_m1 ln ln_1p tanh sigmoid softplus sqrt abs floor ceil round sin erf);
}

/// To a power of this exponent.
#[derive(Clone, Copy)]
struct Power(f64);

impl map::Unary<f32, f32> for Power {
    #[inline(always)]
    fn apply(self, x: f32) -> f32 {
        x.powf_wide(self.0)
    }
}

/// Blocks of numbers near 0, and blocks with such as are far out or none at all.
#[test]
fn sines_and_powers_have_the_same_bits_alone_and_among_others() {
    let near = (0..3000).map(|i| (i - 1500) as f32 * 0.618_034);
    let x: Vec<f32> = near.chain(numbers::<f32>(100_003)).collect();
    let mut y = vec![0.0; x.len()];
    type Subject = (&'static str, fn(&[f32], &mut [f32]), fn(f32) -> f32);
    let all: [Subject; 4] = [
        ("sin", Float::sines, Float::sin),
        ("cos", Float::cosines, Float::cos),
        ("powf", |x, y| map::map_by(Power(2.5), x, y), |x| x.powf_wide(2.5)),
        ("odd", |x, y| map::map_by(Power(-3.0), x, y), |x| x.powf_wide(-3.0)),
    ];
    for (name, each, one) in all {
        each(&x, &mut y);
        assert!(bits(&y) == bits(&x.iter().map(|&x| one(x)).collect::<Vec<_>>()), "{name}");
        let run = || {
            let mut y = vec![0.0; x.len()];
            each(&x, &mut y);
            bits(&y)
        };
        at_each_level(name, run);
        with_threads(name, run);
    }
}

#[test]
fn loops_equal_one_element_at_a_time() {
    for n in LENGTHS {
        let (x, y, z) = (numbers::<f32>(n), numbers::<f32>(n + 1), numbers::<f32>(n + 2));
        let (y, z) = (&y[1..], &z[2..]);
        let mut out = vec![0.0; n];
        map::map(&x, &mut out, |x| 2.0 * x);
        assert!(bits(&out) == bits(&x.iter().map(|x| 2.0 * x).collect::<Vec<_>>()), "map {n}");
        map::zip(&x, y, &mut out, |x, y| x - y);
        let expected: Vec<f32> = x.iter().zip(y).map(|(x, y)| x - y).collect();
        assert!(bits(&out) == bits(&expected), "zip {n}");
        map::zip_inplace(&mut out, z, |a, z| a * z + 1.0);
        let expected: Vec<f32> = expected.iter().zip(z).map(|(a, z)| a * z + 1.0).collect();
        assert!(bits(&out) == bits(&expected), "zip_inplace {n}");
        map::map_inplace(&mut out, |x| -x);
        assert!(bits(&out) == bits(&expected.iter().map(|x| -x).collect::<Vec<_>>()), "map_inplace {n}");
    }
}

#[test]
fn types_may_differ() {
    let mut mask = [false; 3];
    map::map(&[1.0, -1.0, f64::NAN], &mut mask, |x| x > 0.0);
    assert_eq!(mask, [true, false, false]);
    let mut picked = [0_i64; 3];
    map::zip(&mask, &[10_i32, 20, 30], &mut picked, |m, x| if m { 1 } else { i64::from(x) });
    assert_eq!(picked, [1, 20, 30]);
}

#[test]
fn update_is_the_rule_and_its_sums() {
    let rule = |w: f32, g: f32, [m]: [f32; 1]| {
        let m = 0.9 * m + g;
        (w - 0.1 * m, [m], [f64::from(g) * f64::from(g), f64::from(w).abs()])
    };
    for n in LENGTHS {
        let start: Vec<f32> = (0..n).map(|i| (i as f32 * 0.37).fract() - 0.5).collect();
        let g: Vec<f32> = (0..n).map(|i| (i as f32 * 0.73).fract() - 0.5).collect();
        let run = || {
            let (mut w, mut m) = (start.clone(), g.clone());
            let sums = map::update(&mut w, &g, [&mut m], rule);
            (bits(&w), bits(&m), sums.map(f64::to_bits))
        };
        let (w, m, sums) = run();
        let mut exact = [0.0; 2];
        for i in 0..n {
            let (new, [state], terms) = rule(start[i], g[i], [g[i]]);
            assert!(w[i] == bits(&[new])[0] && m[i] == bits(&[state])[0], "update {n} at {i}");
            exact = [exact[0] + terms[0], exact[1] + terms[1]];
        }
        for (sum, exact) in sums.into_iter().zip(exact) {
            // Both sums of n positive terms are within n ulp of the truth; the tree is far closer.
            assert!((f64::from_bits(sum) - exact).abs() <= n as f64 * f64::EPSILON * exact, "update {n}");
        }
        at_each_level("update", run);
        with_threads("update", run);
    }
}

#[test]
fn update_without_state_or_sums_is_a_map() {
    let mut w = [1.0_f32, 2.0];
    let [] = map::update(&mut w, &[10.0, 20.0], [], |w, g, []| (w - 0.5 * g, [], [0.0_f32; 0]));
    assert_eq!(w, [-4.0, -8.0]);
}

/// A view of a made-up buffer, and its elements in row-major order.
struct View {
    offset: usize,
    strides: Vec<usize>,
}

/// Shapes with views of them: contiguous, broadcast along any axis, permuted, padded, repeated, of any rank.
fn subjects() -> Vec<(Vec<usize>, Vec<View>)> {
    let shapes: [&[usize]; 17] = [
        &[],
        &[1],
        &[0],
        &[7],
        &[300],
        &[3, 0, 2],
        &[2, 3],
        &[5, 1, 4],
        &[33, 17],
        &[16, 300],
        &[300, 16],
        &[1100, 3],
        &[3, 1100],
        &[2, 3, 4, 5],
        &[7, 2, 300],
        &[1, 1, 1],
        &[200, 190],
    ];
    let subject = |shape: &[usize]| {
        let rank = shape.len();
        let row_major = |order: &[usize], pad: usize| {
            let (mut strides, mut next) = (vec![0; rank], 1);
            for &axis in order.iter().rev() {
                strides[axis] = next;
                next *= shape[axis].max(1) + pad;
            }
            strides
        };
        let forward: Vec<usize> = (0..rank).collect();
        let backward: Vec<usize> = (0..rank).rev().collect();
        let mut last_two = forward.clone();
        if rank >= 2 {
            last_two.swap(rank - 1, rank - 2);
        }
        let mut views = vec![
            View { offset: 0, strides: row_major(&forward, 0) },
            View { offset: 3, strides: row_major(&forward, 2) },
            View { offset: 1, strides: row_major(&backward, 0) },
            View { offset: 2, strides: row_major(&last_two, 1) },
            View { offset: 4, strides: vec![0; rank] },
        ];
        for axis in 0..rank {
            let mut strides = row_major(&forward, 0);
            strides[axis] = 0;
            views.push(View { offset: 0, strides });
        }
        (shape.to_vec(), views)
    };
    shapes.into_iter().map(subject).collect()
}

/// Every position of a view, in row-major order, found the slow way.
fn positions(shape: &[usize], view: &View) -> Vec<usize> {
    (0..shape.iter().product::<usize>())
        .map(|linear| {
            let mut rest = linear;
            let along = |axis: usize| {
                let i = rest % shape[axis];
                rest /= shape[axis];
                i * view.strides[axis]
            };
            view.offset + (0..shape.len()).rev().map(along).sum::<usize>()
        })
        .collect()
}

/// Enough for the widest view above.
const ROOM: usize = 200_000;

#[test]
fn strided_loops_equal_one_element_at_a_time() {
    let (a, b, c): (Vec<i64>, Vec<i64>, Vec<i64>) = (
        (0..ROOM as i64).collect(),
        (0..ROOM as i64).rev().collect(),
        (0..ROOM as i64).map(|i| i * 7).collect(),
    );
    for (shape, views) in subjects() {
        let of = |data, view: &View| Strided {
            data,
            offset: view.offset,
            strides: &view.strides.clone().leak()[..],
        };
        for (i, view) in views.iter().enumerate() {
            let here = positions(&shape, view);
            let mut out = vec![0; here.len()];
            strided::copy(&shape, of(&a, view), &mut out);
            assert!(out.iter().zip(&here).all(|(&y, &p)| y == a[p]), "copy {shape:?} {:?}", view.strides);
            for other in &views {
                let there = positions(&shape, other);
                strided::zip(&shape, of(&a, view), of(&b, other), &mut out, |x, y| x - 3 * y);
                let right = out.iter().zip(&here).zip(&there).all(|((&z, &p), &q)| z == a[p] - 3 * b[q]);
                assert!(right, "zip {shape:?} {:?} {:?}", view.strides, other.strides);
            }
            let (second, third) = (&views[(i + 1) % views.len()], &views[(i + 2) % views.len()]);
            let (p, q) = (positions(&shape, second), positions(&shape, third));
            strided::zip3(&shape, of(&a, view), of(&b, second), of(&c, third), &mut out, |x, y, z| {
                x + 3 * y + 5 * z
            });
            let right = (0..out.len()).all(|i| out[i] == a[here[i]] + 3 * b[p[i]] + 5 * c[q[i]]);
            assert!(right, "zip3 {shape:?} {:?}", view.strides);
        }
    }
}

#[test]
fn scatter_writes_the_view_and_nothing_else() {
    for (shape, views) in subjects() {
        for view in
            views.iter().filter(|view| view.strides.iter().zip(&shape).all(|(&s, &n)| s > 0 || n <= 1))
        {
            let here = positions(&shape, view);
            let x: Vec<i64> = (1..=here.len() as i64).collect();
            let mut out = vec![-1; ROOM];
            strided::scatter(&shape, &x, &mut out, view.offset, &view.strides);
            let mut expected = vec![-1; ROOM];
            here.iter().zip(&x).for_each(|(&p, &x)| expected[p] = x);
            assert!(out == expected, "{shape:?} {:?}", view.strides);
        }
    }
}

#[test]
fn strided_bits_do_not_depend_on_level_or_threads() {
    let x = numbers::<f32>(90_000);
    let run = || {
        let mut out = vec![0.0; 90_000];
        let transposed = Strided { data: &x, offset: 0, strides: &[1, 300] };
        strided::zip(
            &[300, 300],
            transposed,
            Strided { strides: &[0, 1], ..transposed },
            &mut out,
            |x: f32, y| Float::tanh(x) + y,
        );
        bits(&out)
    };
    at_each_level("strided::zip", run);
    with_threads("strided::zip", run);
}

#[test]
#[should_panic(expected = "zip: slices of 2 and 3 elements")]
fn lengths_must_agree() {
    map::zip(&[1, 2], &[1, 2, 3], &mut [0; 2], |x: i32, y: i32| x + y);
}

/// Against a plain loop; also of parts, or rows, that are not there.
#[test]
fn rows_lie_side_by_side() {
    for (rows, widths) in [
        (3, &[2, 1][..]),
        (1, &[5]),
        (4, &[0, 3, 0]),
        (3, &[0, 0]),
        (0, &[2, 3]),
        (1, &[70_000, 40_000]),
        (501, &[100, 1, 99]),
    ] {
        let parts: Vec<Vec<f32>> = widths.iter().map(|width| numbers(rows * width)).collect();
        let expected: Vec<f32> = (0..rows)
            .flat_map(|row| parts.iter().zip(widths).map(move |(part, width)| &part[row * width..][..*width]))
            .flatten()
            .copied()
            .collect();
        with_threads("side_by_side", || {
            let mut out = vec![f32::NAN; expected.len()];
            let parts: Vec<_> = parts.iter().zip(widths).map(|(part, &width)| (&part[..], width)).collect();
            strided::side_by_side(&parts, &mut out);
            assert!(bits(&out) == bits(&expected), "{rows} rows of {widths:?}");
            bits(&out)
        });
    }
}

#[test]
#[should_panic(expected = "strided: the view ends at 6 of 6 elements")]
fn views_must_stay_inside() {
    strided::copy(&[2, 3], Strided { data: &[0; 6], offset: 1, strides: &[3, 1] }, &mut [0; 6]);
}

#[test]
#[should_panic(expected = "strided::copy: shape [2, 3] has 6 elements, the slice 5")]
fn results_must_fit() {
    strided::copy(&[2, 3], Strided { data: &[0; 6], offset: 0, strides: &[3, 1] }, &mut [0; 5]);
}

#[test]
fn flushing_makes_zeros_of_subnormal_numbers_alone() {
    fn flushes<T: Float>(least: f64) {
        for n in LENGTHS {
            let mut x = numbers::<T>(n);
            // On both sides of the smallest normal number, with both signs.
            for (i, x) in x.iter_mut().enumerate().filter(|(i, _)| i % 5 == 0) {
                let sign = if i % 2 == 0 { 1.0 } else { -1.0 };
                *x = T::from_f64(sign * least * [0.25, 0.999, 1.0, 2.0][i / 5 % 4]);
            }
            let is_subnormal = |x: &T| x.abs() > T::ZERO && x.abs() < T::MIN_POSITIVE;
            let expected: Vec<T> =
                x.iter().map(|x| if is_subnormal(x) { T::ZERO.copysign(*x) } else { *x }).collect();
            let run = || {
                let mut y = x.clone();
                subnormal::flush_to_zero(&mut y);
                assert!(bits(&y) == bits(&expected), "{n} numbers");
                bits(&y)
            };
            at_each_level("flush_to_zero", run);
            with_threads("flush_to_zero", run);
        }
    }
    flushes::<f32>(f64::from(f32::MIN_POSITIVE));
    flushes::<f64>(f64::MIN_POSITIVE);
}

/// The processor's own product is correctly rounded, also where it is slow.
#[test]
fn raising_and_lowering_are_products_with_powers_of_two() {
    fn agrees<T: Float>(exponents: &[i32], ordinary: i32) {
        let mut x = numbers::<T>(1 << 12);
        // Magnitudes from the smallest there is to some 2^exponent times the smallest normal number.
        let spread =
            |i: usize| 2_f64.powi(ordinary + 1 - (i / 2 % 160) as i32) * (1.0 + (i as f64 * 0.7548).fract());
        x.extend((0..1 << 12).map(|i| T::from_f64(if i % 2 == 0 { spread(i) } else { -spread(i) })));
        for &exponent in exponents {
            let factor = T::from_f64(2_f64.powi(exponent));
            let run = || {
                let (mut raised, mut lowered) = (vec![T::ZERO; x.len()], x.clone());
                subnormal::raise(&x, &mut raised, exponent);
                subnormal::lower(&mut lowered, exponent);
                (bits(&raised), bits(&lowered))
            };
            let products: Vec<T> = x.iter().map(|&x| x * factor).collect();
            let quotients: Vec<T> = x.iter().map(|&x| x / factor).collect();
            assert!(run() == (bits(&products), bits(&quotients)), "2^{exponent}");
            at_each_level("raise and lower", run);
            with_threads("raise and lower", run);
        }
    }
    agrees::<f32>(&[0, 1, 24, 60, 100, 126], 0);
    agrees::<f64>(&[0, 1, 53, 600, 1022], -1000);
}

#[test]
fn the_largest_exponent_and_subnormal_numbers_are_found_wherever_they_are() {
    for n in LENGTHS.into_iter().filter(|&n| n > 0) {
        for at in [0, n / 2, n - 1] {
            let mut x = vec![0.0_f32; n];
            assert_eq!((subnormal::any(&x), subnormal::largest_exponent(&x)), (false, -127));
            x[at] = -f32::MIN_POSITIVE;
            assert_eq!((subnormal::any(&x), subnormal::largest_exponent(&x)), (false, -126));
            x[at] = -1e-45;
            assert_eq!((subnormal::any(&x), subnormal::largest_exponent(&x)), (true, -127));
            x[n / 2] = f32::NAN;
            assert_eq!(subnormal::largest_exponent(&x), 128);
        }
    }
}
