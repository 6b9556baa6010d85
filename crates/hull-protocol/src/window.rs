//! Credit windows: how much a sender may have on its way, per byte stream and direction.

/// Bytes that a sender may send on a new stream before the first credit arrives.
pub const INITIAL_WINDOW: u32 = 256 << 10;

/// The sender's side of a window.
#[derive(Debug)]
pub struct SendWindow {
    available: u32,
}

impl Default for SendWindow {
    fn default() -> Self {
        Self { available: INITIAL_WINDOW }
    }
}

impl SendWindow {
    /// Takes up to `wanted` bytes of credit and returns how many may be sent now.
    pub fn take(&mut self, wanted: usize) -> usize {
        let granted = wanted.min(self.available as usize);
        self.available -= granted as u32;
        granted
    }

    /// Returns how many bytes may be sent now.
    pub fn available(&self) -> usize {
        self.available as usize
    }

    /// Adds credit that the receiver granted.
    pub fn grant(&mut self, bytes: u32) {
        self.available = self.available.saturating_add(bytes);
    }
}

/// The receiver's side of a window: collects what was consumed and says when to grant it back.
#[derive(Debug, Default)]
pub struct RecvWindow {
    consumed: u32,
}

impl RecvWindow {
    /// Notes `bytes` as consumed; returns the credit to send now, if it is worth a frame.
    pub fn consume(&mut self, bytes: usize) -> Option<u32> {
        self.consumed = self.consumed.saturating_add(bytes as u32);
        if self.consumed < INITIAL_WINDOW / 4 {
            return None;
        }
        Some(std::mem::take(&mut self.consumed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_never_exceeds_its_credit() {
        let mut window = SendWindow::default();
        assert_eq!(window.take(usize::MAX), INITIAL_WINDOW as usize);
        assert_eq!(window.take(1), 0);
        window.grant(10);
        assert_eq!(window.take(25), 10);
    }

    #[test]
    fn all_that_is_consumed_is_granted_back() {
        let mut window = RecvWindow::default();
        let granted: u32 = (0..INITIAL_WINDOW).filter_map(|_| window.consume(1)).sum();
        assert_eq!(granted, INITIAL_WINDOW);
    }
}
