//! Event files, read back by TensorBoard itself.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

mod recordings;
mod tools;

use backflow_report::tensorboard::EventFile;
use recordings::{BROKEN, HEALTHY};
use std::io::Write;
use std::process::Command;

/// Prints what TensorBoard found: a line per scalar and per histogram, with numbers that Rust reads back to
/// the bit.
const READ: &str = r#"
import sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "histograms": 0})
events.Reload()
for tag in events.Tags()["scalars"]:
    for event in events.Scalars(tag):
        print("scalar", tag, event.step, event.wall_time, event.value)
for tag in events.Tags()["histograms"]:
    for event in events.Histograms(tag):
        value = event.histogram_value
        buckets = ["%r:%r" % pair for pair in zip(value.bucket_limit, value.bucket)]
        print("histogram", tag, event.step, event.wall_time, value.num, value.min, value.max, *buckets)
"#;

/// The Python of `BACKFLOW_PYTHON`, or `python3`, if it has this module.
fn python(module: &str) -> Option<Command> {
    let chosen = std::env::var("BACKFLOW_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let import = format!("import {module}");
    tools::tool(&format!("Python with {module} (python3 or $BACKFLOW_PYTHON)"), &[&[&chosen, "-c", &import]])
}

#[test]
fn tensorboard_reads_back_what_was_recorded() {
    let Some(mut python) = python("tensorboard") else { return };
    let mut steps = HEALTHY.record();
    steps.truncate(3);
    steps.extend(BROKEN.record().split_off(25));
    let seconds = |step: u64| 1.75e9 + 0.5 * step as f64;
    let folder = tempfile::tempdir().unwrap();
    let mut file =
        tempfile::Builder::new().prefix("events.out.tfevents.").tempfile_in(folder.path()).unwrap();
    file.write_all(&EventFile::of(&steps, |flow| seconds(flow.step)).into_bytes()).unwrap();

    let output = python.arg("-c").arg(READ).arg(file.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let find = |kind: &str, tag: &str, step: u64| -> Vec<&str> {
        let begin = format!("{kind} {tag} {step} ");
        let found: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(&begin)).collect();
        assert_eq!(found.len(), 1, "{begin}in\n{text}");
        found[0].split(' ').collect()
    };
    let (mut read, mut seldom, mut nothing) = (0, 0, 0);
    for flow in &steps {
        let mut check = |tag: &str, value: f64| {
            let found = find("scalar", tag, flow.step);
            assert_eq!(found[0].parse::<f64>().unwrap(), seconds(flow.step));
            let back: f64 = found[1].parse().unwrap();
            // TensorBoard keeps single precision.
            assert_eq!((back as f32).to_bits(), (value as f32).to_bits(), "{tag}: {back} for {value}");
            read += 1;
        };
        check("run/loss", flow.loss);
        if let (Some(curvature), Some(samples), Some(jacobians)) =
            (&flow.curvature, &flow.samples, &flow.jacobians)
        {
            seldom += 1;
            check("run/sharpness", curvature.sharpness);
            check("run/smallest_eigenvalue", curvature.smallest);
            check("run/eigenvalue_bound", curvature.bound);
            check("run/hessian_trace", curvature.trace);
            check("run/hessian_trace_error", curvature.trace_error);
            check("run/batch_size", samples.samples as f64);
            check("run/sample_gradient_norm_mean", samples.norms.mean);
            check("run/sample_gradient_norm_std", samples.norms.std);
            check("run/sample_gradient_norm_max", samples.norms.max);
            check("run/gradient_variance", samples.noise.variance);
            check("run/gradient_signal", samples.noise.signal);
            check("run/noise_scale", samples.noise.noise_scale);
            check("run/gradient_relative_error", samples.noise.relative_error);
            check("run/signal_to_noise", samples.signal_to_noise);
            check("run/network_jacobian_largest", jacobians.whole.largest);
            check("run/network_jacobian_spread", jacobians.whole.spread);
            for (path, spectrum) in &jacobians.layers {
                check(&format!("jacobian_largest/{path}"), spectrum.largest);
                check(&format!("jacobian_median/{path}"), spectrum.median);
                check(&format!("jacobian_smallest/{path}"), spectrum.smallest);
                check(&format!("jacobian_mean_square/{path}"), spectrum.mean_square);
                check(&format!("jacobian_spread/{path}"), spectrum.spread);
            }
        } else {
            assert!(!text.contains(&format!("scalar run/sharpness {} ", flow.step)), "{}", flow.step);
        }
        for layer in &flow.layers {
            check(&format!("delta_rms/{}", layer.path), layer.delta.unwrap().rms);
            check(&format!("activation_std/{}", layer.path), layer.output.std);
            if let Some(dead) = layer.dead_units_of_epoch {
                check(&format!("dead_units_of_epoch/{}", layer.path), dead as f64);
            }
        }
        for parameter in &flow.parameters {
            check(&format!("gradient_rms/{}", parameter.path), parameter.gradient_rms);
            check(&format!("momentum_cosine/{}", parameter.path), parameter.momentum_cosine.unwrap());
            if let Some(cosine) = parameter.gradient_cosine {
                check(&format!("gradient_cosine/{}", parameter.path), cosine);
            }
        }
        for layer in &flow.layers {
            let exponents = layer.delta_exponents.as_ref().unwrap();
            let tag = format!("delta_magnitude/{}", layer.path);
            if exponents.counts.iter().all(|&count| count == 0) && exponents.subnormal == 0 {
                // What is not finite has no exponent.
                assert!(!text.contains(&format!("histogram {tag} {} ", flow.step)), "{tag}, {}", flow.step);
                nothing += 1;
                continue;
            }
            let found = find("histogram", &tag, flow.step);
            let fields: Vec<f64> = found[1..4].iter().map(|field| field.parse().unwrap()).collect();
            let bars: Vec<(f64, f64)> = found[4..]
                .iter()
                .map(|bar| bar.split_once(':').unwrap())
                .map(|(limit, count)| (limit.parse().unwrap(), count.parse().unwrap()))
                .collect();
            let counted = |&&(_, count): &&(i32, u64)| count > 0;
            let counts: Vec<(i32, u64)> = (exponents.first..).zip(exponents.counts.iter().copied()).collect();
            let counts: Vec<(i32, u64)> = counts.iter().filter(counted).copied().collect();
            let (low, high) = (counts[0].0, counts[counts.len() - 1].0);
            // Each exponent is a bar of its own, between it and the next.
            for &(exponent, count) in &counts {
                assert!(
                    bars.contains(&(f64::from(exponent) + 1.0, count as f64)),
                    "{}: {bars:?}",
                    layer.path
                );
            }
            let all: u64 = counts.iter().map(|(_, count)| count).sum();
            assert_eq!(fields, [all as f64, f64::from(low), f64::from(high) + 1.0]);
            assert_eq!(bars.len() as i32, high - low + 2);
        }
    }
    assert!(nothing > 0, "there is a step whose deltas are not finite");
    assert!(read > 200 && seldom >= 2, "{read} scalars, of {seldom} steps also what is measured seldom");
}

/// As it is while a training goes on: a piece after the other.
#[test]
fn a_file_is_written_piece_by_piece() {
    let mut steps = HEALTHY.record();
    steps.truncate(3);
    let seconds = |flow: &backflow_probe::FlowStep| flow.step as f64;
    let whole = EventFile::of(&steps, seconds).into_bytes();
    let mut file = EventFile::new(1.0);
    let mut pieces = file.take_bytes();
    for flow in &steps {
        file.flow(seconds(flow), flow);
        let piece = file.take_bytes();
        assert!(!piece.is_empty() && file.take_bytes().is_empty());
        pieces.extend(piece);
    }
    assert_eq!(pieces, whole);
    // Numbers of double precision below what single precision holds in full: from -300 on, 64 bits for each limit.
    let length = |exponents: &backflow_probe::Exponents| {
        let mut file = EventFile::new(1.0);
        let _ = file.take_bytes();
        file.histogram(1.0, 1, "of", exponents);
        file.take_bytes().len()
    };
    let deep = |subnormal| backflow_probe::Exponents {
        subnormal,
        first: -300,
        counts: vec![1; 10],
        ..Default::default()
    };
    // With subnormal numbers the bars go on to -127.
    assert!(
        length(&deep(1)) >= length(&deep(0)) + 2 * 8 * (300 - 127 - 10),
        "{} {}",
        length(&deep(1)),
        length(&deep(0))
    );
    // What has no exponent makes no histogram.
    let nothing = backflow_probe::Exponents { zeros: 5, infinite: 2, nan: 1, ..Default::default() };
    file.histogram(1.0, 1, "nothing", &nothing);
    assert!(file.take_bytes().is_empty());
}
