//! What is wrong with an attribute.

use core::fmt;

use super::AttributeType;

/// An attribute that cannot be believed, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Which attribute. [`AttributeType`] 0 where not even that is there.
    pub attribute: AttributeType,
    /// What is wrong with it.
    pub defect: Defect,
}

/// What is wrong with an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Defect {
    /// Its Optional or Transitive bit is not what its type has.
    Flags,
    /// Its type does not have this length.
    Length,
    /// What it says cannot be.
    Value,
    /// It is not there, and has to be.
    Missing,
    /// The path attributes end within it.
    Truncated,
    /// It came before in the same message, and must not be there twice.
    Duplicate,
    /// It has to be understood, and is not.
    Unrecognized,
}

impl Defect {
    /// The name, for logs and metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Flags => "flags",
            Self::Length => "length",
            Self::Value => "value",
            Self::Missing => "missing",
            Self::Truncated => "truncated",
            Self::Duplicate => "duplicate",
            Self::Unrecognized => "unrecognized",
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let defect = match self.defect {
            Defect::Flags => "its Optional or Transitive flag is wrong",
            Defect::Length => "it cannot have this length",
            Defect::Value => "what it says cannot be",
            Defect::Missing => "it is missing",
            Defect::Truncated => "the path attributes end within it",
            Defect::Duplicate => "it is there twice",
            Defect::Unrecognized => "it is well-known, and not to this speaker",
        };
        write!(f, "path attribute {}: {defect}", self.attribute)
    }
}
