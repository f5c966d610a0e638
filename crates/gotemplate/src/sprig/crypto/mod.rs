//! Passwords, keys, certificates.

mod aes;
mod certificate;
mod der;
mod keys;
mod password;
mod pem;
mod primes;

use rsa::rand_core;

use crate::exec::Ctx;
use crate::func::Func;

pub(super) static TABLES: [&[Func]; 4] = [password::FUNCS, aes::FUNCS, keys::FUNCS, certificate::FUNCS];

/// What one expensive call counts, so that the time limit is looked at each time.
const EXPENSIVE: u64 = 4096;

/// The host's randomness as key generators take it.
struct HostRandom<'c, 'a> {
    ctx: &'c mut Ctx<'a>,
    /// What went wrong, if something did: the numbers are worthless then.
    error: Option<String>,
    counter: u64,
}

impl<'c, 'a> HostRandom<'c, 'a> {
    fn new(ctx: &'c mut Ctx<'a>) -> Self {
        Self { ctx, error: None, counter: 1 }
    }

    /// The result, unless randomness failed.
    fn finish<T>(self, result: T) -> Result<T, String> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(result),
        }
    }
}

impl rand_core::RngCore for HostRandom<'_, '_> {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, buffer: &mut [u8]) {
        if let Err(error) = self.ctx.host().random(buffer) {
            // Generators that look for primes would wait for better numbers for ever: give them some.
            for byte in buffer.iter_mut() {
                self.counter = self.counter.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                *byte = (self.counter >> 56) as u8;
            }
            self.error = Some(error);
        }
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(buffer);
        Ok(())
    }
}

impl rand_core::CryptoRng for HostRandom<'_, '_> {}
