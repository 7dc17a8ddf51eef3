//! The program under test, in a process of its own: `tests/fixtures/stages.rs`, or another one.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use serde_json::Value;

/// The longest time that anything may take here.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A process that runs until it is dropped.
pub(crate) struct Program {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

/// A process that has ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) said: String,
    journal: Vec<String>,
}

/// Where the program's frameworks are reached.
#[derive(Debug)]
pub(crate) struct Addresses(HashMap<String, SocketAddr>);

impl Addresses {
    pub(crate) fn of(&self, framework: &str) -> SocketAddr {
        self.0[framework]
    }
}

/// The binary of `tests/fixtures/stages.rs`.
pub(crate) fn fixture() -> PathBuf {
    example("stages")
}

/// The binary of an example; `cargo test` builds it, and `cargo build --examples` does, too.
pub(crate) fn example(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("is known");
    own.ancestors().nth(2).expect("target/profile/deps/test").join("examples").join(name)
}

/// The variables that every start of the fixture needs.
pub(crate) fn variables() -> [(&'static str, &'static str); 3] {
    [
        ("POLYPORT__HTTP__PORT", "0"),
        ("POLYPORT__GRPC__PORT", "0"),
        ("POLYPORT__LOG__FORMAT", "json"),
    ]
}

impl Program {
    /// Starts the fixture where it is to go wrong `how` at `place`.
    pub(crate) fn faulty(place: &str, how: &str, more: &[(&str, &str)]) -> Self {
        let mut variables = vec![("POLYPORT__FAULT__AT", place), ("POLYPORT__FAULT__HOW", how)];
        variables.extend(more);
        Self::start(&variables)
    }

    /// Starts the fixture with these variables.
    pub(crate) fn start(variables: &[(&str, &str)]) -> Self {
        Self::of("stages", variables)
    }

    /// Starts an example with these variables.
    pub(crate) fn of(name: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(example(name));
        command.envs(variables.iter().copied());
        Self::run(command)
    }

    /// Starts it in a way of one's own.
    pub(crate) fn run(mut command: Command) -> Self {
        let mut own = HashMap::from(variables());
        own.retain(|name, _| command.get_envs().all(|(set, _)| set != *name));
        let child = command
            .current_dir(std::env::temp_dir())
            // Or the configuration of this package would be read.
            .env_remove("CARGO_MANIFEST_DIR")
            // On a busy machine a trace takes longer to write than some stages may take.
            .env("RUST_BACKTRACE", "0")
            .envs(own)
            .stderr(Stdio::piped())
            .spawn()
            .expect("cargo builds examples before it runs tests");
        Self::attach(child)
    }

    fn attach(mut child: Child) -> Self {
        let lines = BufReader::new(child.stderr.take().expect("is piped")).lines();
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            lines.map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, lines: receiver, said: Vec::new() }
    }

    /// One whose standard error goes elsewhere: nothing that it says is read here.
    pub(crate) fn unread(child: Child) -> Self {
        Self { child, lines: channel().1, said: Vec::new() }
    }

    /// Reads until a line for which `is_it` says so.
    pub(crate) fn until(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no {what} in:\n{}", self.said.join("\n")));
            let event = serde_json::from_str(&line).unwrap_or_default();
            self.said.push(line);
            if is_it(&event) {
                return event;
            }
        }
    }

    /// Reads until the program notes `entry`.
    pub(crate) fn until_journal(&mut self, entry: &str) {
        self.until(entry, |event| event["journal"] == entry);
    }

    /// Reads until everything is served.
    pub(crate) fn ready(&mut self) -> Addresses {
        let is_it = |event: &Value| {
            event["message"].as_str().is_some_and(|message| message.starts_with("ready in "))
        };
        // Whoever waited for something else may have read past it.
        let known = self.said.iter().map(|line| serde_json::from_str(line).unwrap_or_default());
        let event = known.into_iter().find(is_it).unwrap_or_else(|| self.until("ready", is_it));
        let places = event["frameworks"].as_str().expect("are told");
        let places: Vec<Value> = serde_json::from_str(places).expect("is JSON");
        let address = |place: &Value| {
            let address = place["address"].as_str()?.parse().expect("an address");
            Some((place["framework"].as_str()?.to_owned(), address))
        };
        Addresses(places.iter().filter_map(address).collect())
    }

    /// What it prints, where its standard output is piped.
    pub(crate) fn output(&mut self) -> std::process::ChildStdout {
        self.child.stdout.take().expect("is piped")
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits for the end.
    pub(crate) fn end(mut self) -> Ended {
        let code = self.wait();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.said.push(line);
        }
        let journal = |line: &String| {
            let event: Value = serde_json::from_str(line).ok()?;
            Some(event["journal"].as_str()?.to_owned())
        };
        let journal = self.said.iter().filter_map(journal).collect();
        Ended { code, said: self.said.join("\n"), journal }
    }

    fn wait(&mut self) -> Option<i32> {
        let began = std::time::Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("can be asked") {
                return status.code();
            }
            assert!(began.elapsed() < PATIENCE, "still runs:\n{}", self.said.join("\n"));
            // Neither a signal nor a file tells of the end of a child without `unsafe`.
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks for an ordered stop and waits for the end.
    pub(crate) fn stop(self) -> Ended {
        self.signal("-TERM");
        self.end()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// What the program has noted, in order.
    pub(crate) fn journal(&self) -> &[String] {
        &self.journal
    }

    /// How often the program has noted `entry`.
    pub(crate) fn count(&self, entry: &str) -> usize {
        self.journal.iter().filter(|known| *known == entry).count()
    }

    pub(crate) fn code(&self) -> Option<i32> {
        self.code
    }

    #[track_caller]
    pub(crate) fn assert_code(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{}", self.said);
    }

    /// Long lines of reports are wrapped.
    #[track_caller]
    pub(crate) fn assert_says(&self, text: &str) {
        let words = |text: &str| text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words(&self.said).contains(&words(text)), "{text} is not in:\n{}", self.said);
    }
}

/// A file whose making lets the program go on.
pub(crate) struct Gate(PathBuf);

impl Gate {
    pub(crate) fn new() -> Self {
        Self(std::env::temp_dir().join(unique()))
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().expect("is text")
    }

    pub(crate) fn open(&self) {
        std::fs::write(&self.0, "").expect("can be made");
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A word that no other test of any process uses.
pub(crate) fn unique() -> String {
    format!("polyport-{}", uuid::Uuid::now_v7().simple())
}

/// What takes longer than anything may is a failure.
pub(crate) async fn within<T>(future: impl IntoFuture<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("does not take that long")
}

/// A connection whose reads come to an end.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("connects");
    stream.set_read_timeout(Some(PATIENCE)).expect("is set");
    stream
}

/// A call of `work` on a connection of its own.
pub(crate) fn call(address: SocketAddr, name: &str) -> TcpStream {
    let body = format!("{{\"name\":\"{name}\"}}");
    let mut stream = connect(address);
    let request = format!(
        "POST /work HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("is sent");
    stream
}

/// All that is answered.
pub(crate) fn answer(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}
