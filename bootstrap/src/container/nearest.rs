//! What somebody may have meant who asked for what nobody provides.

use super::{
    Key,
    table::{Slot, Table},
};

const CANDIDATES: usize = 3;

/// The providers whose names come nearest to `key`, best first, as `dyn UserRepo (module user)`.
pub(super) fn nearest(table: &Table, key: &Key) -> Vec<String> {
    if key.name().is_some() && table.all(key.type_id()).next().is_some() {
        return nearest_name(table, key);
    }
    let wanted = bare(key);
    let mut candidates: Vec<(usize, String)> = table
        .slots()
        .filter(|slot| slot.key() != key)
        .filter_map(|slot| {
            let rank = if slot.key().type_id() == key.type_id() {
                0
            } else {
                rank(&wanted, &bare(slot.key()))?
            };
            Some((rank, describe(slot, key)))
        })
        .collect();
    candidates.sort();
    candidates.into_iter().take(CANDIDATES).map(|(_, text)| text).collect()
}

/// The value whose name comes nearest, where the type is right.
fn nearest_name(table: &Table, key: &Key) -> Vec<String> {
    let wanted = key.name().unwrap_or_default().to_lowercase();
    let slots = table.all(key.type_id()).map(|index| table.slot(index));
    let ranked = slots.filter_map(|slot| {
        let rank = rank(&wanted, &slot.key().name()?.to_lowercase())?;
        Some((rank, describe(slot, key)))
    });
    ranked.min().map(|(_, text)| text).into_iter().collect()
}

/// Every value of that type, where a name was asked for that none of them has.
pub(super) fn siblings(table: &Table, key: &Key) -> Vec<String> {
    if key.name().is_none() {
        return Vec::new();
    }
    table.all(key.type_id()).map(|index| table.slot(index).key().to_string()).collect()
}

fn describe(slot: &Slot, wanted: &Key) -> String {
    let key = slot.key();
    let title = match key.to_string() {
        same if same == wanted.to_string() => key.type_name().to_owned(),
        title => title,
    };
    let private = if slot.private { "private to " } else { "" };
    format!("{title} ({private}module {})", slot.module)
}

/// The type's name in lower case, without `dyn`, auto traits and a name of its own.
fn bare(key: &Key) -> String {
    let short = super::key::without_paths(key.type_name());
    let bare = short.strip_prefix("dyn ").unwrap_or(&short);
    bare.split(" + ").next().unwrap_or(bare).to_lowercase()
}

/// How far two names are apart; `None` if too far to be a slip.
fn rank(wanted: &str, candidate: &str) -> Option<usize> {
    let longest = wanted.len().max(candidate.len());
    let shortest = wanted.len().min(candidate.len());
    let part = wanted.contains(candidate) || candidate.contains(wanted);
    if part && shortest >= 4 {
        return Some(usize::from(longest != shortest));
    }
    let distance = distance(wanted, candidate);
    (distance <= longest / 3).then_some(1 + distance)
}

/// The number of letters to add, drop or change (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, character) in left.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for column in 0..right.len() {
            let changed = diagonal + usize::from(right[column] != character);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, rank};

    #[test]
    fn distance_counts_letters() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }

    #[test]
    fn only_slips_and_parts_are_near() {
        assert_eq!(rank("userrepo", "userrepo"), Some(0));
        assert_eq!(rank("userrepo", "sqluserrepo"), Some(1));
        assert_eq!(rank("userrepo", "usersrepo"), Some(2));
        assert_eq!(rank("userrepo", "mailer"), None);
        assert_eq!(rank("a", "b"), None);
    }
}
