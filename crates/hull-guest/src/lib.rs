//! The host's end of the guest channel: requests, events, byte streams
