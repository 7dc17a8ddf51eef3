use std::collections::HashMap;

use lapin::{BasicProperties, types::ShortString};
use polyport_bootstrap::Fault;

use super::{
    Reply,
    ask::{Answer, Outcome},
    cut_off,
};

/// With fewer than that, nobody looks for callers that have left.
const FEW: usize = 64;

/// The requests that wait for their replies on one channel, by the number that is their correlation
/// id: no other channel gets the replies.
#[derive(Debug)]
pub(super) struct Pending {
    answers: HashMap<u64, Answer>,
    latest: u64,
    /// How many there may be until those are dropped whose callers have left.
    sweep_at: usize,
}

impl Default for Pending {
    fn default() -> Self {
        Self { answers: HashMap::new(), latest: 0, sweep_at: FEW }
    }
}

impl Pending {
    /// Notes a request, and gives its correlation id.
    pub(super) fn add(&mut self, answer: Answer) -> ShortString {
        if self.answers.len() >= self.sweep_at {
            self.sweep();
            self.sweep_at = FEW.max(self.answers.len() * 2);
        }
        self.latest += 1;
        self.answers.insert(self.latest, answer);
        self.latest.to_string().into()
    }

    /// Drops those whose callers have left.
    pub(super) fn sweep(&mut self) {
        self.answers.retain(|_, answer| answer.is_wanted());
    }

    /// Gives a reply to whoever waits for it; one that comes too late is dropped.
    pub(super) fn reply(&mut self, reply: Reply) {
        let Some(number) = number(reply.properties()) else { return };
        match self.answers.get(&number) {
            Some(Answer::Items(items)) if !reply.is_last() => drop(items.send(Ok(reply))),
            _ => self.finish(number, Ok(reply)),
        }
    }

    /// Ends the request that the broker has returned.
    pub(super) fn refuse(&mut self, properties: &BasicProperties, fault: Fault) {
        if let Some(number) = number(properties) {
            self.finish(number, Err(fault));
        }
    }

    /// Ends all of them: no reply can come any more.
    pub(super) fn fail(&mut self, reason: &str) {
        for (_, answer) in self.answers.drain() {
            answer.finish(Err(cut_off(reason)));
        }
    }

    fn finish(&mut self, number: u64, outcome: Outcome) {
        if let Some(answer) = self.answers.remove(&number) {
            answer.finish(outcome);
        }
    }
}

fn number(properties: &BasicProperties) -> Option<u64> {
    properties.correlation_id().as_ref()?.as_str().parse().ok()
}

#[cfg(test)]
mod tests {
    use tokio::sync::{mpsc, oneshot};

    use super::*;

    fn reply(id: &ShortString) -> Reply {
        Reply::new(BasicProperties::default().with_correlation_id(id.clone()), "1".into())
    }

    #[test]
    fn a_reply_goes_to_its_request_and_once() {
        let mut pending = Pending::default();
        let (first, mut one) = oneshot::channel();
        let (second, mut two) = oneshot::channel();
        let (a, b) = (pending.add(Answer::One(first)), pending.add(Answer::One(second)));
        pending.reply(reply(&b));
        assert!(two.try_recv().expect("answered").is_ok() && one.try_recv().is_err());
        for strange in [b, "99".into(), "".into(), "x".into()] {
            pending.reply(reply(&strange));
        }
        assert!(!pending.answers.is_empty());
        pending.reply(reply(&a));
        assert!(one.try_recv().expect("answered").is_ok() && pending.answers.is_empty());
    }

    #[test]
    fn callers_that_left_are_forgotten() {
        let mut pending = Pending::default();
        let (kept, _caller) = mpsc::unbounded_channel();
        pending.add(Answer::Items(kept));
        for _ in 0..10_000 {
            pending.add(Answer::One(oneshot::channel().0));
        }
        assert!(pending.answers.len() <= FEW + 1, "{}", pending.answers.len());
    }
}
