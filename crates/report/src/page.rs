//! What every page has: the HTML document around it, the style that pages share, and text that means nothing
//! to a browser.
//!
//! A page is whole in itself: nothing is fetched.

use backflow_probe::text::printable;
use backflow_store::{StoreError, atomic};
use std::borrow::Cow;
use std::fmt::Write;
use std::path::Path;

/// The buttons under figures.
const EXPORT: &str = include_str!("page/export.js");

/// Colours for light and dark, text, tables, grid and curves.
pub(crate) const STYLE: &str = include_str!("page/style.css");

/// A page up to its headline, inside an open `<header>`. `style` is that of this page alone, and `class` that
/// of its `<main>`, or empty.
pub(crate) fn begin(title: &str, headline: &str, style: &str, class: &str) -> String {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n\
         <style>\n{STYLE}{style}</style>\n</head>\n<body>\n<main{class}>\n<header>\n<h1>{}</h1>\n",
        escaped(title),
        escaped(headline)
    )
}

/// What the footer says of a file beside the page that holds the same for programs, if there is one.
pub(crate) fn beside(what: &str, file: Option<&str>) -> String {
    file.map_or(String::new(), |file| {
        format!("The same {what} for programs are in {}, beside this page.", escaped(file))
    })
}

/// The end of a page: what its footer says, and its scripts, or nothing, and the buttons under its figures.
pub(crate) fn end(page: &mut String, footer: &str, scripts: &str) {
    let version = env!("CARGO_PKG_VERSION");
    let footer = if footer.is_empty() { String::new() } else { format!(" {footer}") };
    let _ = write!(
        page,
        "<footer>Backflow {version}.{footer}</footer>\n</main>\n{scripts}<script>\n{EXPORT}</script>\n</body>\n</html>\n"
    );
}

/// A figure and its caption, which is HTML. `name` is that of its files, and `numbers` what it shows, as CSV;
/// none where a script of the page knows them.
pub(crate) fn figure(
    page: &mut String,
    name: &str,
    title: &str,
    caption: &str,
    svg: &str,
    numbers: Option<&str>,
) {
    let (title, numbers) = (escaped(title), numbers.map_or(String::new(), template));
    let _ = writeln!(
        page,
        "<figure data-name=\"{}\">\n<figcaption>{title} <span>{caption}</span></figcaption>\n{svg}{numbers}</figure>",
        escaped(name)
    );
}

/// Text that is not shown, and keeps its lines.
fn template(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(escaped).collect();
    format!("<template class=\"csv\">{}</template>\n", lines.join("\n"))
}

/// A text as a field of CSV (RFC 4180).
pub(crate) fn field(text: &str) -> Cow<'_, str> {
    match text.contains([',', '"', '\n', '\r']) {
        true => Cow::Owned(format!("\"{}\"", text.replace('"', "\"\""))),
        false => Cow::Borrowed(text),
    }
}

/// The text with what means something in HTML written so that it means nothing.
#[must_use]
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// Writes a page to a file, which appears whole or not at all.
pub(crate) fn save(html: &str, path: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::Write { path: path.to_owned(), source };
    atomic::write(path, html.as_bytes()).map_err(failed)
}
