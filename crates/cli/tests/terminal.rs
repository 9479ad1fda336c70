//! What is seen in a terminal: lines that fit, and colours where they are wanted.
#![cfg(unix)]

use nix::pty::{Winsize, openpty};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

/// All that the program writes into a terminal of so many columns.
fn in_terminal(columns: u16, arguments: &str, environment: &[(&str, &str)], folder: &Path) -> String {
    let size = Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(Some(&size), None).unwrap();
    let (out, err) = (pty.slave.try_clone().unwrap(), pty.slave);
    let mut program = Command::new(env!("CARGO_BIN_EXE_backflow"));
    program
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .env("TERM", "xterm")
        .env_remove("NO_COLOR");
    program.envs(environment.iter().copied()).stdin(Stdio::null()).stdout(out).stderr(err);
    let mut running = program.spawn().unwrap();
    // Its ends of the terminal are closed, so that reading ends when the program does.
    drop(program);
    let mut written = Vec::new();
    let mut master = File::from(pty.master);
    let mut buffer = [0; 4096];
    // Linux answers with an error when nobody can write any more.
    while let Ok(read @ 1..) = master.read(&mut buffer) {
        written.extend_from_slice(&buffer[..read]);
    }
    let text = String::from_utf8(written).unwrap();
    assert!(running.wait().unwrap().success(), "{arguments}: {text}");
    text
}

/// Without what moves the cursor and changes colours.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' && rest.next_if_eq(&'[').is_some() {
            rest.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(c);
        }
    }
    plain
}

/// A line that is longer than the terminal is wide is folded, and a bar that is leaves copies of itself behind.
#[test]
fn nothing_is_wider_than_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let train = "train --limit 1500 --epochs 2 --layers 784,24*3,10 --out run";
    let commands = [
        train,
        "inspect run",
        "train --limit 1500 --epochs 1 --layers 784,24*4,10 --activation sigmoid --optimizer rmsprop --out other",
        "inspect run other",
        "inspect run/model.safetensors",
        "study --cell rnn,gru --steps 4 --width 4 --seeds 1 --init xavier-uniform --problem adding --updates 1 --out cells",
        "study --steps 20 --seeds 2 --limit 200 --depth 3,30 --activation tanh,relu --init he-normal:gain=1.5,bias_var=0.05 \
         --out study",
        "compare --optimizers sgd:lr=0.1,momentum=0.9,nesterov=true,adam --seeds 2 --epochs 1 --limit 200 --out compare",
        "optimizers",
        "optimizers cosine",
        "help train",
        "--help",
    ];
    for columns in [50, 60, 80, 120] {
        for command in commands {
            let shown = plain(&in_terminal(columns, command, &[], folder.path()));
            let long = shown.split(['\r', '\n']).find(|line| {
                // A word that has no room is not broken.
                line.chars().count() > usize::from(columns) && line.trim().contains(' ')
            });
            assert_eq!(long, None, "{command} in {columns} columns");
            assert!(shown.len() > 100, "{command}: {shown}");
        }
    }
    let shown = plain(&in_terminal(80, train, &[], folder.path()));
    assert!(shown.contains(" steps/s  ") && shown.contains(" left"), "{shown}");
    assert!(shown.contains("layer     ") && !shown.contains("no room for"), "{shown}");
    assert!(plain(&in_terminal(60, train, &[], folder.path())).contains("(no room for: a mean, "));
}

#[test]
fn verdicts_have_colours_where_they_are_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let train = "train --limit 200 --epochs 1 --layers 784,16,10 --out run";
    let coloured = in_terminal(80, train, &[], folder.path());
    assert!(coloured.contains("\u{1b}[1mHEALTHY\u{1b}[0m:"), "{coloured}");
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb"), ("CLICOLOR", "0")] {
        let shown = in_terminal(80, "inspect run", &[(name, value)], folder.path());
        assert!(shown.contains("HEALTHY:") && !shown.contains("\u{1b}[1m"), "{name}: {shown}");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_backflow"))
        .args(["inspect", "run"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let piped = String::from_utf8(output.stdout).unwrap();
    assert!(piped.contains("HEALTHY:") && !piped.contains('\u{1b}'), "{piped}");
    // Whoever reads a pipe breaks lines as they like.
    assert!(piped.lines().any(|line| line.len() > 100), "{piped}");
}
