//! The order of keys in go-yaml: letters by code point, digits as numbers.

use std::cmp::Ordering;

/// Whether `left` comes before `right`.
pub fn natural_less(left: &str, right: &str) -> bool {
    let common = left.bytes().zip(right.bytes()).take_while(|(a, b)| a == b).count();
    // The usual case: the first difference is between ASCII letters.
    if let (Some(a), Some(b)) = (left.as_bytes().get(common), right.as_bytes().get(common))
        && a.is_ascii_alphabetic()
        && b.is_ascii_alphabetic()
    {
        return a < b;
    }
    let a: Vec<char> = left.chars().collect();
    let b: Vec<char> = right.chars().collect();
    let at = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let (Some(&first_a), Some(&first_b)) = (a.get(at), b.get(at)) else { return a.len() < b.len() };
    let (letter_a, letter_b) = (first_a.is_alphabetic(), first_b.is_alphabetic());
    if letter_a && letter_b {
        return first_a < first_b;
    }
    if letter_a || letter_b {
        return letter_b;
    }
    let mut leading = 0_i64;
    if first_a == '0' || first_b == '0' {
        let digits = a[..at].iter().rev().take_while(|digit| digit.is_ascii_digit());
        leading = i64::from(digits.into_iter().any(|digit| *digit != '0'));
    }
    let (number_a, end_a) = digits_from(&a, at, leading);
    let (number_b, end_b) = digits_from(&b, at, leading);
    if number_a != number_b {
        return number_a < number_b;
    }
    if end_a != end_b {
        return end_a < end_b;
    }
    first_a < first_b
}

fn digits_from(text: &[char], from: usize, leading: i64) -> (i64, usize) {
    let mut number = leading;
    let mut at = from;
    while let Some(digit) = text.get(at).and_then(|digit| digit.to_digit(10)) {
        number = number.wrapping_mul(10).wrapping_add(i64::from(digit));
        at += 1;
    }
    (number, at)
}

/// Sorts entries by key. The relation is not transitive for odd keys, so no library sort is used.
pub fn sort_natural<T>(entries: &mut [(&str, T)]) {
    let sorted = entries.windows(2).all(|pair| natural_less(pair[0].0, pair[1].0));
    if sorted {
        return;
    }
    // Byte order first: it makes the outcome independent of the given order.
    entries.sort_by_key(|(key, _)| *key);
    if entries.len() <= 64 {
        for end in 1..entries.len() {
            let mut at = end;
            while at > 0 && natural_less(entries[at].0, entries[at - 1].0) {
                entries.swap(at, at - 1);
                at -= 1;
            }
        }
        return;
    }
    merge_sort(entries);
}

fn merge_sort<T>(entries: &mut [(&str, T)]) {
    // Bottom up over indexes, then one pass of swaps into place.
    let mut order: Vec<usize> = (0..entries.len()).collect();
    let mut width = 1;
    while width < order.len() {
        let mut next = Vec::with_capacity(order.len());
        for block in order.chunks(2 * width) {
            let (mut left, mut right) = block.split_at(width.min(block.len()));
            while let (Some(&a), Some(&b)) = (left.first(), right.first()) {
                if natural_less(entries[b].0, entries[a].0) {
                    next.push(b);
                    right = &right[1..];
                } else {
                    next.push(a);
                    left = &left[1..];
                }
            }
            next.extend_from_slice(left);
            next.extend_from_slice(right);
        }
        order = next;
        width *= 2;
    }
    for at in 0..order.len() {
        let mut from = order[at];
        while from < at {
            from = order[from];
        }
        entries.swap(at, from);
    }
}

/// The same relation as an [`Ordering`], for sorts that tolerate it.
pub fn natural_cmp(left: &str, right: &str) -> Ordering {
    if left == right {
        Ordering::Equal
    } else if natural_less(left, right) {
        Ordering::Less
    } else {
        Ordering::Greater
    }
}
