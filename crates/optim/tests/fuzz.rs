//! Whatever text stands for an optimizer or a schedule, it is one, or an error says what would be; one that is taken can be
//! used, whatever its settings are. `backflow_testkit::fuzz` says how a long run is made.

use backflow_optim::{Optimizer, RULES, SCHEDULES, Schedule, Settings, schedule_for_run, schedule_from_spec};
use backflow_tensor::Tensor;
use backflow_testkit::{Seed, fuzz};

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| error.to_string())
}

#[test]
fn optimizers_are_read_or_refused() {
    let specs = RULES.iter().map(|info| Seed::taken(info.name, format!("{}:{}", info.name, info.defaults())));
    let mut seeds: Vec<Seed> = specs.collect();
    seeds.extend([
        Seed::taken(
            "a rate at the end of the range",
            "sgd:lr=1.7976931348623157e308,momentum=0.9,nesterov=true",
        ),
        Seed::taken("a rate that is subnormal", "adam:lr=5e-324,eps=5e-324"),
        Seed::taken("written otherwise", " L-BFGS : lr = 1 , history_size=18446744073709551615 "),
        Seed::refused("no such name", "sdg"),
        Seed::refused("nothing", ""),
        Seed::refused("an option without a value", "sgd:nesterov"),
        Seed::refused("an option twice", "sgd:lr=1,lr=1"),
        Seed::refused("an infinite rate", "sgd:lr=1e999"),
        Seed::refused("a count beyond its type", "lbfgs:history_size=18446744073709551616"),
        Seed::refused("a name of 70,000 letters", "s".repeat(70_000)),
        Seed::refused("a value of 70,000 digits and a letter", format!("sgd:lr={}x", "1".repeat(70_000))),
        Seed::refused("a value that a terminal would obey", "sgd:lr=1\u{1b}[31m\n2"),
        Seed::refused("options without end", "sgd:".to_owned() + &"lr=1,".repeat(20_000)),
    ]);
    fuzz("optimizers", &seeds, 1500, |bytes| {
        let mut optimizer = Optimizer::from_spec(text(bytes)?, None).map_err(|error| error.to_string())?;
        let mut model = vec![
            Tensor::from([[0.5_f32, -1.0], [2.0, 0.25]]).requires_grad(),
            Tensor::from([1.0_f32]).requires_grad(),
        ];
        for _ in 0..2 {
            optimizer.step_with(&mut model, |model| model[0].square().sum(..) * model[1].sum(..));
        }
        Ok(())
    });
}

/// Steps at the corners of schedules and of the type.
const STEPS: [u64; 12] = [0, 1, 2, 9, 10, 99, 100, 101, 4_999, 1 << 53, u64::MAX - 1, u64::MAX];

fn require_rates(schedule: &dyn Schedule) {
    // With the others, an optimizer refuses it.
    for base in [0.0, 1e-3, 1.0, 1e300].into_iter().filter(|&base| schedule.conflict(base).is_none()) {
        for steps in STEPS {
            let rate = schedule.learning_rate(base, steps);
            assert!(rate.is_finite() && rate >= 0.0, "{rate} after {steps} steps from {base}: {schedule:?}");
        }
    }
}

#[test]
fn schedules_are_read_or_refused() {
    let specs = SCHEDULES.iter().map(|info| {
        // What must be given is.
        Seed::taken(info.name, format!("{}:{}", info.name, info.defaults().replace('…', "10")))
    });
    let mut seeds: Vec<Seed> = specs.collect();
    seeds.extend([
        Seed::taken("one after another", "constant:for=9000,warmup=500/linear:steps=1000,start=1,end=0"),
        Seed::taken("a hundred", "constant:for=1/".repeat(99) + "constant"),
        Seed::taken("milestones", "multistep:milestones=10:18446744073709551615:0:10"),
        Seed::taken(
            "counts at the end of their type",
            "one-cycle:steps=18446744073709551615,three_phase=true",
        ),
        Seed::taken(
            "restarts that grow",
            "cosine-restarts:period=18446744073709551615,mult=18446744073709551615",
        ),
        Seed::taken("a factor that grows", "exponential:gamma=1.7976931348623157e308"),
        Seed::taken(
            "a triangle as wide as there is",
            "cyclic:max=1,up=18446744073709551615,down=18446744073709551615",
        ),
        Seed::taken(
            "a time at the end of its type",
            "constant:for=18446744073709551615/plateau:warmup=18446744073709551615",
        ),
        Seed::refused("no such name", "cosin:steps=3"),
        Seed::refused("no length", "cosine"),
        Seed::refused("schedules without end", "constant:for=1/".repeat(10_000)),
        Seed::refused("milestones that are none", "multistep:milestones=10:-5"),
        Seed::refused("a name that a terminal would obey", "\u{1b}[31m\n"),
    ]);
    fuzz("schedules", &seeds, 4000, |bytes| {
        let text = text(bytes)?;
        let read = schedule_from_spec(text).map_err(|error| error.to_string());
        let in_run = schedule_for_run(text, 5000);
        assert!(read.is_err() || in_run.is_ok(), "a run takes what is whole: {text}");
        in_run.iter().for_each(|schedule| require_rates(schedule));
        let mut schedule = read?;
        require_rates(&schedule);
        if !text.contains('/') {
            let settings = schedule.hyperparameters();
            let settings: Vec<String> =
                settings.iter().map(|setting| format!("{}={}", setting.name(), setting.value())).collect();
            let written = format!("{}:{}", schedule.name(), settings.join(","));
            let again =
                schedule_from_spec(&written).unwrap_or_else(|error| panic!("{text}: {written}: {error}"));
            assert_eq!(format!("{again:?}"), format!("{schedule:?}"), "{text}: {written}");
        }
        Ok(())
    });
}

#[test]
fn schedules_of_settings_are_read_or_refused() {
    let seeds = [
        Seed::taken("a triangle", "momentum=cyclic:max=0.8,up=100"),
        Seed::taken("two", "momentum=constant:for=3/linear:steps=10,start=1,end=0.5"),
        Seed::taken("one that ends with the run", "weight_decay=cosine"),
        Seed::refused("no setting", "cosine"),
        Seed::refused("a setting that there is not", "momentun=cosine"),
        Seed::refused("the rate", "lr=cosine"),
        Seed::refused("out of range", "momentum=cyclic:max=2,up=10"),
        Seed::refused("by figures", "momentum=plateau"),
        Seed::refused("a setting that is off", "dampening=cosine"),
        Seed::refused("a setting of 70,000 letters", "m".repeat(70_000) + "=cosine"),
    ];
    let optimizer = || Optimizer::from_spec("sgd:momentum=0.9,weight_decay=0.1", None).unwrap();
    fuzz("schedules of settings", &seeds, 1500, |bytes| {
        let mut optimizer =
            optimizer().schedule_of_spec(text(bytes)?, 20).map_err(|error| error.to_string())?;
        let mut w = Tensor::from([1.0, -2.0]).requires_grad();
        for _ in 0..20 {
            optimizer.step_with(&mut w, |w| w.square().sum(..));
        }
        Ok(())
    });
}
