//! Exact decimal arithmetic, so that 0.1 and 0.2 make 0.3.

use num_bigint::BigInt;

/// A number of decimal digits: `value * 10^exponent`.
#[derive(Clone)]
pub(super) struct Decimal {
    value: BigInt,
    exponent: i32,
}

/// Digits behind the point that a division computes.
const DIVISION_PRECISION: i32 = 16;

impl Decimal {
    /// The number that the float prints as; nothing for NaN and infinities.
    pub(super) fn from_float(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e')?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let value: BigInt = format!("{whole}{fraction}").parse().ok()?;
        Some(Self { value, exponent: exponent.parse::<i32>().ok()? - fraction.len() as i32 })
    }

    fn scaled(&self, exponent: i32) -> BigInt {
        &self.value * power(self.exponent - exponent)
    }

    fn aligned(&self, other: &Self) -> (BigInt, BigInt, i32) {
        let exponent = self.exponent.min(other.exponent);
        (self.scaled(exponent), other.scaled(exponent), exponent)
    }

    pub(super) fn add(&self, other: &Self) -> Self {
        let (left, right, exponent) = self.aligned(other);
        Self { value: left + right, exponent }
    }

    pub(super) fn subtract(&self, other: &Self) -> Self {
        let (left, right, exponent) = self.aligned(other);
        Self { value: left - right, exponent }
    }

    pub(super) fn multiply(&self, other: &Self) -> Self {
        Self { value: &self.value * &other.value, exponent: self.exponent + other.exponent }
    }

    /// Rounded half away from zero; nothing if the divisor is 0.
    pub(super) fn divide(&self, other: &Self) -> Option<Self> {
        let zero = BigInt::from(0);
        if other.value == zero {
            return None;
        }
        // self / other in units of 10^-16.
        let shift = self.exponent - other.exponent + DIVISION_PRECISION;
        let (mut dividend, mut divisor) = (self.value.clone(), other.value.clone());
        if shift >= 0 {
            dividend *= power(shift);
        } else {
            divisor *= power(-shift);
        }
        let quotient = &dividend / &divisor;
        let rest: BigInt = &dividend - &quotient * &divisor;
        let twice = magnitude(&rest) * 2;
        let negative = (dividend < zero) != (divisor < zero);
        let value =
            if twice >= magnitude(&divisor) { quotient + if negative { -1 } else { 1 } } else { quotient };
        Some(Self { value, exponent: -DIVISION_PRECISION })
    }

    pub(super) fn to_float(&self) -> f64 {
        format!("{}e{}", self.value, self.exponent).parse().unwrap_or(f64::NAN)
    }
}

fn magnitude(value: &BigInt) -> BigInt {
    if *value < BigInt::from(0) { -value } else { value.clone() }
}

/// Floats keep exponents within some hundreds, and a chain multiplies few of them.
fn power(exponent: i32) -> BigInt {
    const LARGEST: u32 = 100_000;
    BigInt::from(10).pow(u32::try_from(exponent).unwrap_or(0).min(LARGEST))
}
