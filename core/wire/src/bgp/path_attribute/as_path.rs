//! The systems that a route came through: RFC 4271 §4.3 and §5.1.2, RFC 6793 §4.2.3, RFC 5065.

use core::fmt;

use ferrolb_vocab::Asn;

use crate::cursor::{Reader, Truncated};

/// The systems that a route came through, nearest first, read in place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AsPath<'a> {
    /// The segments of `AS_PATH`.
    octets: &'a [u8],
    four_octet_as: bool,
    /// `AS4_PATH`, which stands for the end of the path, and how many systems come before it.
    as4: Option<(&'a [u8], usize)>,
}

/// A part of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// How its systems belong together.
    pub segment_type: SegmentType,
    octets: &'a [u8],
    four_octet_as: bool,
}

/// How the systems of a segment belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SegmentType {
    /// Some of the path, in no order.
    Set,
    /// One after the other.
    Sequence,
    /// One after the other, within a confederation (RFC 5065).
    ConfederationSequence,
    /// In no order, within a confederation.
    ConfederationSet,
}

impl<'a> AsPath<'a> {
    /// A path whose octets are in order; `None` if it is malformed (RFC 7606 §7.2), or if it has
    /// a system of number zero (RFC 7607 §2).
    pub(in crate::bgp) fn parse(octets: &'a [u8], four_octet_as: bool) -> Option<Self> {
        let mut reader = Reader::new(octets);
        while !reader.is_empty() {
            let segment = Segment::read(&mut reader, four_octet_as).ok().flatten()?;
            if segment.octets.is_empty() || segment.asns().any(|asn| asn == Asn(0)) {
                return None;
            }
        }
        Some(Self { octets, four_octet_as, as4: None })
    }

    /// This path, in two octets, with what `as4` says in four put in the place of its end (RFC
    /// 6793 §4.2.3). A longer `as4` says nothing.
    pub(in crate::bgp) fn reconstructed(self, as4: Self) -> Self {
        match self.length().checked_sub(as4.length()) {
            Some(before) => Self { as4: Some((as4.octets, before)), ..self },
            None => self,
        }
    }

    /// The segments, nearest first.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'a>> + use<'a> {
        let (as4, mut before) = self.as4.unwrap_or((&[], usize::MAX));
        let front = Segments::new(self.octets, self.four_octet_as).map_while(move |segment| {
            // RFC 6793 §4.2.3: a confederation's segment next to what is kept is kept.
            if segment.segment_type.is_confederation() {
                return Some(segment);
            }
            let segment = segment.first(before)?;
            before -= segment.length();
            Some(segment)
        });
        front.chain(Segments::new(as4, true).filter(|segment| !segment.segment_type.is_confederation()))
    }

    /// How long the path is when routes are compared: a set counts as one system (RFC 4271
    /// §9.1.2.2), those of a confederation do not count (RFC 5065 §5.3).
    #[must_use]
    pub fn length(&self) -> usize {
        self.segments().map(|segment| segment.length()).sum()
    }

    /// Whether `asn` is in the path.
    #[must_use]
    pub fn contains(&self, asn: Asn) -> bool {
        self.segments().any(|segment| segment.asns().any(|listed| listed == asn))
    }

    /// Whether a segment is a set, which nobody may send any more: RFC 9774 §3.
    pub(in crate::bgp) fn has_set(&self) -> bool {
        let is_set = |segment_type| matches!(segment_type, SegmentType::Set | SegmentType::ConfederationSet);
        self.segments().any(|segment| is_set(segment.segment_type))
    }

    /// Whether a segment is one of a confederation's.
    pub(in crate::bgp) fn has_confederation(&self) -> bool {
        self.segments().any(|segment| segment.segment_type.is_confederation())
    }
}

/// Sequences as numbers with spaces, sets in braces; those of a confederation in parentheses and
/// brackets.
impl fmt::Display for AsPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, segment) in self.segments().enumerate() {
            let (open, between, close) = match segment.segment_type {
                SegmentType::Sequence => ("", " ", ""),
                SegmentType::Set => ("{", ",", "}"),
                SegmentType::ConfederationSequence => ("(", " ", ")"),
                SegmentType::ConfederationSet => ("[", ",", "]"),
            };
            f.write_str(if nth == 0 { "" } else { " " })?;
            f.write_str(open)?;
            for (nth, asn) in segment.asns().enumerate() {
                f.write_str(if nth == 0 { "" } else { between })?;
                asn.fmt(f)?;
            }
            f.write_str(close)?;
        }
        Ok(())
    }
}

impl<'a> Segment<'a> {
    /// The next segment; `None` if its type is undefined.
    fn read(reader: &mut Reader<'a>, four_octet_as: bool) -> Result<Option<Self>, Truncated> {
        let segment_type = SegmentType::of_code(reader.u8()?);
        let count = usize::from(reader.u8()?);
        let octets = reader.octets(count * width(four_octet_as))?;
        Ok(segment_type.map(|segment_type| Self { segment_type, octets, four_octet_as }))
    }

    /// The systems.
    pub fn asns(&self) -> impl Iterator<Item = Asn> + use<'a> {
        let number = |octets: &[u8]| octets.iter().fold(0, |number, octet| number << 8 | u32::from(*octet));
        self.octets.chunks_exact(width(self.four_octet_as)).map(move |octets| Asn(number(octets)))
    }

    /// How long it is when routes are compared.
    const fn length(&self) -> usize {
        match self.segment_type {
            SegmentType::Sequence => self.octets.len() / width(self.four_octet_as),
            SegmentType::Set => 1,
            SegmentType::ConfederationSequence | SegmentType::ConfederationSet => 0,
        }
    }

    /// No more of it than counts as `length`; `None` if that is nothing.
    fn first(self, length: usize) -> Option<Self> {
        match (self.segment_type, length) {
            (_, 0) => None,
            (SegmentType::Sequence, length) => {
                let octets = length.saturating_mul(width(self.four_octet_as));
                Some(Self { octets: self.octets.get(..octets).unwrap_or(self.octets), ..self })
            }
            (SegmentType::Set | SegmentType::ConfederationSequence | SegmentType::ConfederationSet, _) => {
                Some(self)
            }
        }
    }
}

impl SegmentType {
    const fn of_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Set),
            SEQUENCE => Some(Self::Sequence),
            3 => Some(Self::ConfederationSequence),
            4 => Some(Self::ConfederationSet),
            _undefined => None,
        }
    }

    const fn is_confederation(self) -> bool {
        match self {
            Self::Set | Self::Sequence => false,
            Self::ConfederationSequence | Self::ConfederationSet => true,
        }
    }
}

/// The segments of octets that are in order.
struct Segments<'a> {
    rest: Reader<'a>,
    four_octet_as: bool,
}

impl<'a> Segments<'a> {
    const fn new(octets: &'a [u8], four_octet_as: bool) -> Self {
        Self { rest: Reader::new(octets), four_octet_as }
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Segment<'a>> {
        Segment::read(&mut self.rest, self.four_octet_as).ok().flatten()
    }
}

/// Octets of a number.
const fn width(four_octet_as: bool) -> usize {
    if four_octet_as { 4 } else { 2 }
}

/// The type of a segment of systems one after the other.
pub(in crate::bgp) const SEQUENCE: u8 = 2;

#[cfg(test)]
mod tests;
