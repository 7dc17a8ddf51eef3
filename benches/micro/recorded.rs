//! Counted instructions beside those that were recorded.

use std::{collections::BTreeMap, io::Write};

use polyport_bootstrap::{Error, Result};
use serde::{Deserialize, Serialize};

/// What may be more than was recorded, in percent.
const GROWTH: u64 = 3;

/// What was counted, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Recorded {
    /// Another compiler makes other code.
    pub(crate) compiler: String,
    /// So does another profile.
    pub(crate) profile: String,
    /// Of each case, for one turn.
    pub(crate) instructions: BTreeMap<String, u64>,
}

/// Cases that are not as they were recorded.
#[derive(Default)]
struct Changed<'a> {
    /// They take more than they may.
    grown: Vec<&'a str>,
    /// They take so much less that it is worth recording.
    shrunk: Vec<&'a str>,
    /// They are not recorded, or are recorded and no longer there.
    unknown: Vec<&'a str>,
}

/// Shows what was counted beside what was recorded.
///
/// # Errors
///
/// Where a case has grown, where nothing is recorded, or where that was counted with another profile.
pub(crate) fn compare(
    known: Option<&Recorded>,
    now: &Recorded,
    out: &mut impl Write,
) -> Result<()> {
    let nothing = Recorded { instructions: BTreeMap::new(), ..now.clone() };
    let before = known.unwrap_or(&nothing);
    let changed = table(before, now, out)?;
    if known.is_none() {
        let error = Error::other("nothing is recorded, so nothing can be compared");
        return Err(error.advise("record it: scripts/instructions --record"));
    }
    if before.compiler != now.compiler {
        writeln!(out, "recorded with {}, counted with {}", before.compiler, now.compiler)?;
    }
    if before.profile != now.profile {
        let (before, now) = (&before.profile, &now.profile);
        let error = Error::other(format!("recorded with profile {before}, counted with {now}"));
        return Err(error.advise("count with the profile of the record, or record anew"));
    }
    changed.judge(out)
}

fn table<'a>(before: &'a Recorded, now: &'a Recorded, out: &mut impl Write) -> Result<Changed<'a>> {
    let mut changed = Changed::default();
    line(out, "instructions a turn", "recorded", "now", "")?;
    let gone = before.instructions.keys().filter(|name| !now.instructions.contains_key(*name));
    for name in now.instructions.keys().chain(gone) {
        let (from, to) = (before.instructions.get(name), now.instructions.get(name));
        let note = changed.note(name, from, to);
        line(out, name, &shown(from), &shown(to), &note)?;
    }
    Ok(changed)
}

fn line(out: &mut impl Write, name: &str, before: &str, now: &str, note: &str) -> Result<()> {
    Ok(writeln!(out, "{name:<32}{before:>12}{now:>12}{note:>10}")?)
}

fn shown(count: Option<&u64>) -> String {
    count.map_or_else(|| "-".to_owned(), u64::to_string)
}

impl<'a> Changed<'a> {
    /// Keeps a case in mind, and says what became of it.
    fn note(&mut self, name: &'a str, before: Option<&u64>, now: Option<&u64>) -> String {
        let (Some(before), Some(now)) = (before, now) else {
            self.unknown.push(name);
            return if before.is_none() { "new" } else { "gone" }.to_owned();
        };
        match now * 100 {
            more if more > before * (100 + GROWTH) => self.grown.push(name),
            less if less < before * (100 - GROWTH) => self.shrunk.push(name),
            _ => {}
        }
        format!("{:+.1} %", (*now as f64 / *before as f64 - 1.0) * 100.0)
    }

    fn judge(&self, out: &mut impl Write) -> Result<()> {
        for (what, names) in [("less than before", &self.shrunk), ("new or gone", &self.unknown)] {
            if !names.is_empty() {
                writeln!(out, "{what}: {}; record that, so that it stays", names.join(", "))?;
            }
        }
        match self.grown.is_empty() {
            true => Ok(()),
            false => Err(Error::other(format!("more than before: {}", self.grown.join(", ")))
                .advise("mend it, or record it on purpose: scripts/instructions --record")),
        }
    }
}
