//! Changes of an input.

use fastrand::Rng;

/// Inputs do not grow beyond this.
const LARGEST: usize = 64 << 10;

/// Changes the input in one place.
pub(crate) fn once(rng: &mut Rng, bytes: &mut Vec<u8>, others: &[Vec<u8>], words: &[&str]) {
    let at = rng.usize(..=bytes.len());
    let span = rng.usize(..=(bytes.len() - at).min(40));
    match rng.u8(..10) {
        0 => drop(bytes.drain(at..at + span)),
        1 => {
            let part = bytes[at..at + span].to_vec();
            for _ in 0..rng.usize(1..=30) {
                insert(bytes, at, &part);
            }
        }
        2 if at < bytes.len() => bytes[at] ^= 1 << rng.u8(..8),
        3 if at < bytes.len() => bytes[at] = rng.u8(..),
        4 => {
            let other = &others[rng.usize(..others.len())];
            let from = rng.usize(..=other.len());
            let to = from + rng.usize(..=(other.len() - from).min(200));
            insert(bytes, at, &other[from..to]);
        }
        5 => bytes.truncate(at),
        6 => {
            let part: Vec<u8> = bytes.drain(at..at + span).collect();
            let to = rng.usize(..=bytes.len());
            insert(bytes, to, &part);
        }
        _ => {
            let word = words[rng.usize(..words.len())];
            insert(bytes, at, word.as_bytes());
        }
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, part: &[u8]) {
    if bytes.len() + part.len() <= LARGEST {
        bytes.splice(at..at, part.iter().copied());
    }
}
