//! `ringway demo`: a fleet to play with.
//!
//! Three small servers run as processes of their own, so that one can be
//! killed and started again like a real one; the proxy and the API run here.

use std::convert::Infallible;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;

use crate::config::Config;
use crate::wire::Faults;

const NAMES: [&str; 3] = ["apple", "banana", "cherry"];

/// The running servers; they end with this value, or with the process.
#[derive(Debug)]
pub struct DemoFleet {
    servers: Vec<DemoServer>,
}

#[derive(Debug)]
struct DemoServer {
    name: &'static str,
    port: u16,
    process: Child,
}

impl DemoFleet {
    /// Starts the servers on free ports.
    ///
    /// # Errors
    /// When this program cannot be started again.
    pub fn start() -> io::Result<Self> {
        let program = std::env::current_exe()?;
        let mut fleet = Self {
            servers: Vec::new(),
        };
        for name in NAMES {
            // The pipe is the leash: the server ends when it breaks, however
            // this process ends.
            let mut process = Command::new(&program)
                .args(["demo-server", "--name", name, "--until-stdin-ends"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?;
            let mut line = String::new();
            if let Some(out) = process.stdout.take() {
                BufReader::new(out).read_line(&mut line)?;
            }
            let port = line.trim().parse().map_err(|_| {
                io::Error::other(format!("the demo server {name} did not say its port"))
            })?;
            fleet.servers.push(DemoServer {
                name,
                port,
                process,
            });
        }
        Ok(fleet)
    }

    /// The proxy's configuration in front of these servers. Different paths
    /// are different keys; sick servers are found out within seconds.
    ///
    /// # Errors
    /// When the two ports are the same.
    pub fn config(&self, port: u16, api_port: u16) -> Result<Config, Faults> {
        let servers: Vec<_> = self
            .servers
            .iter()
            .map(|server| json!({"name": server.name, "address": "127.0.0.1", "port": server.port}))
            .collect();
        Config::read(json!({
            "servers": servers,
            "listen": {"host": "127.0.0.1", "port": port},
            "routing": {"hash_key": ["path"], "debug_header": true},
            "health_check": {"interval": 2, "timeout": 1, "fast_interval": 0.5, "fall": 2},
            "ejection": {"base": 4, "cap": 20},
            "api": {"host": "localhost", "port": api_port},
        }))
    }

    /// Says what to try next.
    ///
    /// # Errors
    /// When `out` cannot be written to.
    pub fn next_steps(&self, port: u16, api_port: u16, mut out: impl Write) -> io::Result<()> {
        let program = std::env::current_exe()?;
        let program = program.display();
        writeln!(
            out,
            "\nThree servers and a proxy in front of them are running.\n"
        )?;
        writeln!(
            out,
            "  Ask for some paths; each always goes to the same server:"
        )?;
        writeln!(
            out,
            "    for i in 1 2 3 4 5 6; do curl localhost:{port}/$i; done\n"
        )?;
        writeln!(out, "  See the ring:   http://localhost:{api_port}/")?;
        writeln!(
            out,
            "  Ask why:        curl 'localhost:{api_port}/api/explain?key=/1'\n"
        )?;
        writeln!(
            out,
            "  Kill a server; only its paths move, and no request fails:"
        )?;
        for server in &self.servers {
            writeln!(out, "    kill {:<8} # {}", server.process.id(), server.name)?;
        }
        writeln!(out, "  Start it again, and within seconds they come back:")?;
        for server in &self.servers {
            writeln!(
                out,
                "    {program} demo-server --name {} --port {} &",
                server.name, server.port
            )?;
        }
        writeln!(out, "\nCtrl-C ends it all.\n")?;
        out.flush()
    }
}

impl Drop for DemoFleet {
    fn drop(&mut self) {
        for server in &mut self.servers {
            // It may have been killed already; then there is nothing to do.
            let _ = server.process.kill();
            let _ = server.process.wait();
        }
    }
}

/// Runs one small server: it answers every request with its name and the path.
///
/// # Errors
/// When the port cannot be had.
pub fn serve_one(name: &str, port: u16, until_stdin_ends: bool) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?.port());
    if until_stdin_ends {
        std::thread::spawn(|| {
            let _ = io::stdin().read_to_end(&mut Vec::new());
            std::process::exit(0);
        });
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            let name = name.to_owned();
            tokio::spawn(async move {
                let service = service_fn(|request: Request<hyper::body::Incoming>| {
                    let text = format!("{name} answers {}\n", request.uri().path());
                    async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text)))) }
                });
                // A connection that breaks is the client's affair.
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    })
}
