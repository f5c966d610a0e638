//! Integers with their Go kind.

use std::fmt;

/// Which Go integer type a value has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IntKind {
    /// `int`
    Int,
    /// `int8`
    Int8,
    /// `int16`
    Int16,
    /// `int32`
    Int32,
    /// `int64`
    Int64,
    /// `uint`
    Uint,
    /// `uint8`
    Uint8,
    /// `uint16`
    Uint16,
    /// `uint32`
    Uint32,
    /// `uint64`
    Uint64,
    /// `time.Duration`
    Duration,
    /// `time.Month`
    Month,
    /// `time.Weekday`
    Weekday,
}

impl IntKind {
    /// The type's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Duration => "time.Duration",
            Self::Month => "time.Month",
            Self::Weekday => "time.Weekday",
            _ => self.underlying(),
        }
    }

    /// The name of the kind below a named type.
    pub const fn underlying(self) -> &'static str {
        match self {
            Self::Int | Self::Month | Self::Weekday => "int",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 | Self::Duration => "int64",
            Self::Uint => "uint",
            Self::Uint8 => "uint8",
            Self::Uint16 => "uint16",
            Self::Uint32 => "uint32",
            Self::Uint64 => "uint64",
        }
    }

    /// Whether values are read without a sign.
    pub const fn is_unsigned(self) -> bool {
        matches!(self, Self::Uint | Self::Uint8 | Self::Uint16 | Self::Uint32 | Self::Uint64)
    }
}

/// An integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Int {
    kind: IntKind,
    bits: i64,
}

impl Int {
    /// Makes an integer; an unsigned one from its bits.
    pub const fn new(kind: IntKind, bits: i64) -> Self {
        Self { kind, bits }
    }

    /// The Go type.
    pub const fn kind(self) -> IntKind {
        self.kind
    }

    /// The value as an `int64` conversion gives it.
    pub const fn signed(self) -> i64 {
        self.bits
    }

    /// The value as a `uint64` conversion gives it.
    pub const fn unsigned(self) -> u64 {
        self.bits as u64
    }

    /// The exact value.
    pub const fn wide(self) -> i128 {
        if self.kind.is_unsigned() { self.bits as u64 as i128 } else { self.bits as i128 }
    }

    /// Whether it is 0.
    pub const fn is_zero(self) -> bool {
        self.bits == 0
    }

    /// The value as a `float64` conversion gives it.
    pub const fn float(self) -> f64 {
        if self.kind.is_unsigned() { self.bits as u64 as f64 } else { self.bits as f64 }
    }
}

impl fmt::Display for Int {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.wide().fmt(f)
    }
}
