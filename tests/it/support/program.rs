//! The program itself, run as a user runs it, and the files it is given.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::client::Client;
use super::proxy::eventually;

/// A folder of the test's own.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a writable folder");
    folder
}

pub(crate) fn write(file: &Path, document: &Value) {
    let new = file.with_extension("new");
    std::fs::write(&new, document.to_string()).expect("a writable folder");
    // As editors do, so that nobody reads half of it.
    std::fs::rename(&new, file).expect("a writable folder");
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

pub(crate) fn at(name: &str, address: SocketAddr) -> Value {
    json!({"name": name, "address": address.ip().to_string(), "port": address.port()})
}

/// Calls the API at this port; `body` may be null, for none. Returns the status
/// and the text.
pub(crate) fn api(port: u16, method: &str, path: &str, body: &Value) -> (u16, String) {
    let mut client = Client::connect(SocketAddr::from(([127, 0, 0, 1], port)));
    let (kind, body) = match body {
        Value::Null => ("", String::new()),
        body => ("content-type: application/json\r\n", body.to_string()),
    };
    client.send(format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\n{kind}content-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    ));
    let answer = client.answer();
    (answer.status, answer.text().to_owned())
}

/// Sends a signal, as `kill` names it, to the process of this number.
pub(crate) fn signal(pid: &str, name: &str) {
    // It may have ended.
    let _ = Command::new("kill").args([name, pid]).output();
}

/// A process that is nobody's child any more once its predecessor has ended;
/// ended with the test.
pub(crate) struct Orphan(pub(crate) String);

impl Drop for Orphan {
    fn drop(&mut self) {
        signal(&self.0, "-KILL");
    }
}

/// The program, ended with the test.
pub(crate) struct Program {
    pub(crate) process: Child,
    log: Arc<Mutex<String>>,
    pub(crate) proxy: SocketAddr,
}

impl Program {
    pub(crate) fn start(file: &Path, proxy: u16) -> Self {
        Self::start_with(file, proxy, &[])
    }

    /// The same with further arguments.
    pub(crate) fn start_with(file: &Path, proxy: u16, args: &[&std::ffi::OsStr]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
        command.args(["serve", "--config"]).arg(file).args(args);
        Self::run(command.stdin(Stdio::null()), proxy)
    }

    /// The same by a command of the test's own.
    pub(crate) fn run(command: &mut Command, proxy: u16) -> Self {
        let mut process = command
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let log = Arc::new(Mutex::new(String::new()));
        let (into, pipe) = (Arc::clone(&log), process.stderr.take().expect("a pipe"));
        std::thread::spawn(move || {
            for line in std::io::BufRead::lines(std::io::BufReader::new(pipe)).map_while(Result::ok)
            {
                *into.lock().expect("nobody panics under it") += &format!("{line}\n");
            }
        });
        let program = Self {
            process,
            log,
            proxy: SocketAddr::from(([127, 0, 0, 1], proxy)),
        };
        eventually("it listens", || program.log().contains("listening"));
        program
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("nobody panics under it").clone()
    }

    pub(crate) fn hang_up(&self) {
        self.signal("-HUP");
    }

    /// Sends it a signal, as `kill` names it.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        let status = Command::new("kill").args([name, &pid]).status();
        assert!(status.expect("kill is there").success());
    }

    /// Has it end in order, and waits for that.
    pub(crate) fn end(&mut self) {
        self.signal("-TERM");
        let status = self.process.wait().expect("it is a child");
        assert!(status.success(), "{status}: {}", self.log());
    }

    /// The numbers of the processes that were started to take over.
    pub(crate) fn successors(&self) -> Vec<String> {
        let log = self.log();
        let lines = log
            .lines()
            .filter(|line| line.contains("a new process has been started"));
        let pid = |line: &str| line.rsplit_once("pid=").expect("its number").1.to_owned();
        lines.map(pid).collect()
    }

    /// Waits until `what` stands in the log for the `n`-th time.
    pub(crate) fn says(&self, what: &str, n: usize) {
        eventually(what, || self.log().matches(what).count() >= n);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
