//! Pages as a browser makes them, and what stands in them.

use crate::tools;
use std::io::Write;
use std::path::Path;

/// Every value of an attribute, in order.
pub(crate) fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let begin = format!(" {name}=\"");
    page.split(&begin).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// The path with this class in the element with this id.
pub(crate) fn path<'a>(page: &'a str, id: &str, class: &str) -> &'a str {
    let element = page.split(&format!("id=\"{id}\"")).nth(1).unwrap_or_else(|| panic!("no {id}"));
    let element = element.split("</g>").next().unwrap();
    let path = element.split(&format!("class=\"{class}\"")).nth(1).unwrap_or_else(|| panic!("no {class}"));
    attributes(path, "d")[0]
}

/// A file of this name.
pub(crate) fn put(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    path
}

/// What a browser makes of the page at this address; panics if a script complained.
pub(crate) fn browse(page: &Path, hash: &str, profile: &Path) -> Option<String> {
    let browsers: [&[&str]; 3] =
        [&["chromium", "--version"], &["chromium-browser", "--version"], &["google-chrome", "--version"]];
    let mut browser = tools::tool("Chromium", &browsers)?;
    browser.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--v=0",
        // What a page does later is waited for.
        "--virtual-time-budget=2000",
        "--dump-dom",
    ]);
    browser.arg(format!("--user-data-dir={}", profile.display()));
    let output = browser.arg(format!("file://{}{hash}", page.display())).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    let complaints: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(output.status.success() && complaints.is_empty(), "{complaints:#?}\n{log}");
    Some(String::from_utf8(output.stdout).unwrap())
}
