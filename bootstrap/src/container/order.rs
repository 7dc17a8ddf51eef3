//! In which order values are given back.

use std::collections::{BinaryHeap, HashMap};

use super::{DependencyKind, construction::Built, table::Table};

/// Orders what was built so that the last one is disposed of first: whoever holds a value stands
/// behind it. Without lazy edges that is the order in which they were built; a lazy edge counts
/// unless the value needs its holder.
pub(super) fn for_disposal(table: &Table, built: &[Built]) -> Vec<Built> {
    let mut holding = Holding::new(table, built);
    holding.add_lazy_edges();
    holding.sorted().into_iter().map(|place| built[place]).collect()
}

/// Who holds whom, by their places in the order of building.
struct Holding {
    held: Vec<Vec<usize>>,
    lazily: Vec<(usize, usize)>,
}

impl Holding {
    fn new(table: &Table, built: &[Built]) -> Self {
        let places: HashMap<usize, usize> =
            built.iter().enumerate().map(|(place, built)| (built.slot, place)).collect();
        let mut holding = Self { held: vec![Vec::new(); built.len()], lazily: Vec::new() };
        for (place, built) in built.iter().enumerate() {
            holding.follow(table, &places, place, built.slot);
        }
        holding
    }

    /// Notes what the holder at `place` holds; what is built for it alone stands in no table, and
    /// what that holds, it holds too.
    fn follow(
        &mut self,
        table: &Table,
        places: &HashMap<usize, usize>,
        holder: usize,
        slot: usize,
    ) {
        let (mut open, mut seen) = (vec![(slot, false)], vec![slot]);
        while let Some((slot, lazily)) = open.pop() {
            for edge in table.edges(&table.slot(slot).dependencies) {
                let lazily = lazily || edge.kind == DependencyKind::Lazy;
                match places.get(&edge.slot) {
                    Some(&held) if lazily => self.lazily.push((holder, held)),
                    // An optional value that came after its holder is not held by it.
                    Some(&held) if held < holder => self.held[holder].push(held),
                    Some(_) => {}
                    None if seen.contains(&edge.slot) => {}
                    None => {
                        seen.push(edge.slot);
                        open.push((edge.slot, lazily));
                    }
                }
            }
        }
    }

    fn add_lazy_edges(&mut self) {
        for (holder, held) in std::mem::take(&mut self.lazily) {
            if !self.reaches(held, holder) {
                self.held[holder].push(held);
            }
        }
    }

    fn reaches(&self, from: usize, to: usize) -> bool {
        let mut seen = vec![false; self.held.len()];
        let mut open = vec![from];
        while let Some(place) = open.pop() {
            if place == to {
                return true;
            }
            if !std::mem::replace(&mut seen[place], true) {
                open.extend(&self.held[place]);
            }
        }
        false
    }

    /// The places, holders behind what they hold; otherwise as built.
    fn sorted(&self) -> Vec<usize> {
        let mut holders = vec![0_usize; self.held.len()];
        self.held.iter().flatten().for_each(|&held| holders[held] += 1);
        let mut free: BinaryHeap<usize> =
            (0..holders.len()).filter(|&place| holders[place] == 0).collect();
        let mut order = Vec::with_capacity(holders.len());
        while let Some(place) = free.pop() {
            order.push(place);
            for &held in &self.held[place] {
                holders[held] -= 1;
                if holders[held] == 0 {
                    free.push(held);
                }
            }
        }
        order.reverse();
        order
    }
}
