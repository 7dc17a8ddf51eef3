//! What every framework is working on.

use std::sync::Arc;

use super::loaded::Member;
use crate::{
    framework::{ActiveFramework, Activity, Transport},
    operation::InFlight,
};

/// Where anybody can look up what is in flight.
pub(super) struct Board {
    in_flight: InFlight,
    members: Vec<Entry>,
}

struct Entry {
    kind: &'static str,
    name: String,
    title: String,
    activity: Option<Arc<dyn Activity>>,
}

impl Board {
    pub(super) fn new(members: &[Member], in_flight: InFlight) -> Self {
        let entry = |member: &Member| Entry {
            kind: member.app.kind(),
            name: member.app.name().to_owned(),
            title: member.title(),
            activity: member.transport.ask(Transport::activity).flatten(),
        };
        Self { in_flight, members: members.iter().map(entry).collect() }
    }

    /// One entry for each framework, in load order.
    pub(super) fn active(&self) -> Vec<ActiveFramework> {
        self.members.iter().map(|member| self.of(member)).collect()
    }

    fn of(&self, member: &Entry) -> ActiveFramework {
        let activity = member.activity.as_ref();
        ActiveFramework {
            framework: member.title.clone(),
            calls: activity.map_or(0, |activity| activity.calls()),
            operations: self.in_flight.of(member.kind, &member.name),
            obstacles: activity.map(|activity| activity.obstacles()).unwrap_or_default(),
        }
    }
}
