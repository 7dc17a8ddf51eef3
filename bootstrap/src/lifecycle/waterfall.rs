//! A timeline, drawn for people.

use std::time::Duration;

use super::{StepOutcome, TimelineEntry};

/// How many characters the whole time takes.
const WIDTH: usize = 40;

/// One line for each entry: its name, when it began, how long it took, and a bar.
pub(super) fn draw(entries: &[TimelineEntry]) -> String {
    let names: Vec<_> = entries.iter().map(name).collect();
    let column = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let whole = entries.iter().map(end).max().unwrap_or_default();
    let mut drawn = String::new();
    for (entry, name) in entries.iter().zip(names) {
        let line = format!(
            "{name:column$}  {:>10}  {:>10}  {}{}",
            millis(entry.began),
            entry.took.map_or("…".to_owned(), millis),
            bar(entry, whole),
            ending(entry.outcome),
        );
        drawn.push_str(line.trim_end());
        drawn.push('\n');
    }
    drawn
}

fn name(entry: &TimelineEntry) -> String {
    match &entry.component {
        None => entry.stage.to_string(),
        Some(component) => format!("  {component}"),
    }
}

fn end(entry: &TimelineEntry) -> Duration {
    entry.began + entry.took.unwrap_or_default()
}

fn bar(entry: &TimelineEntry, whole: Duration) -> String {
    let place = |at: Duration| match whole.as_nanos() {
        0 => 0,
        whole => (at.as_nanos() * WIDTH as u128 / whole) as usize,
    };
    let (from, to) = (place(entry.began).min(WIDTH - 1), place(end(entry)).min(WIDTH));
    format!("{}{}", " ".repeat(from), "█".repeat(to.saturating_sub(from).max(1)))
}

fn ending(outcome: StepOutcome) -> &'static str {
    match outcome {
        StepOutcome::Done => "",
        StepOutcome::Running => " running",
        StepOutcome::Failed => " failed",
        StepOutcome::Late => " came to its deadline",
        StepOutcome::Cut => " cut short",
    }
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stage;

    fn entry(stage: Stage, component: Option<&str>, began: u64, took: u64) -> TimelineEntry {
        TimelineEntry {
            stage,
            component: component.map(str::to_owned),
            began: Duration::from_millis(began),
            took: Some(Duration::from_millis(took)),
            outcome: StepOutcome::Done,
        }
    }

    #[test]
    fn bars_stand_where_the_time_went() {
        let mut entries = [
            entry(Stage::Before, None, 0, 10),
            entry(Stage::Bind, None, 10, 30),
            entry(Stage::Bind, Some("http"), 20, 20),
        ];
        entries[2].outcome = StepOutcome::Failed;
        let drawn = "before      0.0 ms     10.0 ms  ██████████\n\
                     bind       10.0 ms     30.0 ms            ██████████████████████████████\n\
                     \x20 http     20.0 ms     20.0 ms                      ████████████████████ failed\n";
        assert_eq!(draw(&entries), drawn);
        assert_eq!(draw(&[]), "");
    }
}
