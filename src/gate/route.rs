//! Whether two answers of the kernel are the same route.

use super::event::{LinkState, Routes};

impl Routes {
    /// Whether the way to an address that both know has changed.
    ///
    /// Where they know none in common (the name resolved to other addresses), nothing is said to have changed: each
    /// change of the ways themselves is reported with the addresses unchanged.
    pub(super) fn differs_from(&self, old: &Self) -> bool {
        self.hops
            .iter()
            .any(|(address, hop)| old.hops.get(address).is_some_and(|before| before != hop))
    }

    /// Whether anything can get out at all, as far as is known.
    ///
    /// While the targets' addresses are not known, any address of ours may be on their network.
    pub(super) fn exists(&self) -> bool {
        let somewhere = self.hops.values().any(Option::is_some);
        somewhere || (!self.known && self.link_state == LinkState::Addressed)
    }
}
