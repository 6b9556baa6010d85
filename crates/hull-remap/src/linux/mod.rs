mod advice;
mod environment;
mod memory;

#[cfg(target_arch = "x86_64")]
mod fork;
#[cfg(target_arch = "x86_64")]
mod poll;
