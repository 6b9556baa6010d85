//! Owns one container: its machine, guest channel, stdio, log and exit code
