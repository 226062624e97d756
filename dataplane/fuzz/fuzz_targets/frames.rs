//! Bytes that an enemy at the other end of a tunnel may send.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| extconn_dataplane::hostile::feed(input));
