//! Decrypts files that SOPS encrypted.
