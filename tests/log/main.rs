//! The log seen from outside: what others can check of it.

mod proofs;
