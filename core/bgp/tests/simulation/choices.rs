//! An input of a fuzz target, as choices one after the other.

/// What is left of an input. Whoever asks for more gets zeros.
pub(crate) struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    pub(crate) const fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// So many octets, or all that are left.
    pub(crate) fn octets(&mut self, count: usize) -> &'a [u8] {
        let (octets, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        octets
    }

    pub(crate) fn octet(&mut self) -> u8 {
        self.octets(1).first().copied().unwrap_or_default()
    }

    /// A number of two octets.
    pub(crate) fn word(&mut self) -> u64 {
        u64::from(self.octet()) << 8 | u64::from(self.octet())
    }

    /// One of some values.
    pub(crate) fn one_of<T: Clone>(&mut self, values: &[T]) -> T {
        values[usize::from(self.octet()) % values.len()].clone()
    }
}
