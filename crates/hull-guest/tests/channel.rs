//! The channel against a fake guest at the other end of a pipe.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::time::Duration;

use hull_guest::{Closed, ConnectError, Guest, InputError, Output, RequestError};
use hull_protocol::frame::MAX_DATA;
use hull_protocol::{
    Decoder, Event, ExitStatus, Frame, Hello, INITIAL_WINDOW, Kind, RecvWindow, Reply, Request,
    Response, SendWindow, Target, VERSION,
};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(5);

/// The guest's end: sends and receives frames as a test tells it.
struct FakeGuest {
    stream: DuplexStream,
    decoder: Decoder,
}

impl FakeGuest {
    async fn send(&mut self, frame: Frame) {
        let mut wire = Vec::new();
        frame.encode(&mut wire);
        self.stream.write_all(&wire).await.unwrap();
    }

    async fn receive(&mut self) -> Option<Frame> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                return Some(frame);
            }
            match self.stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(read) => self.decoder.extend(&buffer[..read]),
            }
        }
    }

    async fn expect(&mut self, kind: Kind) -> Frame {
        let frame = timeout(SOON, self.receive()).await.unwrap().unwrap();
        assert_eq!(frame.kind, kind);
        frame
    }

    async fn hello(&mut self, version: u32) {
        self.expect(Kind::Hello).await;
        let hello = Hello {
            version,
            software: "fake".into(),
            kernel: Some("6.12".into()),
            uptime_us: Some(42),
        };
        let payload = serde_json::to_vec(&hello).unwrap();
        self.send(Frame::new(Kind::Hello, 0, payload)).await;
    }

    async fn reply(&mut self, number: u32, reply: Reply) {
        let payload = serde_json::to_vec(&Response::Ok(reply)).unwrap();
        self.send(Frame::new(Kind::Response, number, payload)).await;
    }
}

fn pair() -> (DuplexStream, FakeGuest) {
    let (ours, stream) = duplex(8192);
    let decoder = Decoder::default();
    (ours, FakeGuest { stream, decoder })
}

async fn connected() -> (Guest, hull_guest::Events, FakeGuest) {
    let (ours, mut fake) = pair();
    let (connected, ()) = tokio::join!(Guest::connect(ours, "test", SOON), fake.hello(VERSION));
    let (guest, events, hello) = connected.unwrap();
    assert_eq!(hello.uptime_us, Some(42));
    (guest, events, fake)
}

#[tokio::test]
async fn a_guest_of_another_version_is_refused() {
    let (ours, mut fake) = pair();
    let (connected, ()) = tokio::join!(Guest::connect(ours, "test", SOON), fake.hello(VERSION + 1));
    assert!(matches!(
        connected.unwrap_err(),
        ConnectError::Version { guest } if guest == VERSION + 1
    ));
}

#[tokio::test(start_paused = true)]
async fn a_silent_guest_is_given_up() {
    let (ours, _fake) = pair();
    let error = Guest::connect(ours, "test", SOON).await.unwrap_err();
    assert_eq!(error.to_string(), "the guest agent did not answer within 5s");
}

#[tokio::test]
async fn garbage_instead_of_hello_is_refused() {
    let (ours, mut fake) = pair();
    fake.stream.write_all(b"Kernel panic - not syncing").await.unwrap();
    let error = Guest::connect(ours, "test", SOON).await.unwrap_err();
    assert!(matches!(error, ConnectError::Closed(Closed::Violation(_))), "{error}");
}

#[tokio::test]
async fn responses_may_come_in_any_order() {
    let (guest, _events, mut fake) = connected().await;
    let one = guest.send(&Request::Sync);
    let two = guest.send(&Request::Shutdown);
    let first = fake.expect(Kind::Request).await;
    let second = fake.expect(Kind::Request).await;
    assert_eq!(first.payload, b"\"sync\"");
    fake.reply(second.stream, Reply::Started { pid: 2 }).await;
    fake.reply(first.stream, Reply::Done).await;
    assert!(matches!(two.reply().await, Ok(Reply::Started { pid: 2 })));
    one.done().await.unwrap();
}

#[tokio::test]
async fn an_answer_to_a_request_that_was_given_up_is_ignored() {
    let (guest, _events, mut fake) = connected().await;
    drop(guest.send(&Request::Sync));
    let given_up = fake.expect(Kind::Request).await;
    fake.reply(given_up.stream, Reply::Done).await;
    fake.reply(given_up.stream, Reply::Done).await;
    let next = guest.send(&Request::Sync);
    let frame = fake.expect(Kind::Request).await;
    fake.reply(frame.stream, Reply::Done).await;
    next.done().await.unwrap();
}

#[tokio::test]
async fn events_arrive_in_order_and_a_flood_closes_the_channel() {
    let (guest, mut events, mut fake) = connected().await;
    let event = Event::Exited {
        target: Target { container: "c".into(), exec: None },
        status: ExitStatus::Signal(9),
        oom_killed: true,
    };
    let payload = serde_json::to_vec(&event).unwrap();
    fake.send(Frame::new(Kind::Event, 0, payload.clone())).await;
    assert_eq!(events.next().await, Some(event));
    let frame = Frame::new(Kind::Event, 0, payload);
    let mut wire = Vec::new();
    frame.encode(&mut wire);
    while fake.stream.write_all(&wire).await.is_ok() {
        tokio::task::yield_now().await;
        if timeout(Duration::ZERO, guest.closed()).await.is_ok() {
            break;
        }
    }
    let reason = timeout(SOON, guest.closed()).await.unwrap();
    assert!(reason.to_string().contains("too many events"), "{reason}");
}

#[tokio::test]
async fn whatever_waits_learns_why_the_channel_closed() {
    let (guest, mut events, mut fake) = connected().await;
    let pending = guest.send(&Request::Sync);
    let mut outputs = guest.outputs(1);
    let mut input = guest.input();
    fake.expect(Kind::Request).await;
    fake.send(Frame::new(Kind::Data, outputs.id(0), *b"last words")).await;
    fake.stream.write_all(&[0xff; 64]).await.unwrap();
    assert!(matches!(pending.reply().await, Err(RequestError::Closed(Closed::Violation(_)))));
    assert_eq!(
        outputs.next().await.unwrap(),
        Some(Output::Data { stream: 0, bytes: "last words".into() })
    );
    assert!(outputs.next().await.is_err());
    assert!(matches!(input.write(b"x").await, Err(InputError::Closed(_))));
    assert_eq!(events.next().await, None);
    assert!(guest.request(&Request::Sync).await.is_err());
    assert!(guest.outputs(1).next().await.is_err());
}

#[tokio::test]
async fn data_beyond_the_window_closes_the_channel() {
    let (guest, _events, mut fake) = connected().await;
    let outputs = guest.outputs(1);
    let mut sent = 0;
    while sent <= INITIAL_WINDOW as usize {
        fake.send(Frame::new(Kind::Data, outputs.id(0), vec![0; MAX_DATA])).await;
        sent += MAX_DATA;
    }
    let reason = timeout(SOON, guest.closed()).await.unwrap();
    assert!(reason.to_string().contains("window"), "{reason}");
}

#[tokio::test]
async fn a_stream_that_nobody_reads_holds_up_no_other() {
    let (guest, _events, mut fake) = connected().await;
    let unread = guest.outputs(1);
    let mut read = guest.outputs(1);
    for _ in 0..INITIAL_WINDOW as usize / MAX_DATA {
        fake.send(Frame::new(Kind::Data, unread.id(0), vec![0; MAX_DATA])).await;
    }
    fake.send(Frame::new(Kind::Data, read.id(0), *b"here")).await;
    fake.send(Frame::new(Kind::Eof, read.id(0), [])).await;
    let next = timeout(SOON, read.next()).await.unwrap().unwrap();
    assert!(matches!(next, Some(Output::Data { .. })));
    assert_eq!(read.next().await.unwrap(), Some(Output::Eof { stream: 0 }));
    assert_eq!(read.next().await.unwrap(), None);
    drop(unread);
    fake.expect(Kind::Reset).await;
}

#[tokio::test]
async fn an_input_that_the_guest_does_not_read_holds_up_no_request() {
    let (guest, _events, mut fake) = connected().await;
    let mut input = guest.input();
    let stuck = tokio::spawn(async move { input.write(&vec![7; 1 << 20]).await });
    let mut received = 0;
    while received < INITIAL_WINDOW as usize {
        received += fake.expect(Kind::Data).await.payload.len();
    }
    assert_eq!(received, INITIAL_WINDOW as usize);
    let pending = guest.send(&Request::Sync);
    let mut other = guest.input();
    other.write(b"other").await.unwrap();
    other.eof();
    let request = fake.expect(Kind::Request).await;
    fake.reply(request.stream, Reply::Done).await;
    pending.done().await.unwrap();
    assert_eq!(fake.expect(Kind::Data).await.payload, b"other");
    assert_eq!(fake.expect(Kind::Eof).await.stream, other.id());
    fake.send(Frame::new(Kind::Reset, 1, [])).await;
    assert!(matches!(stuck.await.unwrap(), Err(InputError::Reset)));
}

#[tokio::test]
async fn pieces_of_several_streams_keep_their_order() {
    let (guest, _events, mut fake) = connected().await;
    let mut outputs = guest.outputs(2);
    for turn in 0..10_u8 {
        let id = outputs.id(usize::from(turn % 2));
        fake.send(Frame::new(Kind::Data, id, [turn])).await;
    }
    fake.send(Frame::new(Kind::Eof, outputs.id(0), [])).await;
    fake.send(Frame::new(Kind::Eof, outputs.id(1), [])).await;
    let mut seen = Vec::new();
    while let Some(piece) = outputs.next().await.unwrap() {
        if let Output::Data { stream, bytes } = piece {
            seen.extend(bytes.iter().map(|&turn| (stream, turn)));
        }
    }
    let expected: Vec<_> = (0..10).map(|turn| (usize::from(turn % 2), turn)).collect();
    assert_eq!(seen, expected);
}

/// One direction of [`echo`].
#[derive(Default)]
struct Echo {
    send: SendWindow,
    receive: RecvWindow,
    held: Vec<u8>,
    ended: bool,
}

/// A guest that echoes input stream `n` to output stream `n + 1`, obeying both windows.
async fn echo(mut fake: FakeGuest) {
    let mut streams: HashMap<u32, Echo> = HashMap::new();
    while let Some(frame) = fake.receive().await {
        let id = match frame.kind {
            Kind::Data | Kind::Eof => frame.stream,
            Kind::Credit => frame.stream - 1,
            _ => continue,
        };
        let echo = streams.entry(id).or_default();
        match frame.kind {
            Kind::Data => {
                echo.held.extend_from_slice(&frame.payload);
                assert!(frame.payload.len() <= MAX_DATA);
                assert!(echo.held.len() <= INITIAL_WINDOW as usize, "credit was exceeded");
            }
            Kind::Eof => echo.ended = true,
            _ => echo.send.grant(frame.credit_bytes().unwrap()),
        }
        let mut frames = Vec::new();
        loop {
            let size = echo.send.take(echo.held.len().min(MAX_DATA));
            if size == 0 {
                break;
            }
            let piece: Vec<_> = echo.held.drain(..size).collect();
            if let Some(credit) = echo.receive.consume(size) {
                frames.push(Frame::credit(id, credit));
            }
            frames.push(Frame::new(Kind::Data, id + 1, piece));
        }
        if echo.ended && echo.held.is_empty() {
            frames.push(Frame::new(Kind::Eof, id + 1, []));
            streams.remove(&id);
        }
        for frame in frames {
            fake.send(frame).await;
        }
    }
}

/// Sends pieces of the given sizes through the echo and reads them back, pausing as told.
async fn round_trip(guest: Guest, seed: u8, pieces: Vec<(usize, u8)>) {
    let total: usize = pieces.iter().map(|(size, _)| size).sum();
    let content: Vec<u8> = (0..total).map(|at| (at * 31 / 7) as u8 ^ seed).collect();
    let (mut input, mut outputs) = (guest.input(), guest.outputs(1));
    assert_eq!(input.id() + 1, outputs.id(0));
    let sent = content.clone();
    let pauses = pieces.clone();
    let writer = tokio::spawn(async move {
        let mut rest = sent.as_slice();
        for (size, pause) in pieces {
            let (piece, tail) = rest.split_at(size);
            rest = tail;
            input.write(piece).await.unwrap();
            tokio::time::sleep(Duration::from_millis(u64::from(pause))).await;
        }
        input.eof();
    });
    let mut seen = Vec::new();
    let mut pauses = pauses.into_iter().cycle();
    while let Some(piece) = outputs.next().await.unwrap() {
        if let Output::Data { bytes, .. } = piece {
            seen.extend_from_slice(&bytes);
        }
        let pause = pauses.next().map_or(0, |(_, pause)| 3 - pause);
        tokio::time::sleep(Duration::from_millis(u64::from(pause))).await;
    }
    writer.await.unwrap();
    assert!(seen == content, "{} of {} bytes", seen.len(), content.len());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn bytes_survive_any_sizes_and_pauses(
        streams in proptest::collection::vec(
            proptest::collection::vec((1_usize..200_000, 0_u8..4), 1..12),
            1..4,
        ),
        pipe in 64_usize..100_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let (ours, stream) = duplex(pipe);
            let mut fake = FakeGuest { stream, decoder: Decoder::default() };
            let (connected, ()) =
                tokio::join!(Guest::connect(ours, "test", SOON), fake.hello(VERSION));
            let (guest, _events, _) = connected.unwrap();
            tokio::spawn(echo(fake));
            let mut trips = tokio::task::JoinSet::new();
            for (seed, pieces) in streams.into_iter().enumerate() {
                trips.spawn(round_trip(guest.clone(), seed as u8, pieces));
                // The stream numbers of one trip must be neighbours.
                tokio::task::yield_now().await;
            }
            while let Some(trip) = trips.join_next().await {
                trip.unwrap();
            }
        });
    }
}
