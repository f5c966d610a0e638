//! Shamir's way to share a secret: each byte is a point of a polynomial over the field of 256 elements that AES uses.

/// Puts a secret together from its parts. The last byte of a part is its place on the axis.
pub(super) fn combine(parts: &[Vec<u8>]) -> Result<Vec<u8>, &'static str> {
    let [first, rest @ ..] = parts else {
        return Err("less than two parts cannot be used to reconstruct the secret");
    };
    if rest.is_empty() {
        return Err("less than two parts cannot be used to reconstruct the secret");
    }
    if first.len() < 2 {
        return Err("parts must be at least two bytes");
    }
    if rest.iter().any(|part| part.len() != first.len()) {
        return Err("all parts must be the same length");
    }
    let length = first.len() - 1;
    let places: Vec<u8> = parts.iter().map(|part| part[length]).collect();
    if places.iter().enumerate().any(|(index, place)| places[..index].contains(place)) {
        return Err("duplicate part detected");
    }
    let weights: Vec<u8> = places.iter().map(|place| weight(*place, &places)).collect();
    let byte = |index: usize| {
        parts.iter().zip(&weights).fold(0, |sum, (part, weight)| sum ^ multiply(part[index], *weight))
    };
    Ok((0..length).map(byte).collect())
}

/// How much the value at a place counts for the value at zero (Lagrange).
fn weight(place: u8, places: &[u8]) -> u8 {
    places
        .iter()
        .filter(|other| **other != place)
        .fold(1, |product, other| multiply(product, multiply(*other, inverse(place ^ *other))))
}

/// The product modulo x^8 + x^4 + x^3 + x + 1, in a time that does not depend on the factors.
fn multiply(a: u8, b: u8) -> u8 {
    (0..8).rev().fold(0_u8, |sum, bit| {
        let doubled = (sum << 1) ^ ((sum >> 7).wrapping_neg() & 0x1b);
        doubled ^ (((b >> bit) & 1).wrapping_neg() & a)
    })
}

/// The 254th power: the field without zero has 255 elements.
fn inverse(a: u8) -> u8 {
    (0..253).fold(a, |power, _| multiply(power, a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_has_its_inverse() {
        for a in 1..=255 {
            assert_eq!(multiply(a, inverse(a)), 1);
        }
    }

    #[test]
    fn points_of_a_line_meet_the_axis_at_the_secret() {
        // The line 0x2a + 7x, taken at 1, 9 and 200.
        let part = |x: u8| vec![0x2a ^ multiply(7, x), x];
        for parts in [vec![part(1), part(9)], vec![part(200), part(1)], vec![part(9), part(1), part(200)]] {
            assert_eq!(combine(&parts), Ok(vec![0x2a]));
        }
        assert_eq!(combine(&[part(1), part(1)]), Err("duplicate part detected"));
        assert!(combine(&[part(1)]).is_err() && combine(&[]).is_err());
    }
}
