//! Numbers that look random and follow from a seed.

/// `SplitMix64`, for jitter: nobody needs to be surprised by it, it only has to differ between
/// neighbours. Nothing that must not be guessed is drawn from it.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers that follow from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number, from 0 to all ones.
    pub fn draw(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let [a, b, c, d, ..] = (mixed ^ (mixed >> 31)).to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_numbers_of_seed_zero_are_those_of_splitmix64() {
        let mut random = Random::new(0);
        // The upper halves of 0xe220a8397b1dcdaf and 0x6e789e6aa1b965f4.
        assert_eq!([random.draw(), random.draw()], [0xe220_a839, 0x6e78_9e6a]);
    }
}
