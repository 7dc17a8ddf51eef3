use std::time::Duration;

use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    time::timeout,
};

use super::*;

/// lapin's end and the voices' of a socket that takes so many bytes at once, and the broker's.
fn shared(size: usize) -> (LapinsEnd, Outlet, DuplexStream) {
    let (near, far) = duplex(size);
    let (lapins_end, outlet) = share(Box::new(near));
    (lapins_end, outlet, far)
}

fn frame(channel: u8, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&[METHOD, 0, channel], &size[..], payload, &[0xCE]].concat()
}

/// A frame on this channel that can be told from others.
fn numbered(channel: u8, number: u8) -> Vec<u8> {
    frame(channel, &[0, 60, 0, 80, number, number])
}

async fn read(far: &mut DuplexStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let read = timeout(Duration::from_secs(10), far.read_exact(&mut bytes)).await;
    read.expect("in time").expect("as many bytes");
    bytes
}

#[tokio::test]
async fn nobody_speaks_within_a_frame_of_lapins() {
    let (first, second) = (frame(0, b"lapin's"), numbered(1, 7));
    for cut in 0..first.len() {
        let (mut lapin, outlet, mut far) = shared(1024);
        let voice = outlet.voice(1);
        let (left, right) = first.split_at(cut);
        lapin.write_all(PROTOCOL_HEADER).await.expect("written");
        lapin.write_all(left).await.expect("written");
        assert!(voice.say(&mut second.clone()));
        lapin.write_all(right).await.expect("written");
        let all = [PROTOCOL_HEADER, &second[..], &first].concat();
        let read = read(&mut far, all.len()).await;
        match cut {
            0 => assert_eq!(read, all, "nothing of it had come"),
            _ => assert_eq!(read, all, "torn after {cut} bytes"),
        }
    }
}

#[tokio::test]
async fn nobody_speaks_behind_the_end_of_a_channel_nor_on_one_of_the_same_number() {
    let (mut lapin, outlet, mut far) = shared(1024);
    let (old, other) = (outlet.voice(1), outlet.voice(2));
    assert!(old.say(&mut numbered(1, 1)));
    let close = frame(1, &CHANNEL_CLOSE);
    lapin.write_all(&close).await.expect("written");
    let new = outlet.voice(1);
    assert!(!old.say(&mut numbered(1, 2)), "its channel is closed");
    assert!(other.say(&mut numbered(2, 3)) && new.say(&mut numbered(1, 4)));
    lapin.write_all(&frame(0, &CONNECTION_CLOSE_OK)).await.expect("written");
    assert!(!other.say(&mut numbered(2, 5)) && !new.say(&mut numbered(1, 6)));
    let all = [numbered(1, 1), close, numbered(2, 3), numbered(1, 4)].concat();
    assert_eq!(read(&mut far, all.len()).await, all);
    drop(lapin);
    assert!(!outlet.voice(3).say(&mut numbered(3, 7)), "lapin has let go of the socket");
}

#[tokio::test]
async fn what_the_socket_does_not_take_at_once_is_written_in_its_order() {
    let (mut lapin, outlet, mut far) = shared(16);
    let voice = outlet.voice(1);
    let mut all = Vec::new();
    for number in 0..200 {
        assert!(voice.say(&mut numbered(1, number)));
        lapin.write_all(&numbered(2, number)).await.expect("lapin does not wait for that");
        all.extend([numbered(1, number), numbered(2, number)].concat());
    }
    let (close, length) = (frame(0, &CONNECTION_CLOSE), all.len());
    all.extend_from_slice(&close);
    lapin.write_all(&close).await.expect("written");
    let (shut, first) = tokio::join!(lapin.shutdown(), read(&mut far, length));
    shut.expect("everything is written before");
    assert_eq!([first, read(&mut far, close.len()).await].concat(), all);
}

#[tokio::test]
async fn lapin_waits_where_too_much_is_not_written_and_is_told_that_nothing_can_be() {
    let (mut lapin, outlet, far) = shared(16);
    lapin.write_all(&frame(2, &[0; AT_MOST + 100])).await.expect("it has waited for nothing");
    let waiting = tokio::spawn(async move { lapin.write_all(&numbered(2, 1)).await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(outlet);
    drop(far);
    let told = timeout(Duration::from_secs(10), waiting).await.expect("in time");
    let error = told.expect("no panic").expect_err("the broker is gone");
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn lapin_does_not_wait_for_what_others_say() {
    let (mut lapin, outlet, _far) = shared(16);
    let voice = outlet.voice(1);
    assert!(voice.say(&mut vec![0; AT_MOST + 100]) && voice.is_waiting());
    let writing = async {
        lapin.write_all(&numbered(2, 1)).await?;
        lapin.flush().await
    };
    timeout(Duration::from_secs(10), writing).await.expect("in time").expect("written");
}

#[tokio::test]
async fn lapin_is_told_that_what_others_say_could_not_be_written() {
    let (mut lapin, outlet, far) = shared(16);
    let voice = outlet.voice(1);
    lapin.flush().await.expect("nothing is there");
    drop(far);
    // As lapin does, which looks again when it is woken.
    let told = tokio::spawn(poll_fn(move |cx| match Pin::new(&mut lapin).poll_flush(cx) {
        Poll::Ready(Err(_)) => Poll::Ready(()),
        _ => Poll::Pending,
    }));
    tokio::task::yield_now().await;
    assert!(!told.is_finished(), "nothing was written yet");
    voice.say(&mut numbered(1, 1));
    timeout(Duration::from_secs(10), told).await.expect("in time").expect("no panic");
}

proptest! {
    #[test]
    fn no_bytes_of_lapins_make_it_panic_or_are_doubled(
        pieces in proptest::collection::vec(any::<Vec<u8>>(), 0..6)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("starts");
        let _entered = runtime.enter();
        let (_lapin, outlet, _far) = shared(1024);
        let mut state = outlet.lock();
        pieces.iter().for_each(|piece| state.take(piece));
        let passed = [&state.frames[..], &state.torn].concat();
        prop_assert_eq!(passed, pieces.concat());
    }
}
