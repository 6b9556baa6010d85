//! The guest agent: process 1 of every virtual machine.
//!
//! It does what the host asks for over one channel (see `hull-protocol`): makes containers, runs
//! processes in them, carries their streams, and ends the machine. One thread, one epoll loop; all
//! that may block or that touches what a container controls happens in forked children.
//!
//! The same program is the small init of `--init`, bind-mounted into the container, and the program
//! of the container that is run for practice in a machine that waits.

#![deny(unsafe_code)]

mod agent;
mod archive;
mod channel;
mod child;
mod clone;
mod connections;
mod console;
mod container;
mod disks;
mod failure;
mod identity;
mod init;
mod interfaces;
mod kernel_log;
mod memory;
mod poller;
mod prepare;
mod rehearsal;
mod reports;
mod requests;
mod setup;
mod share;
mod shutdown;
mod sockets;
mod stats;
mod streams;
#[allow(unsafe_code)]
mod sys;
mod tasks;
mod trial;

use std::process::ExitCode;

use crate::agent::Agent;
use crate::channel::Port;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_default();
    if name.as_encoded_bytes().ends_with(b"docker-init") {
        return init::run(args.collect());
    }
    if rustix::process::getpid() != rustix::process::Pid::INIT {
        console::say("this is the agent of a Hull guest; it only runs as its process 1");
        return ExitCode::FAILURE;
    }
    std::panic::set_hook(Box::new(|info| {
        console::say(&format!("fatal: {info}"));
        shutdown::end_machine();
    }));
    match run() {
        Ok(never) => match never {},
        Err(errno) => {
            console::say(&format!("fatal: {errno}"));
            shutdown::end_machine()
        }
    }
}

fn run() -> rustix::io::Result<std::convert::Infallible> {
    let started = console::uptime_us();
    setup::early()?;
    console::phase_at("started", started);
    console::phase("file systems mounted");
    let port = Port::open()?;
    console::phase("channel open");
    Agent::new(Box::new(port))?.run()
}
