//! Under systemd: it is told, and a restart behind its socket refuses nobody.

use std::{
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    process::Command,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use crate::{
    notified::Systemd,
    program::{Program, answer, call, fixture},
};

#[test]
fn systemd_hears_of_readiness_of_reloads_and_of_the_stop() {
    let systemd = Systemd::listen();
    let mut program = Program::start(&[systemd.variable()]);
    program.ready();
    assert_eq!(systemd.hear(), "READY=1");
    program.signal("-HUP");
    assert_eq!([systemd.hear(), systemd.hear()], ["RELOADING=1", "READY=1"]);
    program.signal("-TERM");
    assert_eq!(systemd.hear(), "STOPPING=1");
    program.end().assert_code(0);
}

/// Starts the fixture with a listening socket in the place of systemd's first one.
fn activated(listener: &TcpListener, name: &str, more: &[(&str, &str)]) -> Program {
    let socket: OwnedFd = listener.try_clone().expect("can be handed over").into();
    let mut command = Command::new("sh");
    let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ exec \"$0\"";
    command.args(["-c", script]).arg(fixture()).stdin(socket);
    command.envs([("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", name)]).envs(more.iter().copied());
    Program::run(command)
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("is bound");
    (listener, address)
}

#[test]
fn a_socket_is_taken_over_by_name_or_by_address() {
    let (listener, address) = listen();
    let mut program = activated(&listener, "http", &[]);
    assert_eq!(program.ready().of("http"), address);
    assert!(answer(call(address, "0")).contains("pool open: true"));
    program.stop().assert_code(0);

    let port = address.port().to_string();
    let mut program = activated(&listener, "polyport.socket", &[("POLYPORT__GRPC__PORT", &port)]);
    assert_eq!(program.ready().of("grpc"), address);
    program.stop().assert_code(0);
}

#[test]
fn a_socket_that_nobody_takes_is_told() {
    let (listener, address) = listen();
    let mut program = activated(&listener, "htpp", &[]);
    assert_ne!(program.ready().of("http"), address);
    let ended = program.stop();
    ended.assert_says("no framework takes a socket that was handed over");
    ended.assert_code(0);
}

#[test]
fn restarts_under_load_refuse_nobody_and_lose_nothing() {
    const RESTARTS: usize = 5;
    let (listener, address) = listen();
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let client = || {
            while !stop.load(Ordering::SeqCst) {
                let answer = answer(call(address, "1"));
                assert!(answer.contains("pool open: true"), "{answer:?}");
                answered.fetch_add(1, Ordering::SeqCst);
            }
        };
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(client)).collect();
        for _ in 0..RESTARTS {
            let mut program = activated(&listener, "http", &[]);
            program.ready();
            let before = answered.load(Ordering::SeqCst);
            while answered.load(Ordering::SeqCst) < before + 50 && !clients[0].is_finished() {
                std::thread::yield_now();
            }
            program.stop().assert_code(0);
        }
        stop.store(true, Ordering::SeqCst);
        // Whoever waits for an answer still gets one.
        let last = activated(&listener, "http", &[]);
        clients.into_iter().for_each(|client| client.join().expect("nobody was refused"));
        drop(last);
    });
    assert!(answered.load(Ordering::SeqCst) >= RESTARTS * 50);
}
