//! Lines of the log on their way to standard error.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc},
    thread::{self, Thread},
    time::Duration,
};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// For how long lines are gathered, to be written at once.
const GATHERED: Duration = Duration::from_millis(10);

/// So many bytes are not gathered any longer: whoever adds more writes all of them.
const MOST: usize = 64 * 1024;

/// How long whoever reads the log may take to do so at the end.
const READ: Duration = Duration::from_secs(2);

/// Gathers lines, so that a call is not kept waiting for a write of its own. They are written some
/// milliseconds later by a thread, or at once with the next warning or error: what is to be known of
/// a process that dies stands there. Lines never overtake each other. A cheap handle.
#[derive(Clone)]
pub(super) struct Lines(Arc<Inner>);

struct Inner {
    gathered: Mutex<Gathered>,
    /// What is being written, and who may write.
    written: Mutex<Written>,
    /// None where there can be none.
    writer: OnceLock<Option<Thread>>,
}

#[derive(Default)]
struct Gathered {
    bytes: Vec<u8>,
    pace: Pace,
}

/// When lines are written.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Pace {
    #[default]
    Soon,
    AtOnce,
    /// Whenever somebody reads them again, which nobody waits for: what is too much is dropped.
    Someday,
}

struct Written {
    bytes: Vec<u8>,
    to: Box<dyn Write + Send>,
}

impl Lines {
    pub(super) fn new(to: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Inner {
            gathered: Mutex::default(),
            written: Mutex::new(Written { bytes: Vec::new(), to: Box::new(to) }),
            writer: OnceLock::new(),
        }))
    }

    /// From now on lines are gathered, which they are at the beginning.
    pub(super) fn gather(&self) {
        lock(&self.0.gathered).pace = Pace::Soon;
    }

    /// Writes what is gathered, and from now on every line at once. The log of a process that ends
    /// may be a pipe that is full and read by nobody, and a thread of it may be stuck in writing:
    /// after [`READ`] the lines are left to themselves, and whoever logs more does not wait.
    pub(super) fn write_through(&self) {
        {
            let mut gathered = lock(&self.0.gathered);
            if gathered.pace == Pace::Someday {
                return;
            }
            gathered.pace = Pace::AtOnce;
        }
        let (sender, written) = mpsc::channel();
        let lines = self.clone();
        let flush = move || {
            lines.flush();
            let _ = sender.send(());
        };
        let thread = thread::Builder::new().name("log".to_owned()).spawn(flush);
        if thread.is_err() || written.recv_timeout(READ).is_err() {
            lock(&self.0.gathered).pace = Pace::Someday;
        }
    }

    fn add(&self, line: &[u8], is_urgent: bool) {
        let mut gathered = lock(&self.0.gathered);
        let is_full = gathered.bytes.len() + line.len() > MOST;
        if gathered.pace == Pace::Someday && is_full {
            return;
        }
        let is_first = gathered.bytes.is_empty();
        gathered.bytes.extend_from_slice(line);
        let pace = gathered.pace;
        drop(gathered);
        let at_once = match pace {
            Pace::Soon => is_urgent || is_full,
            Pace::AtOnce => true,
            Pace::Someday => false,
        };
        let is_left = !at_once && is_first && !self.wake();
        if at_once || (is_left && pace != Pace::Someday) {
            self.flush();
        }
    }

    /// Wakes the writer; false where there is none.
    fn wake(&self) -> bool {
        let spawned = self.0.writer.get_or_init(|| {
            let lines = self.clone();
            let thread = thread::Builder::new().name("log".to_owned());
            thread.spawn(move || lines.write_forever()).ok().map(|handle| handle.thread().clone())
        });
        spawned.as_ref().map(Thread::unpark).is_some()
    }

    fn write_forever(&self) {
        loop {
            thread::park();
            thread::sleep(GATHERED);
            self.flush();
        }
    }

    fn flush(&self) {
        let mut written = lock(&self.0.written);
        let Written { bytes, to } = &mut *written;
        std::mem::swap(bytes, &mut lock(&self.0.gathered).bytes);
        // There is nobody to be told of a log that cannot be written.
        let _ = to.write_all(bytes);
        bytes.clear();
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

    fn next(written: &Receiver<String>) -> String {
        written.recv_timeout(Duration::from_secs(10)).expect("is written")
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
        let mut text = written.try_recv().expect("is written");
        if text == "info\n" {
            text += &written.try_recv().expect("is written");
        }
        assert_eq!(text, "info\nerror\n");
    }

    #[test]
    fn nothing_is_gathered_beyond_its_limit_or_when_all_is_written_through() {
        let (lines, written) = lines();
        lines.add(&[b'x'; MOST + 1], false);
        assert_eq!(written.try_recv().expect("is written").len(), MOST + 1);
        lines.write_through();
        lines.add(b"last\n", false);
        assert!(written.try_iter().any(|text| text == "last\n"));
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

    #[test]
    fn at_the_end_nobody_waits_for_a_log_that_is_not_read() {
        let (asked, is_asked) = channel();
        let (go, go_on) = channel();
        let (sender, written) = channel();
        let lines = Lines::new(Stuck { asked, go_on, written: Sent(sender) });
        lines.add(b"first\n", false);
        is_asked.recv_timeout(Duration::from_secs(10)).expect("is written");
        let (sender, ended) = channel();
        let ending = lines.clone();
        thread::spawn(move || {
            ending.write_through();
            ending.write_through();
            ending.add(b"warning\n", true);
            ending.add(&[b'x'; MOST], true);
            let _ = sender.send(());
        });
        ended.recv_timeout(Duration::from_secs(30)).expect("does not wait for the reader");
        drop(go);
        assert_eq!(next(&written), "first\n");
        assert_eq!(next(&written), "warning\n");
    }
}
