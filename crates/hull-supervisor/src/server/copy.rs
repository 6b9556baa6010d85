//! Files into and out of the container.

use hull_guest::Output;
use hull_protocol::{Kind, Part, Request};

use crate::control::{Answer, Answered, CopyIn};
use crate::wire::{write_frame, write_json};

use super::connection::Client;
use super::context::{Context, failure};

/// Extracts the archive that the client sends.
pub(super) async fn copy_in(context: &Context, mut client: Client, wanted: CopyIn) {
    let (guest, _transfer) = match context.guest_for_transfer() {
        Ok(guest) => guest,
        Err(failure) => return client.answer(Err(failure)).await,
    };
    client.answer(Ok(Answered::Done)).await;
    let mut input = guest.input();
    let extracted = guest.send(&Request::CopyIn {
        container: context.launch.container.clone(),
        path: wanted.path,
        stream: input.id(),
        no_overwrite_dir_non_dir: wanted.no_overwrite_dir_non_dir,
        owner: wanted.owner,
    });
    let extracted = extracted.done();
    tokio::pin!(extracted);
    let feed = async {
        loop {
            match client.reader.next().await {
                Ok(Some(frame)) if frame.kind == Kind::Data => {
                    // If the guest reads no more, its answer tells why, or that it has enough.
                    if input.write(&frame.payload).await.is_err() {
                        return true;
                    }
                }
                Ok(Some(frame)) if frame.kind == Kind::Eof => return true,
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return false,
            }
        }
    };
    let outcome = tokio::select! {
        biased;
        outcome = &mut extracted => outcome,
        whole = feed => {
            input.eof();
            if !whole {
                // The guest takes what it has for a truncated archive.
                let _ = extracted.await;
                return;
            }
            extracted.await
        }
    };
    let answer = outcome.map(|()| Answered::Done).map_err(failure);
    client.answer(answer).await;
}

/// Sends a part of the container's files.
pub(super) async fn copy_out(context: &Context, mut client: Client, part: Part) {
    let (guest, _transfer) = match context.guest_for_transfer() {
        Ok(guest) => guest,
        Err(failure) => return client.answer(Err(failure)).await,
    };
    let mut outputs = guest.outputs(1);
    let sent = guest.send(&Request::CopyOut {
        container: context.launch.container.clone(),
        part,
        stream: outputs.id(0),
    });
    let sent = sent.done();
    tokio::pin!(sent);
    // What fails at once is answered as a failure; what fails later ends the archive.
    let mut outcome = None;
    let mut first = None;
    tokio::select! {
        biased;
        piece = outputs.next() => first = Some(piece),
        done = &mut sent => outcome = Some(done),
    }
    match outcome {
        Some(Err(error)) => return client.answer(Err(failure(error))).await,
        _ => client.answer(Ok(Answered::Done)).await,
    }
    loop {
        let piece = match first.take() {
            Some(piece) => piece,
            None => outputs.next().await,
        };
        match piece {
            Ok(Some(Output::Data { bytes, .. })) => {
                if write_frame(&mut client.writer, Kind::Data, 1, &bytes).await.is_err() {
                    return;
                }
            }
            Ok(Some(Output::Eof { .. })) => {}
            Ok(None) | Err(_) => break,
        }
    }
    let outcome = match outcome {
        Some(outcome) => outcome,
        None => sent.await,
    };
    let answer = match outcome {
        Ok(()) => Answer::Ok(Answered::Done),
        Err(error) => Answer::Error(failure(error)),
    };
    let _ = write_json(&mut client.writer, Kind::Event, &answer).await;
}
