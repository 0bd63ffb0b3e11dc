//! What one process tells the next that takes its place. Both may be of
//! different versions of the program.

use core::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Faults, FleetState, ServerSpec, read_version};
use crate::engine::{AdminState, Admission, EjectionMemory, Health, Memory, Server};

/// The version of the document that is written, and the newest that is read.
const VERSION: u64 = 1;

shape! { in
    /// Everything but the sockets, which go beside it.
    pub struct Handover {
        /// The version of this document's form: 1.
        #[cfg_attr(test, ts(type = "number"))]
        pub version: u64,
        /// Where the proxy is configured to listen, as `host:port`.
        pub listen: String,
        /// Where the API is.
        pub api: String,
        /// How many of the sockets are the proxy's; they come first.
        pub proxy_sockets: usize,
        /// How many are the API's.
        pub api_sockets: usize,
        /// What operators have made of the configured fleet.
        pub fleet: FleetState,
        /// What is known of the servers.
        pub servers: Vec<ServerMemory>,
    }
}

shape! { in
    /// What is known of one server.
    pub struct ServerMemory {
        /// The server.
        pub server: ServerSpec,
        /// What operators say.
        #[cfg_attr(test, ts(type = "'active' | 'draining'"))]
        pub state: AdminState,
        /// What probes say: true is healthy, null is unknown.
        pub healthy: Option<bool>,
        /// Whether it may be used before a probe has judged it.
        pub trusted: bool,
        /// Milliseconds until an ejection ends.
        pub ejected_for_ms: Option<u64>,
        /// Ejections in a row.
        pub ejections: u32,
        /// How many milliseconds ago the last one ended.
        pub readmitted_ms_ago: Option<u64>,
        /// Whether its next failure ejects it again.
        pub on_trial: bool,
        /// What part of its keys it takes, in 65,536ths.
        pub admission: u32,
    }
}

impl Handover {
    /// The document of these.
    pub fn new(
        (listen, api): (String, String),
        (proxy_sockets, api_sockets): (usize, usize),
        fleet: FleetState,
        memories: Vec<Memory>,
    ) -> Self {
        Self {
            version: VERSION,
            listen,
            api,
            proxy_sockets,
            api_sockets,
            fleet,
            servers: memories.into_iter().map(ServerMemory::from).collect(),
        }
    }

    /// Reads the line that [`Self::line`] has written.
    ///
    /// # Errors
    /// When it is not one, or of a version that is not known here.
    pub fn parse(line: &[u8]) -> Result<Self, Faults> {
        read_version(line, VERSION, |_| "")
    }

    /// The document as a line.
    pub fn line(&self) -> Vec<u8> {
        // Shapes have only texts for keys and no serialiser that fails.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// What is known of the servers.
    pub fn memories(&self) -> Vec<Memory> {
        self.servers.iter().cloned().map(Memory::from).collect()
    }
}

impl From<Memory> for ServerMemory {
    fn from(memory: Memory) -> Self {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let Memory {
            server,
            state,
            health,
            is_trusted,
            ejection,
            admission,
        } = memory;
        Self {
            server: (&server).into(),
            state,
            healthy: match health {
                Health::Unknown => None,
                Health::Healthy => Some(true),
                Health::Unhealthy => Some(false),
            },
            trusted: is_trusted,
            ejected_for_ms: ejection.ends_in.map(millis),
            ejections: ejection.count,
            readmitted_ms_ago: ejection.readmitted_ago.map(millis),
            on_trial: ejection.on_trial,
            admission: admission.parts(),
        }
    }
}

impl From<ServerMemory> for Memory {
    fn from(memory: ServerMemory) -> Self {
        Self {
            server: Server::from(memory.server),
            state: memory.state,
            health: match memory.healthy {
                None => Health::Unknown,
                Some(true) => Health::Healthy,
                Some(false) => Health::Unhealthy,
            },
            is_trusted: memory.trusted,
            ejection: EjectionMemory {
                ends_in: memory.ejected_for_ms.map(Duration::from_millis),
                count: memory.ejections,
                readmitted_ago: memory.readmitted_ms_ago.map(Duration::from_millis),
                on_trial: memory.on_trial,
            },
            admission: Admission::from_parts(memory.admission),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Address, Port, ServerName, Weight};

    #[test]
    fn what_is_known_comes_back_as_it_was() {
        let memory = |health, ends_in, admission| Memory {
            server: Server {
                name: ServerName::new("a").expect("a name"),
                address: Address::new("::1").expect("an address"),
                port: Port::new(7).expect("a port"),
                weight: Weight::new(9).expect("a weight"),
                backup: true,
                id: None,
                hash_name: None,
                max_in_flight: None,
                link: None,
            },
            state: AdminState::Draining,
            health,
            is_trusted: true,
            ejection: EjectionMemory {
                ends_in,
                count: 3,
                readmitted_ago: ends_in,
                on_trial: true,
            },
            admission,
        };
        let memories = vec![
            memory(Health::Unknown, None, Admission::FULL),
            memory(
                Health::Healthy,
                Some(Duration::from_millis(1)),
                Admission::NONE,
            ),
            memory(Health::Unhealthy, None, Admission::from_parts(77)),
        ];
        let places = ("a:1".to_owned(), "b:2".to_owned());
        let fleet = FleetState::unchanged();
        let written = Handover::new(places, (2, 1), fleet, memories.clone());
        let read = Handover::parse(&written.line()).expect("it is one");
        assert_eq!(read, written);
        assert_eq!(read.memories(), memories);
        let newer = br#"{"version": 2}"#;
        let faults = Handover::parse(newer).expect_err("it is not known");
        assert!(faults.to_string().contains("known is 1"), "{faults}");
    }
}
