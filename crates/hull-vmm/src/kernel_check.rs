//! Refuses kernels that cannot boot a guest, with the reason.
