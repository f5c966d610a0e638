//! Large random primes, for keys.

use std::sync::LazyLock;

use num_bigint_dig::BigUint;
use num_bigint_dig::prime::{probably_prime, probably_prime_miller_rabin};
use rsa::rand_core::RngCore;

/// A candidate with a divisor below this is dropped before the costly test; that are nine of ten.
const SIEVED_BELOW: u64 = 1 << 15;
/// How many odd numbers are looked at from one random start. Four times what is needed on average for 2048 bits.
const WINDOW: usize = 1 << 12;
/// Rounds of Miller-Rabin besides those with base 2 and of Lucas: what FIPS 186 asks of 1024 bits, the smallest in use.
const ROUNDS: usize = 5;

/// The odd primes of the sieve. Four of them multiply to less than 64 bits.
static SMALL: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let mut found: Vec<u64> = Vec::new();
    for number in (3..SIEVED_BELOW).step_by(2) {
        if found.iter().take_while(|&&prime| prime * prime <= number).all(|prime| number % prime != 0) {
            found.push(number);
        }
    }
    found
});

/// A prime of exactly so many bits (a multiple of eight, at least 64), whose two highest bits are set: the product of
/// two has twice as many bits.
pub(super) fn prime(random: &mut impl RngCore, bits: usize) -> BigUint {
    let mut bytes = vec![0; bits / 8];
    loop {
        random.fill_bytes(&mut bytes);
        bytes[0] |= 0xc0;
        bytes[bits / 8 - 1] |= 1;
        let start = BigUint::from_bytes_be(&bytes);
        let found = candidates(&start).find(|candidate| {
            probably_prime_miller_rabin(candidate, 1, true) && probably_prime(candidate, ROUNDS)
        });
        if let Some(prime) = found.filter(|prime| prime.bits() == bits) {
            return prime;
        }
    }
}

/// The numbers of the window from this odd one on that no small prime divides.
fn candidates(start: &BigUint) -> impl Iterator<Item = BigUint> {
    let mut divided = vec![false; WINDOW];
    for group in SMALL.chunks(4) {
        let product: u64 = group.iter().product();
        let rest =
            (start % product).to_bytes_le().iter().rev().fold(0, |rest, &byte| rest << 8 | u64::from(byte));
        for &prime in group {
            // The first i with start + 2·i divided by the prime: -start halved modulo the prime.
            let first = (prime - rest % prime) % prime * prime.div_ceil(2) % prime;
            for at in (first as usize..WINDOW).step_by(prime as usize) {
                divided[at] = true;
            }
        }
    }
    (0..WINDOW as u64).zip(divided).filter(|(_, divided)| !divided).map(move |(at, _)| start + 2 * at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers that a seed gives.
    struct Seeded(fastrand::Rng);

    impl RngCore for Seeded {
        fn next_u32(&mut self) -> u32 {
            self.0.u32(..)
        }

        fn next_u64(&mut self) -> u64 {
            self.0.u64(..)
        }

        fn fill_bytes(&mut self, buffer: &mut [u8]) {
            self.0.fill(buffer);
        }

        fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
            self.0.fill(buffer);
            Ok(())
        }
    }

    #[test]
    fn primes_are_prime_and_two_of_them_multiply_to_twice_their_bits() {
        let mut random = Seeded(fastrand::Rng::with_seed(7));
        for bits in [64, 256, 512] {
            let (p, q) = (prime(&mut random, bits), prime(&mut random, bits));
            assert!(probably_prime(&p, 20) && probably_prime(&q, 20), "{p} {q}");
            assert_ne!(p, q);
            assert_eq!((p * q).bits(), 2 * bits);
        }
    }

    #[test]
    fn what_the_sieve_leaves_has_no_small_divisor_and_what_it_drops_has_one() {
        let start = BigUint::from(1_000_000_000_000_000_000_003_u128);
        let left: Vec<_> = candidates(&start).collect();
        for at in 0..WINDOW as u64 {
            let number = &start + 2 * at;
            let divided = SMALL.iter().any(|prime| &number % *prime == BigUint::from(0_u8));
            assert_eq!(left.contains(&number), !divided, "{number}");
        }
    }
}
