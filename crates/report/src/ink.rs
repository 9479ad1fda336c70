//! What the elements of a figure look like without a style sheet: colours, strokes and sizes are written into
//! them, as they are on light ground, so that a figure that is copied or saved looks the same in any program.
//! On a page the style sheet has the last word.
//!
//! The elements are those that this crate writes, by their classes; nothing else is understood.

use crate::series;
use std::borrow::Cow;
use std::fmt::Write;

pub(crate) const TEXT: &str = "#1d2129";
const QUIET: &str = "#5b6472";
const RULE: &str = "#dfe3e8";
const BARS: &str = "#0072b2";
const WARN: &str = "#c77700";
const BAD: &str = "#b3261e";

/// An attribute and its value.
type Attribute = (&'static str, Cow<'static, str>);

/// The SVG element with what it looks like in every element.
pub(crate) fn inked(svg: &str) -> String {
    let mut inked = String::with_capacity(svg.len() + svg.len() / 4);
    // The classes of the elements around, one text for each.
    let mut around: Vec<&str> = Vec::new();
    let mut rest = svg;
    while let Some(begin) = rest.find('<') {
        inked.push_str(&rest[..begin]);
        rest = &rest[begin..];
        let end = rest.find('>').map_or(rest.len(), |end| end + 1);
        let (tag, after) = rest.split_at(end);
        rest = after;
        if tag.starts_with("</") {
            around.pop();
            inked.push_str(tag);
            continue;
        }
        let name = tag[1..].split([' ', '/', '>']).next().unwrap_or_default();
        let classes = attribute(tag, "class").unwrap_or_default();
        let (own, closing) = tag.split_at(tag.len() - if tag.ends_with("/>") { 2 } else { 1 });
        inked.push_str(own);
        for (key, value) in look(name, classes, &around) {
            if attribute(tag, key).is_none() {
                let _ = write!(inked, " {key}=\"{value}\"");
            }
        }
        inked.push_str(closing);
        if closing == ">" {
            around.push(classes);
        }
    }
    inked.push_str(rest);
    inked
}

/// The value of an attribute of a tag.
fn attribute<'a>(tag: &'a str, key: &str) -> Option<&'a str> {
    let mut rest = tag;
    while let Some(at) = rest.find(key) {
        let (before, after) = (&rest[..at], &rest[at + key.len()..]);
        if let Some(value) = after.strip_prefix("=\"").filter(|_| before.ends_with(' ')) {
            return value.split('"').next();
        }
        rest = after;
    }
    None
}

/// What an element of this name and these classes looks like, inside elements of those.
fn look(name: &str, classes: &str, around: &[&str]) -> Vec<Attribute> {
    let is = |class: &str| classes.split(' ').any(|own| own == class);
    let inside = |class: &str| around.iter().any(|classes| classes.split(' ').any(|own| own == class));
    let own = |key, value: &'static str| (key, Cow::Borrowed(value));
    match name {
        "text" => {
            let mut text = vec![own("font-family", "system-ui, sans-serif"), own("font-size", "12")];
            text.push(own("fill", if is("caption") { TEXT } else { QUIET }));
            text.extend(is("caption").then(|| own("font-weight", "600")));
            text.extend((is("x") || is("title")).then(|| own("text-anchor", "middle")));
            text.extend(is("y").then(|| own("text-anchor", "end")));
            text
        }
        "path" if inside("curve") || inside("key") => of_curve(&is, &inside, around),
        "path" if inside("cells") => vec![own("fill", "none"), own("stroke-width", "1")],
        "path" if is("bars") => {
            vec![own(
                "fill",
                if is("bad") {
                    BAD
                } else if is("warn") {
                    WARN
                } else {
                    BARS
                },
            )]
        }
        "path" if is("limit") => vec![own("fill", "none"), own("stroke", BAD)],
        "path" if inside("now") => vec![own("stroke", TEXT), own("stroke-width", "1.5")],
        "path" if inside("grid") || inside("legend") => {
            let is_strong = is("axis") || inside("legend");
            vec![own("fill", "none"), own("stroke", if is_strong { QUIET } else { RULE })]
        }
        "rect" if is("lossy") => vec![own("fill", WARN), own("opacity", "0.1")],
        "path" | "rect" => SPECIAL
            .iter()
            .find(|(class, ..)| is(class))
            .map(|&(_, key, value)| {
                let mut look = vec![own(key, value)];
                look.extend((key == "stroke").then(|| own("stroke-width", "2")));
                look.extend((name == "rect" && inside("legend")).then(|| own("stroke", RULE)));
                look
            })
            .unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// Numbers that have no place on a scale, and the hatches that they are drawn with.
const SPECIAL: [(&str, &str, &str); 9] = [
    ("zero", "fill", "url(#hatch-zero)"),
    ("infinite", "fill", "url(#hatch-infinite)"),
    ("nan", "fill", "url(#hatch-nan)"),
    ("zero-ground", "fill", "#14171c"),
    ("zero-line", "stroke", "#7d8794"),
    ("infinite-ground", "fill", "#ff9d00"),
    ("infinite-line", "stroke", "#7a2a00"),
    ("nan-ground", "fill", "#d3145a"),
    ("nan-line", "stroke", "#fff"),
];

/// A part of a curve, or of its piece in a legend.
fn of_curve(is: &dyn Fn(&str) -> bool, inside: &dyn Fn(&str) -> bool, around: &[&str]) -> Vec<Attribute> {
    let number = around.iter().flat_map(|classes| classes.split(' ')).find_map(|class| {
        let digits = class.strip_prefix('s')?;
        digits.parse::<usize>().ok()
    });
    let colour = Cow::Borrowed(series::colour(number.unwrap_or(0)));
    let own = |key, value: &'static str| (key, Cow::Borrowed(value));
    if is("reach") {
        return vec![own("fill", "none"), own("stroke", "none")];
    }
    if is("casing") {
        return vec![
            own("fill", "none"),
            own("stroke", "#fff"),
            own("stroke-width", "5"),
            own("opacity", "0.8"),
        ];
    }
    if is("band") {
        return vec![("fill", colour), own("stroke", "none"), own("opacity", "0.14")];
    }
    if is("dots") {
        return vec![("fill", colour), own("stroke", "none")];
    }
    if is("bar") {
        return vec![own("fill", "none"), ("stroke", colour), own("stroke-width", "1.2")];
    }
    let mut line = vec![own("fill", "none"), ("stroke", colour), own("stroke-linejoin", "round")];
    match inside("theory") {
        true => line.extend([own("stroke-width", "1.6"), own("stroke-dasharray", "6 4")]),
        false => line.push(own("stroke-width", "2")),
    }
    line
}

#[cfg(test)]
mod tests {
    use super::inked;

    #[test]
    fn elements_get_what_they_look_like_and_keep_what_they_have() {
        let svg = "<svg class=\"map\"><title>a &lt; b</title><g class=\"grid\"><path class=\"axis\" d=\"M0 0\"/>\
                   <text class=\"x\" fill=\"red\">1</text></g><g class=\"curve s1 theory\"><path class=\"line\" d=\"M1 \
                   1\"/></g><path d=\"M2 2\"/></svg>\n";
        let right = "<svg class=\"map\"><title>a &lt; b</title><g class=\"grid\"><path class=\"axis\" d=\"M0 0\" \
                     fill=\"none\" stroke=\"#5b6472\"/><text class=\"x\" fill=\"red\" font-family=\"system-ui, \
                     sans-serif\" font-size=\"12\" text-anchor=\"middle\">1</text></g><g class=\"curve s1 \
                     theory\"><path class=\"line\" d=\"M1 1\" fill=\"none\" stroke=\"#d55e00\" \
                     stroke-linejoin=\"round\" stroke-width=\"1.6\" stroke-dasharray=\"6 4\"/></g><path d=\"M2 \
                     2\"/></svg>\n";
        assert_eq!(inked(svg), right);
        // Once is enough.
        assert_eq!(inked(right), right);
        assert_eq!(inked(""), "");
    }
}
