//! The sockets the program listens on: bound here, or passed by systemd or by
//! the process before this one.

use std::io;
use std::net::{TcpListener, ToSocketAddrs};

use listenfd::ListenFd;

use super::proxy;
use crate::config::{Api, Config, Listen};

/// What the sockets of systemd are told apart by: `FileDescriptorName=`.
const PROXY: &str = "proxy";
const API: &str = "api";

/// Listening sockets. Those of the proxy may be more or fewer than workers.
#[derive(Debug, Default)]
pub struct Sockets {
    /// Where clients connect.
    pub proxy: Vec<TcpListener>,
    /// Where operators connect.
    pub api: Vec<TcpListener>,
}

impl Sockets {
    /// Those that systemd passes to this process, by the names that its units
    /// give them; none without systemd. To be called before there are threads.
    ///
    /// # Errors
    /// When one has another name, or is no TCP socket.
    pub fn of_systemd() -> io::Result<Self> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let names: Vec<&str> = names.split(':').collect();
        let mut passed = ListenFd::from_env();
        let mut sockets = Self::default();
        for i in 0..passed.len() {
            let name = names.get(i).copied().unwrap_or_default();
            let named = |error: io::Error| {
                let message = format!("systemd passes a socket {name:?}: {error}");
                io::Error::new(error.kind(), message)
            };
            let place = match name {
                PROXY => &mut sockets.proxy,
                API => &mut sockets.api,
                _ => {
                    let error = "set FileDescriptorName= of its unit to proxy or api";
                    return Err(named(io::Error::new(io::ErrorKind::InvalidInput, error)));
                }
            };
            let listener = passed.take_tcp_listener(i).map_err(named)?;
            if let Some(listener) = listener {
                listener.set_nonblocking(true)?;
                place.push(listener);
            }
        }
        Ok(sockets)
    }

    /// The same, and bound as configured where none were passed.
    ///
    /// # Errors
    /// When one cannot be bound.
    pub fn completed(mut self, config: &Config, n_workers: usize) -> io::Result<Self> {
        if self.proxy.is_empty() {
            let (host, port) = place(&config.listen);
            self.proxy = proxy::listen::bind(host, port, n_workers).map_err(|error| {
                let message = format!("the proxy cannot listen on {host}:{port}: {error}");
                io::Error::new(error.kind(), message)
            })?;
        }
        if self.api.is_empty() {
            self.api = bind_api(&config.api)?;
        }
        Ok(self)
    }

    /// The same sockets once more.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn try_clone(&self) -> io::Result<Self> {
        let clones = |listeners: &[TcpListener]| -> io::Result<Vec<TcpListener>> {
            listeners.iter().map(TcpListener::try_clone).collect()
        };
        Ok(Self {
            proxy: clones(&self.proxy)?,
            api: clones(&self.api)?,
        })
    }

    /// Where clients connect, and where operators do, in words.
    ///
    /// # Errors
    /// When a socket has no address.
    pub fn addresses(&self) -> io::Result<(String, String)> {
        Ok((addresses(&self.proxy)?, addresses(&self.api)?))
    }
}

fn place(listen: &Listen) -> (&str, u16) {
    (listen.host.as_str(), listen.port.number())
}

/// Binds every address of the API's host that this machine has: «localhost»
/// often names an IPv6 address where there is no IPv6.
fn bind_api(api: &Api) -> io::Result<Vec<TcpListener>> {
    let (host, port) = (api.host.as_str(), api.port.number());
    let explain = |error: io::Error| {
        let message = format!("the API cannot listen on {host}:{port}: {error}");
        io::Error::new(error.kind(), message)
    };
    let mut listeners = Vec::new();
    let mut missing = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs().map_err(explain)? {
        match TcpListener::bind(address) {
            Ok(listener) => {
                listener.set_nonblocking(true)?;
                listeners.push(listener);
            }
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => missing = error,
            Err(error) => return Err(explain(error)),
        }
    }
    if listeners.is_empty() {
        Err(explain(missing))
    } else {
        Ok(listeners)
    }
}

/// The addresses of these, each once.
fn addresses(listeners: &[TcpListener]) -> io::Result<String> {
    let mut addresses = Vec::new();
    for listener in listeners {
        let address = listener.local_addr()?.to_string();
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses.join(", "))
}
