//! A probe for one look, without a child: a thread that nothing ends but the end of this process.

use tokio::sync::oneshot;

use super::child;
use super::protocol::{ProbeAnswer, ProbeRequest};
use crate::sys::limits;

/// Begins to probe at once. A file or a resolver that hangs may keep the answer back indefinitely.
pub(super) fn start(request: ProbeRequest) -> impl Future<Output = Result<ProbeAnswer, String>> {
    let (tell, told) = oneshot::channel();
    let thread = std::thread::Builder::new().spawn(move || {
        // Nobody may wait for it any more.
        let _ = tell.send(child::here(&request));
    });
    async move {
        thread.map_err(|error| format!("cannot start the probe: {}", limits::refusal(&error)))?;
        let answer = told.await;
        answer.map_err(|_| "the probe ended without an answer".to_owned())
    }
}
