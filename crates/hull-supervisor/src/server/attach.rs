//! Attached clients.

use std::sync::Arc;

use hull_protocol::Kind;
use tokio::io::AsyncWrite;
use tokio::sync::Mutex;

use crate::control::{Answered, Attach};
use crate::wire::{write_frame, write_json};

use super::connection::Client;
use super::context::Context;
use super::hub::{Item, Mailbox};

/// Serves an attached client until it leaves or the process has ended.
pub(super) async fn attach(context: Arc<Context>, mut client: Client, wants: Attach) {
    let mailbox = context.hub.attach(wants);
    client.answer(Ok(Answered::Done)).await;
    let Client { mut reader, writer } = client;
    let writer = Arc::new(Mutex::new(writer));

    let outgoing = tokio::task::spawn_local(send(mailbox.clone(), writer.clone()));
    let incoming = async {
        let mut reads = true;
        loop {
            match reader.next().await {
                Ok(Some(frame)) if frame.kind == Kind::Data => {
                    if wants.stdin && reads && !context.stdin.write(&frame.payload).await {
                        reads = false;
                        let _ = write_frame(&mut *writer.lock().await, Kind::Reset, 0, &[]).await;
                    }
                }
                // As moby's `container/stream/attach.go`: the end of a client's input is the end
                // of the process's only if `StdinOnce` says so; otherwise the client detaches.
                Ok(Some(frame)) if frame.kind == Kind::Eof => {
                    if wants.stdin && closes_stdin(&context) {
                        context.stdin.close().await;
                    } else {
                        return;
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return,
            }
        }
    };
    let mut outgoing = outgoing;
    let ended = tokio::select! {
        () = incoming => false,
        _ = &mut outgoing => true,
    };
    mailbox.close();
    if !ended {
        outgoing.abort();
        if wants.stdin && closes_stdin(&context) {
            context.stdin.close().await;
        }
    }
}

/// Whether stdin ends with the first client that was attached to it.
fn closes_stdin(context: &Context) -> bool {
    let stdio = &context.launch.stdio;
    stdio.stdin_once && !stdio.tty
}

async fn send<W: AsyncWrite + Unpin>(mailbox: Arc<Mailbox>, writer: Arc<Mutex<W>>) {
    loop {
        let item = mailbox.next().await;
        let writer = &mut *writer.lock().await;
        match item {
            Item::Data(channel, bytes) => {
                if write_frame(writer, Kind::Data, channel.number(), &bytes).await.is_err() {
                    return mailbox.close();
                }
            }
            Item::Exit(exit) => {
                let _ = write_json(writer, Kind::Event, &exit).await;
                return;
            }
        }
    }
}
