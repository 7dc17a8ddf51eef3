//! Which known word somebody meant.

use figment::value::Value;

/// The candidate that is nearest to `wanted`, if one is near enough to be meant: at most a third
/// of its letters differ (capital or not). Of equally near ones the first wins.
pub(crate) fn nearest<'c>(
    wanted: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let limit = (wanted.chars().count() / 3).max(1);
    let lower = wanted.to_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(wanted.len()) <= 4 * limit)
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The key that is there and reads like `path`, part by part.
pub(super) fn nearest_key(root: &Value, path: &[String]) -> Option<String> {
    let (mut at, mut near) = (root, Vec::new());
    for segment in path {
        let Value::Dict(_, table) = at else {
            return None;
        };
        let key = match table.contains_key(segment) {
            true => segment,
            false => nearest(segment, table.keys().map(String::as_str))?,
        };
        near.push(key);
        at = table.get(key)?;
    }
    Some(near.join("."))
}

/// The number of letters to insert, delete, replace or swap with their neighbour (optimal string
/// alignment).
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut before = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for i in 1..=from.len() {
        let mut row = vec![i; to.len() + 1];
        for j in 1..=to.len() {
            let replaced = last[j - 1] + usize::from(from[i - 1] != to[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inserted_deleted_replaced_and_swapped_letters_count_one_each() {
        for (from, to, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("port", "prot", 1),
            ("port", "ports", 1),
            ("port", "sort", 1),
            ("kitten", "sitting", 3),
            ("größe", "grösse", 2),
        ] {
            assert_eq!(distance(from, to), expected, "{from} {to}");
            assert_eq!(distance(to, from), expected, "{to} {from}");
        }
    }

    #[test]
    fn only_what_may_have_been_meant_is_suggested() {
        let known = ["port", "host", "page_size"];
        assert_eq!(nearest("prot", known), Some("port"));
        assert_eq!(nearest("pageSise", known), Some("page_size"));
        assert_eq!(nearest("mode", known), None);
        assert_eq!(nearest("", known), None);
    }
}
