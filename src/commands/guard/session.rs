//! Whether whoever confirms has logged in since the try: only that proves that the machine can be reached.

use std::fs;

use super::Context;
use crate::commands::prepare::Refusal;
use crate::exit::Exit;
use crate::guard::state::Transaction;

impl Context {
    /// Refuses a session that is older than the try, or that is none.
    pub(super) async fn new_session(&self, t: &Transaction) -> Result<(), Refusal> {
        let refuse = |why: &str| {
            let why = format!("{why}; confirm from a new session, or with --here");
            Err(Refusal::new(Exit::NotNow, &why))
        };
        let cgroup = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let Some(scope) = scope_of(&cgroup) else {
            return refuse("this is not a login session, so it proves nothing");
        };
        match self.machine.active_since(scope).await {
            Ok(since) if since > t.tried_at_usec => Ok(()),
            Ok(_) => refuse(
                "this session is older than the try, so it does not prove that the machine can be reached",
            ),
            Err(why) => refuse(&format!("cannot ask how old this session is: {why}")),
        }
    }
}

/// logind's scope of the session: each connection of ssh has its own, and sudo stays in it.
fn scope_of(cgroup: &str) -> Option<&str> {
    let mut parts = cgroup.lines().flat_map(|line| line.split('/'));
    parts.find(|part| {
        let session = part.strip_prefix("session-");
        session.is_some_and(|rest| rest.strip_suffix(".scope").is_some())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_known_by_its_scope() {
        let ssh = "0::/user.slice/user-1000.slice/session-7.scope\n";
        assert_eq!(scope_of(ssh), Some("session-7.scope"));
        let manager = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/tmux.scope\n";
        assert_eq!(scope_of(manager), None);
    }
}
