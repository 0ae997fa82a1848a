//! Routes, each kept once however many prefixes have it.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::num::NonZeroU32;

use ferrolb_wire::bgp::{EncodedAttributes, Family};

use super::PerFamily;
use super::encoding::Encoder;
use crate::route::Route;

/// The name of an interned route, which it keeps while anything refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RouteId(NonZeroU32);

/// The routes that tables refer to. Whoever stores an id holds a reference.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// By id, from one on.
    slots: Vec<Option<Interned>>,
    /// Ids of the empty slots.
    free: Vec<RouteId>,
    ids: BTreeMap<Arc<Route>, RouteId>,
}

#[derive(Debug)]
struct Interned {
    route: Arc<Route>,
    references: usize,
    /// For the session that is up: made when first sent.
    encoded: PerFamily<Option<EncodedAttributes>>,
}

impl Routes {
    /// The id of `route`, with a reference more.
    pub(super) fn intern(&mut self, route: &Arc<Route>) -> RouteId {
        if let Some(id) = self.ids.get(route) {
            let id = *id;
            self.retain(id);
            return id;
        }
        let interned = Interned { route: Arc::clone(route), references: 1, encoded: PerFamily::default() };
        let id = self.free.pop().unwrap_or_else(|| self.add_slot());
        if let Some(slot) = self.slots.get_mut(id.index()) {
            *slot = Some(interned);
        }
        self.ids.insert(Arc::clone(route), id);
        id
    }

    fn add_slot(&mut self) -> RouteId {
        let index = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.slots.push(None);
        RouteId(NonZeroU32::MIN.saturating_add(index))
    }

    pub(super) fn retain(&mut self, id: RouteId) {
        if let Some(interned) = self.interned_mut(id) {
            interned.references += 1;
        }
    }

    /// Gives a reference back; with the last one the route goes.
    pub(super) fn release(&mut self, id: Option<RouteId>) {
        let Some(id) = id else { return };
        let Some(interned) = self.interned_mut(id) else { return };
        interned.references -= 1;
        if interned.references > 0 {
            return;
        }
        if let Some(interned) = self.slots.get_mut(id.index()).and_then(Option::take) {
            self.ids.remove(&interned.route);
            self.free.push(id);
        }
    }

    pub(super) fn get(&self, id: RouteId) -> Option<&Arc<Route>> {
        self.slots.get(id.index())?.as_ref().map(|interned| &interned.route)
    }

    /// The attributes of a route as they travel, made once for a session and family. There are some
    /// for each route that [`Route::fits`].
    pub(super) fn encoded(
        &mut self,
        id: RouteId,
        family: Family,
        encoder: &Encoder,
    ) -> Option<&EncodedAttributes> {
        let Interned { route, encoded, .. } = self.interned_mut(id)?;
        let encoded = encoded.of_mut(family);
        if encoded.is_none() {
            *encoded = encoder.encode(route).ok();
        }
        encoded.as_ref()
    }

    /// Attributes are no longer encoded as they were.
    pub(super) fn forget_encoded(&mut self) {
        for interned in self.slots.iter_mut().flatten() {
            interned.encoded = PerFamily::default();
        }
    }

    fn interned_mut(&mut self, id: RouteId) -> Option<&mut Interned> {
        self.slots.get_mut(id.index())?.as_mut()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }
}

impl RouteId {
    const fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}
