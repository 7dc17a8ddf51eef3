//! An error as a person reads it: everything there is to know, one thing a line.

use std::fmt;

use super::Error;

/// How wide a report may be, so that nobody has to scroll sideways: 100 columns, less the `error: `
/// that the process puts before it. A longer word stands out.
pub(super) const WIDTH: usize = 93;

/// Writes the whole report, at that indentation. A cause that the text above it ends with is told
/// once.
pub(super) fn write(error: &Error, f: &mut fmt::Formatter<'_>, indent: usize) -> fmt::Result {
    let mut told = error.to_string();
    write_wrapped(f, indent, &told)?;
    if let Some(stage) = error.stage() {
        write_wrapped(f, indent + 2, &format!("stage: {stage}"))?;
    }
    let mut cause = error.source();
    while let Some(source) = cause {
        let text = source.to_string();
        if !told.ends_with(&text) {
            write_wrapped(f, indent + 2, &format!("because: {text}"))?;
            told = text;
        }
        cause = source.source();
    }
    if let Some(advice) = error.advice() {
        write_wrapped(f, indent + 2, &format!("help: {advice}"))?;
    }
    error.parts().iter().try_for_each(|part| write(part, f, indent + 2))
}

/// Writes `text` at that indentation; what does not fit stands on lines of its own below, further
/// to the right.
fn write_wrapped(f: &mut fmt::Formatter<'_>, indent: usize, text: &str) -> fmt::Result {
    for line in text.lines() {
        let mut column = indent;
        write!(f, "{:indent$}", "")?;
        for (place, word) in words(line).enumerate() {
            let width = word.chars().count();
            if place > 0 && column + 1 + width > WIDTH {
                column = indent + 4;
                write!(f, "\n{:column$}", "")?;
            } else if place > 0 {
                column += 1;
                f.write_str(" ")?;
            }
            column += width;
            f.write_str(word)?;
        }
        writeln!(f)?;
    }
    Ok(())
}

/// The words of `line`; a type with its arguments is one, as long as it fits on a line.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    let words = line.split(move |character| {
        match character {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        character == ' ' && depth == 0
    });
    words.flat_map(|word| {
        let parts = if word.chars().count() > WIDTH / 2 { usize::MAX } else { 1 };
        word.splitn(parts, ' ')
    })
}
