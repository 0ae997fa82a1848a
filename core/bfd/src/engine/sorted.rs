//! What changes with every packet.

use alloc::vec::Vec;
use core::ops::Deref;

/// A set in order that allocates only when it is larger than ever before: the thread that sends and
/// judges must not wait for another that holds the allocator's lock and is not run.
#[derive(Debug)]
pub(super) struct Sorted<T>(Vec<T>);

impl<T: Ord> Sorted<T> {
    /// Adds a value, unless it is there.
    pub(super) fn insert(&mut self, value: T) {
        if let Err(at) = self.0.binary_search(&value) {
            self.0.insert(at, value);
        }
    }

    /// Takes a value out, if it is there.
    pub(super) fn remove(&mut self, value: &T) {
        if let Ok(at) = self.0.binary_search(value) {
            self.0.remove(at);
        }
    }
}

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Deref for Sorted<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_set_is_in_order_and_grows_no_larger_than_it_ever_was(
            changes in prop::collection::vec((any::<bool>(), 0_u8..16), 0..200),
        ) {
            let mut model: BTreeSet<u8> = (0..16).collect();
            let mut set = Sorted::default();
            model.iter().for_each(|value| set.insert(*value));
            let capacity = set.0.capacity();
            for (is_there, value) in changes {
                if is_there {
                    model.insert(value);
                    set.insert(value);
                } else {
                    model.remove(&value);
                    set.remove(&value);
                }
                prop_assert!(set.iter().eq(&model));
            }
            prop_assert_eq!(set.0.capacity(), capacity);
        }
    }
}
