//! Which of the messages that the broker confirmed were returned as unroutable.

use std::collections::HashSet;

/// Assigns returned messages to those that were published.
///
/// The broker returns a message before it confirms it. lapin puts returns into a queue, and hands
/// the first of them to whichever confirmation comes next: to the wrong one where several are
/// under way. So messages carry a number, and a confirmed message gets its verdict only when no
/// return can still be on its way to it: as long as the queue holds the return of a confirmed
/// message, some message that is known to be returned is still unconfirmed.
#[derive(Debug)]
pub(super) struct Verdicts<J> {
    /// Returned, and not confirmed yet.
    returned: HashSet<i64>,
    /// Confirmed, without a verdict.
    confirmed: Vec<(i64, J)>,
}

impl<J> Default for Verdicts<J> {
    fn default() -> Self {
        Self { returned: HashSet::new(), confirmed: Vec::new() }
    }
}

impl<J> Verdicts<J> {
    /// A confirmation carried the return of the message with this number.
    pub(super) fn returned(&mut self, sequence: i64) {
        self.returned.insert(sequence);
    }

    /// The broker confirmed a mandatory message.
    pub(super) fn confirmed(&mut self, sequence: i64, job: J) {
        self.confirmed.push((sequence, job));
    }

    /// Those without a verdict, which they will never get.
    pub(super) fn give_up(&mut self) -> Vec<J> {
        self.returned.clear();
        self.confirmed.drain(..).map(|(_, job)| job).collect()
    }

    /// The verdicts that are certain, each with whether the message was routed. Only to be asked
    /// when every confirmation that has come so far was told.
    pub(super) fn take(&mut self) -> Vec<(J, bool)> {
        let mut certain = Vec::new();
        let mut rest = Vec::new();
        for (sequence, job) in self.confirmed.drain(..) {
            if self.returned.remove(&sequence) {
                certain.push((job, false));
            } else {
                rest.push((sequence, job));
            }
        }
        if self.returned.is_empty() {
            certain.extend(rest.into_iter().map(|(_, job)| (job, true)));
        } else {
            self.confirmed = rest;
        }
        certain
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    /// What lapin does: returns wait in a queue, and every confirmation takes the first.
    fn run(
        routed: &[bool],
        order: &[usize],
        ahead: &[usize],
        pauses: &[bool],
    ) -> Vec<(usize, bool)> {
        let (mut verdicts, mut given) = (Verdicts::default(), Vec::new());
        let mut queue = VecDeque::new();
        let mut sent = 0;
        for (step, &confirmed) in order.iter().enumerate() {
            // The broker has returned everything up to this message, and some of what follows.
            while sent <= (confirmed + ahead[step]).min(routed.len() - 1) {
                if !routed[sent] {
                    queue.push_back(sent);
                }
                sent += 1;
            }
            if let Some(returned) = queue.pop_front() {
                verdicts.returned(returned as i64);
            }
            verdicts.confirmed(confirmed as i64, confirmed);
            if pauses[step] {
                given.extend(verdicts.take());
            }
        }
        given.extend(verdicts.take());
        assert!(verdicts.give_up().is_empty(), "every confirmed message gets its verdict");
        given
    }

    fn cases() -> impl Strategy<Value = (Vec<bool>, Vec<usize>, Vec<usize>, Vec<bool>)> {
        (1..24usize).prop_flat_map(|count| {
            let order = Just((0..count).collect::<Vec<_>>()).prop_shuffle();
            let bits = || proptest::collection::vec(any::<bool>(), count);
            (bits(), order, proptest::collection::vec(0..4usize, count), bits())
        })
    }

    proptest! {
        #[test]
        fn every_message_gets_its_own_verdict((routed, order, ahead, pauses) in cases()) {
            let given = run(&routed, &order, &ahead, &pauses);
            prop_assert_eq!(given.len(), routed.len());
            for (message, verdict) in given {
                prop_assert_eq!(verdict, routed[message], "message {}", message);
            }
        }
    }
}
