//! What a test is told of the calls.

use super::{Context, Fault, FaultKind, in_flight::Tracked};
use crate::{
    ErrorKind,
    framework::{Recorded, RecordedKind, Witness},
};

impl Context {
    /// Whoever watches over the bootstrap that the call is answered by.
    pub(crate) fn witness(&self) -> Option<&Witness> {
        self.operation().tracked().map(Tracked::witness)
    }

    fn recorded(&self, kind: RecordedKind, tracked: &Tracked) -> Recorded {
        let (_, route) = tracked.place();
        Recorded::new(kind, self.protocol.as_str(), route)
            .operation(self.operation().name())
            .request_id(self.request_id.as_str())
    }
}

/// Tells that a call was answered.
pub(super) fn answered(context: &Context) {
    if let Some(tracked) = context.operation().tracked() {
        tracked.witness().record(|| context.recorded(RecordedKind::Called, tracked));
    }
}

/// Tells that a call has ended in a fault, which is a failure of the application where it is
/// internal, unless whoever serves it judges of that.
pub(super) fn faulted(context: &Context, fault: &Fault) {
    let Some(tracked) = context.operation().tracked() else { return };
    let witness = tracked.witness();
    witness.record(|| context.recorded(RecordedKind::Faulted, tracked).fault(fault));
    if fault.kind() == FaultKind::Internal && !witness.is_judged(context.protocol) {
        witness.failed(|| failure(context, tracked, fault));
    }
}

fn failure(context: &Context, tracked: &Tracked, fault: &Fault) -> crate::Error {
    let (_, route) = tracked.place();
    let source = fault.source_text().unwrap_or_else(|| fault.to_string());
    let protocol = context.protocol.as_str().to_uppercase();
    crate::Error::new(ErrorKind::Other, source).context(format!(
        "operation {} ({protocol} {route}), request {}",
        context.operation().name(),
        context.request_id,
    ))
}
