//! A server: this program again, or that of [`others`], as a process of its own.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, ChildStdout, Command, Stdio},
};

use polyport::{Error, Result};

use crate::{cores, others, servers};

/// A server, ended when this is dropped.
pub(crate) struct Process {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Process {
    /// Starts a server on so many cores. What it says goes through [`hear`](Self::hear).
    pub(crate) fn start(server: &str, cores: usize) -> Result<Self> {
        Self::start_with(server, cores, "")
    }

    /// The same, with what that server has to be told.
    pub(crate) fn start_with(server: &str, cores: usize, argument: &str) -> Result<Self> {
        let mut command = match others::has(server) {
            true => Command::new(others::program()),
            false => Command::new(env::current_exe()?),
        };
        command.args([servers::WORD, server, &cores.to_string(), argument]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let said = child.stdout.take().ok_or_else(|| Error::other("the server says nothing"))?;
        Ok(Self { child, said: BufReader::new(said) })
    }

    /// What it says first, or after its banner: where it listens.
    pub(crate) fn address(&mut self) -> Result<SocketAddr> {
        loop {
            if let Ok(address) = self.hear()?.parse() {
                return Ok(address);
            }
        }
    }

    /// The next line that it says.
    pub(crate) fn hear(&mut self) -> Result<String> {
        let mut line = String::new();
        match self.said.read_line(&mut line)? {
            0 => Err(Error::other("the server has ended; what it wrote above says why")),
            _ => Ok(line.trim().to_owned()),
        }
    }

    /// The time that it has run, in nanoseconds.
    pub(crate) fn time(&self) -> Result<u64> {
        cores::time_of_process(self.child.id())
    }

    /// Its resident memory, in bytes (`proc(5)`, `VmRSS`).
    pub(crate) fn resident(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line
            .and_then(|line| line.trim().strip_suffix("kB"))
            .ok_or_else(|| Error::other("no VmRSS"))?;
        Ok(kilobytes.trim().parse::<f64>()? * 1024.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
