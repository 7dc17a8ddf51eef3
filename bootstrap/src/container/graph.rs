//! Who needs whom: what is missing, what runs in a circle, and the way that leads there.

use std::collections::VecDeque;

use super::{
    Dependency, DependencyKind, Root, Scope,
    construction::Failure,
    table::{Edge, Origin, Table},
};

/// How much of the application exists when the graph is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Everything is registered; what was announced is still to come.
    Registered,
    /// What was announced must be there.
    Complete,
}

/// Something that takes values from the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consumer {
    Root(usize),
    Slot(usize),
}

/// A dependency that cannot be met.
#[derive(Debug)]
pub(super) struct Lack<'a> {
    pub(super) consumer: Consumer,
    pub(super) dependency: &'a Dependency,
    pub(super) why: Why<'a>,
}

/// Why a dependency cannot be met.
#[derive(Debug)]
pub(super) enum Why<'a> {
    /// Nobody provides it.
    Missing,
    /// It was announced for that moment, and has not come.
    Late(&'a str),
    /// These slots provide it.
    Ambiguous(&'a [usize]),
}

/// A provider in the hands of somebody outside of the module that keeps it to itself.
#[derive(Debug)]
pub(super) struct Trespass {
    pub(super) consumer: Consumer,
    pub(super) taken: Edge,
}

/// A value of a call in the hands of somebody who outlives the call.
#[derive(Debug)]
pub(super) struct Captive {
    pub(super) holder: Consumer,
    /// What stands between, and the value at the end.
    pub(super) way: Vec<Edge>,
}

impl Captive {
    /// Whether it is asked for when the call may be over.
    pub(super) fn is_lazy(&self) -> bool {
        self.way.iter().any(|edge| edge.kind == DependencyKind::Lazy)
    }
}

/// The table seen from the roots.
pub(super) struct Graph<'a> {
    table: &'a Table,
    roots: &'a [Root],
    /// Who leads to each slot on the shortest way from a root, where there is one.
    before: Vec<Option<(Consumer, DependencyKind)>>,
}

impl<'a> Graph<'a> {
    pub(super) fn new(table: &'a Table, roots: &'a [Root]) -> Self {
        let before = vec![None; table.len()];
        let mut graph = Self { table, roots, before };
        graph.walk();
        graph
    }

    /// Finds the shortest way to every slot that a root reaches.
    fn walk(&mut self) {
        let mut queue = VecDeque::new();
        for (index, root) in self.roots.iter().enumerate() {
            for edge in self.table.edges(&root.dependencies) {
                self.step(Consumer::Root(index), edge, &mut queue);
            }
        }
        while let Some(index) = queue.pop_front() {
            for edge in self.edges(index) {
                self.step(Consumer::Slot(index), edge, &mut queue);
            }
        }
    }

    fn edges(&self, slot: usize) -> Vec<Edge> {
        self.table.edges(&self.table.slot(slot).dependencies).collect()
    }

    /// What stands in the way of the build of a slot.
    fn awaited_edges(&self, slot: usize) -> impl Iterator<Item = Edge> {
        self.edges(slot).into_iter().filter(|edge| edge.kind != DependencyKind::Lazy)
    }

    fn step(&mut self, from: Consumer, edge: Edge, queue: &mut VecDeque<usize>) {
        if self.before[edge.slot].is_none() {
            self.before[edge.slot] = Some((from, edge.kind));
            queue.push_back(edge.slot);
        }
    }

    /// Every dependency that cannot be met, the roots' first.
    pub(super) fn lacks(&self, stage: Stage) -> Vec<Lack<'a>> {
        let mut lacks = Vec::new();
        for (consumer, dependencies) in self.consumers() {
            for (place, dependency) in dependencies.iter().enumerate() {
                let lack = self.lack(dependency, stage);
                let told =
                    |d: &Dependency| d.key() == dependency.key() && self.lack(d, stage).is_some();
                if lack.is_some() && !dependencies[..place].iter().any(told) {
                    lacks.extend(lack.map(|why| Lack { consumer, dependency, why }));
                }
            }
        }
        lacks
    }

    /// Whoever takes something, the roots first.
    fn consumers(&self) -> impl Iterator<Item = (Consumer, &'a [Dependency])> + use<'a> {
        let roots = self.roots.iter().enumerate();
        let of_roots = roots.map(|(index, root)| (Consumer::Root(index), &*root.dependencies));
        let slots = self.table.slots().enumerate();
        let of_slots = slots.map(|(index, slot)| (Consumer::Slot(index), &*slot.dependencies));
        of_roots.chain(of_slots)
    }

    /// Every private provider that somebody takes who is not of its module, the roots' first.
    pub(super) fn trespasses(&self) -> Vec<Trespass> {
        let mut trespasses = Vec::new();
        for (consumer, dependencies) in self.consumers() {
            let mut told = Vec::new();
            for taken in self.table.edges(dependencies) {
                let slot = self.table.slot(taken.slot);
                let foreign = slot.private && self.module(consumer) != Some(&*slot.module);
                if foreign && !told.contains(&taken.slot) {
                    told.push(taken.slot);
                    trespasses.push(Trespass { consumer, taken });
                }
            }
        }
        trespasses
    }

    /// The module that it belongs to, where it belongs to one.
    pub(super) fn module(&self, consumer: Consumer) -> Option<&'a str> {
        match consumer {
            Consumer::Root(index) => self.roots[index].module.as_deref(),
            Consumer::Slot(index) => Some(&self.table.slot(index).module),
        }
    }

    /// Why that cannot be met, if it cannot.
    fn lack(&self, dependency: &Dependency, stage: Stage) -> Option<Why<'a>> {
        if dependency.kind() == DependencyKind::All {
            return None;
        }
        let rivals = self.table.rivals(dependency.key());
        if !rivals.is_empty() {
            return Some(Why::Ambiguous(rivals));
        }
        if !dependency.must_exist() {
            return None;
        }
        let Some(found) = self.table.find(dependency.key()) else {
            return Some(Why::Missing);
        };
        let slot = self.table.slot(found);
        let late = stage == Stage::Complete && slot.is_awaited();
        late.then(|| slot.announced().map(Why::Late)).flatten()
    }

    /// Every value of a call that somebody takes who outlives it.
    pub(super) fn captives(&self) -> Vec<Captive> {
        let roots = self.roots.iter().enumerate().filter(|(_, root)| !root.per_call);
        let roots = roots.map(|(index, root)| (Consumer::Root(index), &*root.dependencies, false));
        let slots = self.table.slots().enumerate();
        let slots = slots.map(|(index, slot)| {
            (Consumer::Slot(index), &*slot.dependencies, slot.scope != Scope::Singleton)
        });
        let mut captives = Vec::new();
        for (holder, dependencies, may_hold) in roots.chain(slots) {
            self.capture(holder, dependencies, may_hold, &mut captives);
        }
        captives
    }

    /// Follows what is built for the holder alone; with `may_hold`, only what it takes lazily is
    /// a fault.
    fn capture(
        &self,
        holder: Consumer,
        dependencies: &[Dependency],
        may_hold: bool,
        captives: &mut Vec<Captive>,
    ) {
        let mut seen = Vec::new();
        let mut open: Vec<Vec<Edge>> = vec![Vec::new()];
        while let Some(way) = open.pop() {
            let edges = match way.last() {
                None => self.table.edges(dependencies).collect(),
                Some(last) => self.edges(last.slot),
            };
            for edge in edges {
                let lazy = |edge: &Edge| edge.kind == DependencyKind::Lazy;
                let fault = !may_hold || lazy(&edge) || way.iter().any(lazy);
                let scope = self.table.slot(edge.slot).scope;
                if scope == Scope::Singleton || seen.contains(&edge.slot) || !fault {
                    continue;
                }
                seen.push(edge.slot);
                let way = [way.as_slice(), &[edge]].concat();
                match scope {
                    Scope::Request => captives.push(Captive { holder, way }),
                    _ => open.push(way),
                }
            }
        }
    }

    /// A shortest circle through every slot that is on one, each slot in at least one of them.
    pub(super) fn circles(&self) -> Vec<Vec<usize>> {
        let core = self.core();
        let mut told = vec![false; core.len()];
        let mut circles = Vec::new();
        for start in 0..core.len() {
            if !core[start] || told[start] {
                continue;
            }
            if let Some(circle) = self.circle(start, &core) {
                circle.iter().for_each(|&slot| told[slot] = true);
                circles.push(self.entered(circle));
            }
        }
        circles
    }

    /// The slots that are left when those are taken away, again and again, that need nobody or
    /// that nobody needs.
    fn core(&self) -> Vec<bool> {
        let count = self.table.len();
        let mut forward = vec![Vec::new(); count];
        let mut backward = vec![Vec::new(); count];
        for (index, slot) in self.table.slots().enumerate() {
            let edges = self.table.edges(&slot.dependencies);
            for edge in edges.filter(|edge| edge.kind != DependencyKind::Lazy) {
                forward[index].push(edge.slot);
                backward[edge.slot].push(index);
            }
        }
        let mut core = vec![true; count];
        peel(&mut core, &forward, &backward);
        peel(&mut core, &backward, &forward);
        core
    }

    fn circle(&self, start: usize, core: &[bool]) -> Option<Vec<usize>> {
        let mut before = vec![None; core.len()];
        let mut queue = VecDeque::from([start]);
        while let Some(index) = queue.pop_front() {
            for edge in self.awaited_edges(index) {
                if edge.slot == start {
                    return Some(way(&before, start, index));
                }
                if core[edge.slot] && before[edge.slot].is_none() {
                    before[edge.slot] = Some(index);
                    queue.push_back(edge.slot);
                }
            }
        }
        None
    }

    /// The same circle, begun where a root enters it first.
    fn entered(&self, mut circle: Vec<usize>) -> Vec<usize> {
        let distance = |&slot: &usize| match self.before[slot] {
            Some(_) => self.path(Consumer::Slot(slot)).len(),
            None => usize::MAX,
        };
        let entry = (0..circle.len()).min_by_key(|&place| distance(&circle[place]));
        circle.rotate_left(entry.unwrap_or(0));
        circle
    }

    /// The names on the shortest way from a root to `consumer`, which is the last of them.
    pub(super) fn path(&self, consumer: Consumer) -> Vec<String> {
        let mut path = Vec::new();
        let mut place = Some(consumer);
        while let Some(consumer) = place {
            place = match consumer {
                Consumer::Root(index) => {
                    path.push(self.roots[index].description.clone());
                    None
                }
                Consumer::Slot(index) => {
                    let (before, kind) = self.before[index].unzip();
                    let kind = kind.unwrap_or(DependencyKind::Required);
                    path.push(kind.spell(self.table.slot(index).key()));
                    before
                }
            };
        }
        path.reverse();
        path
    }

    /// What `from` takes of `to`, as it stands in its code.
    pub(super) fn step_name(&self, from: usize, to: usize) -> String {
        let kind = self.awaited_edges(from).find(|edge| edge.slot == to).map(|edge| edge.kind);
        kind.unwrap_or(DependencyKind::Required).spell(self.table.slot(to).key())
    }

    /// The name of whoever needs something.
    pub(super) fn name(&self, consumer: Consumer) -> String {
        match consumer {
            Consumer::Root(index) => self.roots[index].description.clone(),
            Consumer::Slot(index) => self.table.slot(index).key().to_string(),
        }
    }

    /// The names on the way to a build that failed: from a root, where one leads there.
    pub(super) fn way(&self, failure: &Failure) -> Vec<String> {
        if self.before[failure.slot()].is_some() {
            return self.path(Consumer::Slot(failure.slot()));
        }
        failure.path.iter().map(|&slot| self.table.slot(slot).key().to_string()).collect()
    }

    pub(super) fn table(&self) -> &'a Table {
        self.table
    }

    /// The slots to build: those that a root reaches, and those that are eager.
    pub(super) fn wanted(&self) -> Vec<usize> {
        let slots = self.table.slots().enumerate();
        let wanted = slots.filter(|(index, slot)| {
            let is_singleton = slot.scope == Scope::Singleton;
            let built = is_singleton && !matches!(slot.origin, Origin::Value) && !slot.is_awaited();
            built && (slot.eager || self.before[*index].is_some())
        });
        wanted.map(|(index, _)| index).collect()
    }
}

/// Takes out of `core` what has no way on by `forward`, then what has none without that.
fn peel(core: &mut [bool], forward: &[Vec<usize>], backward: &[Vec<usize>]) {
    let within = |core: &[bool], slots: &[usize]| slots.iter().filter(|&&s| core[s]).count();
    let mut open: Vec<usize> = forward.iter().map(|slots| within(core, slots)).collect();
    let mut ends: Vec<usize> = (0..core.len()).filter(|&i| core[i] && open[i] == 0).collect();
    while let Some(end) = ends.pop() {
        core[end] = false;
        for &index in backward[end].iter().filter(|&&index| core[index]) {
            open[index] -= 1;
            if open[index] == 0 {
                ends.push(index);
            }
        }
    }
}

fn way(before: &[Option<usize>], start: usize, end: usize) -> Vec<usize> {
    let mut way = vec![end];
    let mut place = end;
    while place != start
        && let Some(index) = before[place]
    {
        way.push(index);
        place = index;
    }
    way.reverse();
    way
}
