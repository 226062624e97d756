//! What /proc knows: processor time, memory, and what else the machine did.

pub mod cpu;
pub mod machine;
pub mod memory;
pub mod noise;
