//! What is in a page, what a browser makes of it, and what a program makes of its figures that draws SVG.
#![allow(dead_code, reason = "not every test needs everything")]

use crate::tools;
use std::collections::BTreeMap;
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

/// Numbers and letters of a path apart. A minus begins a number, and so does a second point.
pub(crate) fn numbers(path: &str) -> (Vec<f64>, String) {
    let (mut numbers, mut letters) = (vec![String::new()], String::new());
    for c in path.chars() {
        let last = numbers.last_mut().expect("there is one from the beginning");
        match c {
            '-' => numbers.push("-".to_owned()),
            '.' if last.contains('.') => numbers.push(".".to_owned()),
            '0'..='9' | '.' => last.push(c),
            c => {
                letters.push(c);
                numbers.push(String::new());
            }
        }
    }
    let numbers = numbers.iter().filter(|text| !text.is_empty()).map(|text| text.parse().unwrap());
    (numbers.collect(), letters)
}

/// A file of this name.
pub(crate) fn put(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    path
}

/// What a program that draws SVG makes of a file, and knows no style sheet of ours: how many pixels have each
/// colour, without those that only smooth edges. Letters are not drawn.
pub(crate) fn rendered(svg: &str) -> BTreeMap<[u8; 3], usize> {
    let tree = resvg::usvg::Tree::from_str(svg, &resvg::usvg::Options::default()).unwrap();
    let size = tree.size().to_int_size();
    let mut image = resvg::tiny_skia::Pixmap::new(2 * size.width(), 2 * size.height()).unwrap();
    resvg::render(&tree, resvg::tiny_skia::Transform::from_scale(2.0, 2.0), &mut image.as_mut());
    let mut colours = BTreeMap::new();
    for pixel in image.pixels() {
        *colours.entry([pixel.red(), pixel.green(), pixel.blue()]).or_insert(0) += 1;
    }
    colours
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

/// Clicks every button under the figures, and keeps what it would save.
pub(crate) const SAVE: &str = "<script>{ const saved = {}; URL.createObjectURL = (blob) => blob; \
                    HTMLAnchorElement.prototype.click = function () { saved[this.download] = this.href; }; \
                    const set = Object.getOwnPropertyDescriptor(HTMLAnchorElement.prototype, 'href'); \
                    Object.defineProperty(HTMLAnchorElement.prototype, 'href', { set(blob) { this.blob = blob; }, get() { \
                    return this.blob; } }); URL.revokeObjectURL = () => {}; \
                    for (const button of document.querySelectorAll('.export button')) if (button.textContent !== 'PNG') \
                    button.click(); \
                    for (const [name, blob] of Object.entries(saved)) blob.text().then((text) => { const file = \
                    document.createElement('pre'); file.dataset.file = name; file.textContent = text; \
                    document.body.append(file); }); }</script></body>";

/// The file of this name that [`SAVE`] has saved from a page.
pub(crate) fn saved(shown: &str, name: &str) -> String {
    let rest =
        shown.split(&format!("<pre data-file=\"{name}\">")).nth(1).unwrap_or_else(|| panic!("no {name}"));
    let text = rest.split("</pre>").next().unwrap();
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}
