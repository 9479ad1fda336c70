//! Networks that are stacks of residual blocks are judged by their blocks: the line goes through what the first
//! layer hands on and the sum of each, whatever stands in the branches and past them.

use backflow_nn::{Init, ModelLine};
use backflow_probe::{GradFlow, Verdict};
use backflow_tensor::{DType, Rng, Role, Tensor, training};

/// One look at the network, on images of 12 × 12.
fn look(line: &str, init: Init) -> GradFlow {
    let line: ModelLine = line.parse().unwrap();
    let model = line.plan(&[1, 12, 12], 10).unwrap().build(init, DType::F32, &mut Rng::seed_from_u64(1));
    let x = Tensor::randn([16, 1, 12, 12], DType::F32, &mut Rng::seed_from_u64(2));
    let labels = Tensor::from_vec((0..16).map(|i| i % 10).collect::<Vec<i64>>(), [16]);
    training(&Rng::seed_from_u64(0), || GradFlow::record(&model, || model.forward(&x).cross_entropy(&labels)))
}

/// Slope and R² of log₁₀ of these, from the last back to the first.
fn line_back(of: &[f64]) -> (f64, f64) {
    let n = of.len() as f64;
    let points = of.iter().rev().enumerate().map(|(place, rms)| [place as f64, rms.log10()]);
    let mut sums = [0.0; 5];
    for [x, y] in points {
        sums.iter_mut().zip([x, y, x * x, x * y, y * y]).for_each(|(sum, term)| *sum += term);
    }
    let [x, y, xx, xy, yy] = sums;
    let (of_x, of_both, of_y) = (xx - x * x / n, xy - x * y / n, yy - y * y / n);
    (of_both / of_x, of_both * of_both / (of_x * of_y))
}

/// Three stages of so many blocks, the second and the third with a projection at the beginning.
fn three_stages(blocks: usize, block: impl Fn(usize, usize) -> String) -> String {
    let stage =
        |channels, stride| format!("{}/[{}]*{}", block(channels, stride), block(channels, 1), blocks - 1);
    format!("{}/{}/{}", stage(4, 1), stage(8, 2), stage(16, 2))
}

#[test]
fn the_line_goes_through_the_blocks() {
    let conv = |c: usize, stride: usize| format!("conv:{c},stride={stride},padding=1");
    let post = |c, s| format!("residual({}/batchnorm/relu/{}/batchnorm)/relu", conv(c, s), conv(c, 1));
    let pre = |c, s| format!("residual(batchnorm/relu/{}/batchnorm/relu/{})", conv(c, s), conv(c, 1));
    let plain = |c, s| format!("residual({}/relu/{})", conv(c, s), conv(c, 1));
    let one = |c, s| format!("residual({}/relu)/relu", conv(c, s));
    let nested = |c, s| format!("residual({}/residual({}/relu)/relu)", conv(c, s), conv(c, 1));
    let head = "adaptiveavgpool:1/flatten/linear:10";
    let networks = [
        (9, format!("conv:4,padding=1/batchnorm/relu/{}/{head}", three_stages(3, post))),
        (9, format!("conv:4,padding=1/{}/batchnorm/relu/{head}", three_stages(3, pre))),
        (9, format!("conv:4,padding=1/relu/{}/{head}", three_stages(3, plain))),
        (9, format!("conv:4,padding=1/relu/{}/{head}", three_stages(3, one))),
        (9, format!("conv:4,padding=1/relu/{}/{head}", three_stages(3, nested))),
        (12, format!("conv:8,padding=1/[{}]*12/{head}", plain(8, 1))),
        (8, "linear:32/relu/[residual(linear:32/relu)/relu]*8/linear:10".to_owned()),
        (3, "resnet:8".to_owned()),
    ];
    let (mut steep, mut level) = (0, 0);
    for (count, line) in networks {
        for init in [Init::HeNormal, Init::TorchLinear] {
            let flow = look(&line, init);
            let layers = &flow.step().layers;
            let is_block = |path: &str| path.parse::<usize>().is_ok();
            let blocks =
                layers.iter().filter(|layer| layer.kind.role == Role::ResidualSum && is_block(&layer.path));
            // The first layer, behind its normalisation if it has one that is not part of a block.
            let is_stem = layers[1].kind.role == Role::Normalisation && is_block(&layers[1].path);
            let stem = &layers[usize::from(is_stem)];
            let deltas: Vec<f64> =
                std::iter::once(stem).chain(blocks).map(|layer| layer.delta.unwrap().rms).collect();
            assert_eq!(deltas.len(), count + 1, "{line}");
            let (right, (slope, fit)) = (line_back(&deltas), flow.slope().unwrap());
            // In `f64`, of ten logarithms.
            let is_right = (slope - right.0).abs() < 1e-12 && (fit - right.1).abs() < 1e-9;
            assert!(is_right, "{line}, {init}: {slope}, R² {fit}, not {right:?}");
            let mut verdicts = flow.verdicts();
            verdicts.retain(|verdict| !matches!(verdict, Verdict::Dead { .. }));
            assert_eq!(verdicts.len(), 1, "{line}, {init}: {verdicts:?}");
            match &verdicts[0] {
                verdict @ (Verdict::Exploding { at, .. } | Verdict::Vanishing { at, .. }) => {
                    assert!(fit < 0.9 || verdict.to_string().contains("per residual block on"), "{verdict}");
                    assert!(at.as_deref().is_none_or(is_block), "{verdict}");
                    steep += 1;
                }
                // Where the stages get narrower RMS grows, and norms do not.
                Verdict::NotJudged { reason } => assert!(reason.contains("so do widths"), "{line}: {reason}"),
                verdict => {
                    assert_eq!(*verdict, Verdict::Healthy, "{line}, {init}");
                    level += 1;
                }
            }
        }
    }
    assert!(steep > 2 && level > 4, "{steep} and {level}");
}

/// Where threads share the rows of a branch's layers, these are one op. They are in the branch all the same, and the
/// line, the verdict and what is written down are those of one thread.
#[test]
fn threads_change_no_place() {
    let line: ModelLine = "linear:64/[residual:0.1(linear:64/tanh/linear:64)]*3/linear:10".parse().unwrap();
    let model = line.plan(&[64], 10).unwrap().build(Init::HeNormal, DType::F32, &mut Rng::seed_from_u64(1));
    let x = Tensor::randn([256, 64], DType::F32, &mut Rng::seed_from_u64(2));
    let labels = Tensor::from_vec((0..256).map(|i| i % 10).collect::<Vec<i64>>(), [256]);
    let of = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| GradFlow::record(&model, || model.forward(&x).cross_entropy(&labels)))
    };
    let (one, two) = (of(1), of(2));
    assert_eq!(one.step().layers, two.step().layers);
    assert!(one.to_string().contains("per residual block on the way back"), "{one}");
    assert_eq!(one.to_string(), two.to_string());
}

/// Layers that no gradient can go around, behind blocks, are points of the line like these, and it is said so.
#[test]
fn blocks_and_layers_in_one_line() {
    let line = "linear:32/[residual(linear:32/relu/linear:32)]*6/[linear:32]*6/linear:10";
    let flow = look(line, Init::TorchLinear);
    let verdict = flow.verdicts().remove(0).to_string();
    assert!(verdict.starts_with("VANISHING"), "{verdict}");
    let text = flow.to_string();
    assert!(text.contains("delta per residual block or layer on the way back: -"), "{text}");
    // Blocks alone, and layers alone.
    let text =
        look("linear:32/[residual(linear:32/relu/linear:32)]*6/linear:10", Init::TorchLinear).to_string();
    assert!(text.contains("delta per residual block on the way back: "), "{text}");
    let text = look("[linear:32/tanh]*6/linear:10", Init::TorchLinear).to_string();
    assert!(!text.contains("block") && text.contains("per layer on the way back"), "{text}");
}
