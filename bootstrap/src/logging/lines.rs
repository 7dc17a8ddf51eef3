//! Lines of the log on their way to standard error.

use std::{
    cell::Cell,
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// For how long lines are gathered, to be written at once.
const GATHERED: Duration = Duration::from_millis(10);

/// So many bytes are not gathered any longer.
const MOST: usize = 64 * 1024;

/// So many bytes are written at once: whoever waits for the first of them does not wait for all.
const PIECE: usize = 16 * 1024;

/// Whoever adds more than this waits until something is written.
const ROOM: usize = 1024 * 1024;

/// How long anybody waits for whoever reads the log.
const READ: Duration = Duration::from_secs(2);

thread_local! {
    static IS_WRITER: Cell<bool> = const { Cell::new(false) };
}

/// Gathers lines, so that a call is not kept waiting for a write of its own. A thread writes them
/// some milliseconds later, or at once with the next warning or error, for which is waited: what is
/// to be known of a process that dies stands there. Lines never overtake each other.
///
/// Standard error may be a pipe that is full and read by nobody. Then nobody waits longer than
/// [`READ`], and lines for which there is no room are dropped, until somebody reads again; how many
/// these were is told. A cheap handle.
#[derive(Clone)]
pub(super) struct Lines(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    /// Told when there is something to be written, or when it should be written at once.
    has_work: Condvar,
    /// Told when something is written.
    is_written: Condvar,
    output: Mutex<Box<dyn Write + Send>>,
    /// Whether there is a thread that writes.
    has_writer: OnceLock<bool>,
}

#[derive(Default)]
struct State {
    gathered: Vec<u8>,
    /// How many bytes were ever gathered, and how many of them are written.
    added: u64,
    written: u64,
    /// Whether what is gathered is to be written at once.
    is_urgent: bool,
    /// Whether every line is waited for.
    is_through: bool,
    /// Whether somebody has waited for too long, so that nobody waits any more.
    is_unread: bool,
    /// How many lines had no room since then.
    dropped: u64,
}

impl Lines {
    pub(super) fn new(to: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Inner {
            state: Mutex::default(),
            has_work: Condvar::new(),
            is_written: Condvar::new(),
            output: Mutex::new(Box::new(to)),
            has_writer: OnceLock::new(),
        }))
    }

    /// From now on lines are gathered, which they are at the beginning.
    pub(super) fn gather(&self) {
        self.state().is_through = false;
    }

    /// Has written what is gathered, and from now on every line at once.
    pub(super) fn write_through(&self) {
        let mut state = self.state();
        state.is_through = true;
        let all = state.added;
        if state.written < all {
            state.is_urgent = true;
            self.0.has_work.notify_one();
            drop(self.wait(state, |state| state.written >= all));
        }
    }

    fn add(&self, line: &[u8], is_urgent: bool) {
        let mut state = self.state();
        if !state.has_room_for(line) {
            state = self.wait(state, |state| state.has_room_for(line));
            if !state.has_room_for(line) {
                state.dropped += 1;
                return;
            }
        }
        let is_first = state.gathered.is_empty();
        state.gathered.extend_from_slice(line);
        state.added += line.len() as u64;
        let (this, is_waited_for) = (state.added, is_urgent || state.is_through);
        let is_urgent = is_waited_for || state.gathered.len() > MOST;
        let is_sooner = is_urgent && !mem::replace(&mut state.is_urgent, true);
        if !self.has_writer() {
            drop(state);
            self.write();
        } else if is_waited_for {
            self.0.has_work.notify_one();
            drop(self.wait(state, |state| state.written >= this));
        } else if is_first || is_sooner {
            drop(state);
            self.0.has_work.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }

    /// Waits until it is so, or nobody has read for too long what is written.
    fn wait<'s>(
        &'s self,
        mut state: MutexGuard<'s, State>,
        is_so: impl Fn(&State) -> bool,
    ) -> MutexGuard<'s, State> {
        let end = Instant::now() + READ;
        while !is_so(&state) && !state.is_unread && !IS_WRITER.get() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.is_unread = true;
                self.0.is_written.notify_all();
                break;
            }
            let waited = self.0.is_written.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state
    }

    fn has_writer(&self) -> bool {
        *self.0.has_writer.get_or_init(|| {
            let lines = self.clone();
            let thread = thread::Builder::new().name("log".to_owned());
            thread.spawn(move || lines.write_forever()).is_ok()
        })
    }

    fn write_forever(&self) {
        IS_WRITER.set(true);
        loop {
            let has_none = |state: &mut State| state.gathered.is_empty();
            let waited = self.0.has_work.wait_while(self.state(), has_none);
            let state = waited.unwrap_or_else(PoisonError::into_inner);
            let may_gather = |state: &mut State| !state.is_urgent;
            drop(self.0.has_work.wait_timeout_while(state, GATHERED, may_gather));
            let dropped = self.write();
            if dropped > 0 {
                tracing::warn!(lines = dropped, "nobody has read the log: lines were dropped");
            }
        }
    }

    /// Writes what is gathered; how many lines were dropped before.
    fn write(&self) -> u64 {
        let mut output = lock(&self.0.output);
        let mut state = self.state();
        let mut bytes = mem::take(&mut state.gathered);
        state.is_urgent = false;
        drop(state);
        for piece in bytes.chunks(PIECE) {
            write_piece(&mut **output, piece);
            let mut state = self.state();
            state.written += piece.len() as u64;
            // Somebody has read.
            state.is_unread = false;
            drop(state);
            self.0.is_written.notify_all();
        }
        let mut state = self.state();
        if state.gathered.is_empty() && bytes.capacity() <= 2 * MOST {
            bytes.clear();
            state.gathered = bytes;
        }
        mem::take(&mut state.dropped)
    }
}

/// There is nobody to be told of a log that cannot be written.
fn write_piece(output: &mut dyn Write, mut piece: &[u8]) {
    while !piece.is_empty() {
        match output.write(piece) {
            Ok(0) => return,
            Ok(written) => piece = &piece[written..],
            // Whoever has opened it too may have said that nobody waits for it.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(GATHERED),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

impl State {
    /// One line always has.
    fn has_room_for(&self, line: &[u8]) -> bool {
        self.gathered.is_empty() || self.gathered.len() + line.len() <= ROOM
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        LineWriter { lines: self, is_urgent: true }
    }

    fn make_writer_for(&'a self, about: &Metadata<'_>) -> LineWriter<'a> {
        LineWriter { lines: self, is_urgent: *about.level() <= Level::WARN }
    }
}

/// Takes one line.
pub(super) struct LineWriter<'a> {
    lines: &'a Lines,
    is_urgent: bool,
}

impl Write for LineWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lines.add(line, self.is_urgent);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    struct Sent(Sender<String>);

    impl Write for Sent {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines() -> (Lines, Receiver<String>) {
        let (sender, receiver) = channel();
        (Lines::new(Sent(sender)), receiver)
    }

    const PATIENCE: Duration = Duration::from_secs(30);

    fn next(written: &Receiver<String>) -> String {
        written.recv_timeout(PATIENCE).expect("is written")
    }

    /// What is written until it ends with `last`, however busy the machine is.
    fn until(written: &Receiver<String>, last: &str) -> String {
        let mut text = String::new();
        while !text.ends_with(last) {
            text.push_str(&next(written));
        }
        text
    }

    /// Whoever has added the last line has waited for it: until it was written, or, on a machine that
    /// is that busy, for as long as anybody waits.
    #[track_caller]
    fn assert_waited_for(lines: &Lines) {
        let state = lines.state();
        assert!(state.written == state.added || state.is_unread, "nobody has waited");
    }

    #[test]
    fn a_line_is_written_although_nothing_follows() {
        let (lines, written) = lines();
        for line in ["one\n", "two\n"] {
            lines.add(line.as_bytes(), false);
            assert_eq!(next(&written), line);
        }
    }

    #[test]
    fn what_is_urgent_is_written_at_once_and_behind_what_was_there() {
        let (lines, written) = lines();
        lines.add(b"info\n", false);
        lines.add(b"error\n", true);
        assert_waited_for(&lines);
        assert_eq!(until(&written, "error\n"), "info\nerror\n");
    }

    #[test]
    fn nothing_is_gathered_beyond_its_limit_or_when_all_is_written_through() {
        let (lines, written) = lines();
        for size in [MOST + 1, ROOM + 1] {
            lines.add(&vec![b'x'; size], false);
            let mut read = 0;
            while read < size {
                read += next(&written).len();
            }
            assert_eq!(read, size);
        }
        lines.write_through();
        lines.add(b"last\n", false);
        assert_waited_for(&lines);
        assert_eq!(next(&written), "last\n");
    }

    /// Says that it is asked to write, and does so when it is told to.
    struct Stuck {
        asked: Sender<()>,
        go_on: Receiver<()>,
        written: Sent,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.asked.send(());
            let _ = self.go_on.recv();
            self.written.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The other end of it.
    struct Reader {
        is_asked: Receiver<()>,
        go: Sender<()>,
        written: Receiver<String>,
    }

    /// Lines of which the first is being written, and waits for its reader.
    fn stuck() -> (Lines, Reader) {
        let (asked, is_asked) = channel();
        let (go, go_on) = channel();
        let (sender, written) = channel();
        let lines = Lines::new(Stuck { asked, go_on, written: Sent(sender) });
        lines.add(b"first\n", false);
        is_asked.recv_timeout(PATIENCE).expect("is written");
        (lines, Reader { is_asked, go, written })
    }

    #[test]
    fn nobody_waits_for_long_for_a_log_that_is_not_read_and_what_was_dropped_is_counted() {
        let (lines, Reader { is_asked: _is_asked, go, written }) = stuck();
        let (sender, ended) = channel();
        let ending = lines.clone();
        thread::spawn(move || {
            let began = Instant::now();
            ending.add(b"warning\n", true);
            ending.write_through();
            ending.add(b"last\n", false);
            ending.add(&[b'x'; ROOM], true);
            let _ = sender.send(began.elapsed());
        });
        let waited = ended.recv_timeout(PATIENCE).expect("does not wait for the reader");
        assert!((READ..3 * READ).contains(&waited), "only the first waits: {waited:?}");
        assert_eq!(lines.state().dropped, 1);
        drop(go);
        assert_eq!(next(&written), "first\n");
        assert_eq!(next(&written), "warning\nlast\n");
        assert_eq!(lines.state().dropped, 0);
        lines.add(b"again\n", false);
        assert_waited_for(&lines);
        assert_eq!(next(&written), "again\n");
    }

    #[test]
    fn a_log_that_is_read_again_is_waited_for_again_though_it_never_comes_to_its_end() {
        let (lines, Reader { is_asked, go, written: _written }) = stuck();
        lines.add(b"warning\n", true);
        assert!(lines.state().is_unread);
        go.send(()).expect("is written");
        // What was gathered meanwhile is being written by now.
        is_asked.recv_timeout(PATIENCE).expect("is written");
        assert!(!lines.state().is_unread);
    }

    #[test]
    fn whoever_logs_more_than_there_is_room_for_waits_for_it_while_somebody_reads() {
        let (lines, written) = lines();
        let line = vec![b'x'; ROOM / 3];
        (0..50).for_each(|_| lines.add(&line, false));
        let mut length = 0;
        while length < 50 * line.len() {
            length += next(&written).len();
        }
    }
}
