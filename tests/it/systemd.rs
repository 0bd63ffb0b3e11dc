//! The program as systemd runs it: with sockets that are there already, and a
//! socket to say how it is; and how it ends when it is told to.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::origin::Origin;
use crate::support::program::{Program, at, folder, free_port, write};
use crate::support::proxy::eventually;

/// A configuration file in a folder of the test's own.
fn configured(name: &str, origin: &Origin, ports: (u16, u16), process: Value) -> PathBuf {
    let file = folder(name).join("config.json");
    let document = json!({
        "servers": [at("a", origin.address)],
        "listen": {"port": ports.0},
        "process": process,
        "health_check": {"enabled": false},
        "api": {"host": "127.0.0.1", "port": ports.1},
    });
    write(&file, &document);
    file
}

fn serve(file: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
    command.args(["serve", "--config"]).arg(file);
    command.stdin(Stdio::null());
    command
}

fn status(api: u16, path: &str) -> u16 {
    let mut client = Client::connect(SocketAddr::from(([127, 0, 0, 1], api)));
    client.send(format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    ));
    client.answer().status
}

fn signal(pid: &str, signal: &str) {
    let status = Command::new("kill").args([signal, pid]).status();
    assert!(status.expect("kill is there").success());
}

/// Takes what the program says to systemd.
struct Manager(UnixDatagram, PathBuf);

impl Manager {
    fn new(folder: &Path) -> Self {
        let path = folder.join("notify");
        let socket = UnixDatagram::bind(&path).expect("a writable folder");
        let patience = Some(Duration::from_secs(20));
        socket.set_read_timeout(patience).expect("a timeout");
        Self(socket, path)
    }

    /// The next message that is not only a sign of life, and whether there
    /// were such before.
    fn next(&self) -> (Vec<String>, bool) {
        let mut lived = false;
        loop {
            let mut bytes = [0; 4096];
            let n = self.0.recv(&mut bytes).expect("a message");
            let text = String::from_utf8_lossy(&bytes[..n]).into_owned();
            if text.trim() == "WATCHDOG=1" {
                lived = true;
                continue;
            }
            return (text.lines().map(str::to_owned).collect(), lived);
        }
    }

    fn says(&self, expected: &[&str]) -> bool {
        let (lines, lived) = self.next();
        assert_eq!(lines, expected);
        lived
    }

    fn lives(&self) {
        let mut bytes = [0; 4096];
        let n = self.0.recv(&mut bytes).expect("a message");
        assert_eq!(String::from_utf8_lossy(&bytes[..n]).trim(), "WATCHDOG=1");
    }
}

#[test]
fn systemd_hears_of_start_life_reload_upgrade_and_end() {
    let origin = Origin::named("a");
    let (port, api) = (free_port(), free_port());
    let file = configured(
        "systemd-notify",
        &origin,
        (port, api),
        json!({"workers": 1}),
    );
    let manager = Manager::new(file.parent().expect("a folder"));
    let mut command = serve(&file);
    command.env("NOTIFY_SOCKET", &manager.1);
    // With a number of a process it would hold for that process only, which
    // cannot be known here.
    command.env("WATCHDOG_USEC", "50000");
    let mut program = Program::run(&mut command, port);
    manager.says(&["READY=1", "STATUS=serving"]);
    manager.lives();
    manager.lives();

    program.hang_up();
    let (lines, _) = manager.next();
    assert_eq!(lines[0], "RELOADING=1");
    let micros = lines[1].strip_prefix("MONOTONIC_USEC=");
    assert!(
        micros.is_some_and(|n| n.parse::<u64>().is_ok()),
        "{lines:?}"
    );
    manager.says(&[
        "READY=1",
        "STATUS=configuration reloaded: nothing has changed",
    ]);
    std::fs::write(&file, "{}").expect("a writable file");
    program.hang_up();
    assert_eq!(manager.next().0[0], "RELOADING=1");
    manager.says(&[
        "READY=1",
        "STATUS=configuration not reloaded: the log says why",
    ]);

    configured_again(&file, &origin, (port, api));
    program.signal("-USR2");
    let (lines, _) = manager.next();
    let pid = lines[0].strip_prefix("MAINPID=").expect("the new process");
    assert_ne!(pid, program.process.id().to_string());
    manager.says(&["READY=1", "STATUS=serving"]);
    assert!(program.process.wait().expect("it is a child").success());
    assert_eq!(Client::connect(program.proxy).get("/").text(), "a");
    signal(pid, "-TERM");
    // The old one has said nothing of its end, which is none of the program's.
    let lived = manager.says(&["STOPPING=1", "STATUS=stopping: requests in flight may end"]);
    assert!(lived, "the new process is watched, too");
    program.says("stopped", 2);
}

fn configured_again(file: &Path, origin: &Origin, ports: (u16, u16)) {
    let new = configured("systemd-again", origin, ports, json!({"workers": 1}));
    std::fs::rename(new, file).expect("the same disk");
}

/// Runs the program with these sockets, as systemd passes them.
fn with_sockets(file: &Path, names: &str, proxy: &TcpListener, api: &TcpListener) -> Command {
    let script = "exec 3<&0 4>&1 0</dev/null 1>/dev/null; \
                  export LISTEN_PID=$$ LISTEN_FDS=2; exec \"$0\" serve --config \"$1\"";
    let fd = |listener: &TcpListener| {
        Stdio::from(OwnedFd::from(listener.try_clone().expect("a descriptor")))
    };
    let mut command = Command::new("sh");
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_ringway")])
        .arg(file)
        .env("LISTEN_FDNAMES", names)
        .stdin(fd(proxy))
        .stdout(fd(api));
    command
}

#[test]
fn sockets_of_systemd_are_used_as_they_are_and_hold_what_came_before_the_start() {
    let origin = Origin::named("a");
    // What is configured is not looked at.
    let ports = (free_port(), free_port());
    let process = json!({"workers": 2});
    let file = configured("systemd-sockets", &origin, ports, process);
    let bound = |_| TcpListener::bind("127.0.0.1:0").expect("a free port");
    let [proxy, api] = [(), ()].map(bound);
    let port = |listener: &TcpListener| listener.local_addr().expect("it is bound").port();
    let (port, api_port) = (port(&proxy), port(&api));
    let mut early = Client::connect(SocketAddr::from(([127, 0, 0, 1], port)));
    early.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    let mut program = Program::run(&mut with_sockets(&file, "proxy:api", &proxy, &api), port);
    assert_eq!(early.answer().text(), "a");
    for _ in 0..20 {
        assert_eq!(Client::connect(program.proxy).get("/").text(), "a");
    }
    assert_eq!(status(api_port, "/readyz"), 200);
    program.end();

    let mut command = with_sockets(&file, "proxy:web", &proxy, &api);
    let output = command.stderr(Stdio::piped()).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(r#"systemd passes a socket "web""#), "{said}");
    assert!(said.contains("to proxy or api"), "{said}");
}

#[test]
fn with_a_delay_readyz_fails_first_and_a_second_signal_ends_it() {
    let origin = Origin::named("a");
    let (port, api) = (free_port(), free_port());
    let process = json!({"workers": 1, "shutdown_delay": 60});
    let file = configured("shutdown-delay", &origin, (port, api), process);
    let mut program = Program::start(&file, port);
    assert_eq!(status(api, "/readyz"), 200);
    program.signal("-TERM");
    eventually("/readyz fails", || status(api, "/readyz") == 503);
    assert_eq!(Client::connect(program.proxy).get("/").text(), "a");
    assert_eq!(status(api, "/livez"), 200);
    program.signal("-TERM");
    let status = program.process.wait().expect("it is a child");
    assert!(status.success(), "{status}: {}", program.log());
    assert!(TcpStream::connect(program.proxy).is_err());

    let process = json!({"workers": 1, "shutdown_delay": 0.05});
    configured("shutdown-delay", &origin, (port, api), process);
    let mut program = Program::start(&file, port);
    program.end();
}
