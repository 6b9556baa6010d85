//! What the kernel says of a container's memory.

use hull_protocol::Event;

use crate::agent::Agent;

impl Agent {
    /// Tells the host if the container with `key` has lost a process to its memory limit.
    pub(crate) fn memory_event(&mut self, key: u32) {
        let found = self.containers.iter_mut().find(|(_, c)| c.key == key);
        let Some((name, container)) = found else {
            return;
        };
        let name = name.clone();
        // Reading re-arms the notification.
        let kills = container.read_oom_kills();
        let before = std::mem::replace(&mut container.oom_kills, kills);
        if kills > before {
            self.event(&Event::OutOfMemory { container: name });
        }
    }
}
