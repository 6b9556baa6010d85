//! Docker's default seccomp profile, and a compiler from OCI seccomp to classic BPF
