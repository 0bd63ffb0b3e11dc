//! The command line: what can be asked, in words. What is done stands in the
//! files that [`super::run`] calls.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::wire::RequestPath;

/// Consistent-hashing HTTP load balancer.
#[derive(Debug, Parser)]
#[command(
    name = "ringway",
    version,
    about,
    long_about = "Consistent-hashing HTTP load balancer: the same key goes to the same server, here, \
        in the npm package and on the page.",
    after_help = "Start with `ringway demo`, then open http://localhost:9090/.\n\n\
        Exit status: 0 done, 1 it could not be done, 2 wrong usage or configuration, \
        3 a plan moves too much."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be asked.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the proxy and the API
    #[command(
        after_help = "Examples:\n  ringway serve\n  ringway serve --config /etc/ringway.json --log debug"
    )]
    Serve {
        /// Which configuration.
        #[command(flatten)]
        config: ConfigArg,
        /// What is recorded.
        #[command(flatten)]
        record: RecordArgs,
        /// How to log.
        #[command(flatten)]
        log: LogArgs,
    },
    /// Try it: three small servers, the proxy in front of them, and the page
    #[command(after_help = "Examples:\n  ringway demo\n  ringway demo --port 8000 --api-port 9000")]
    Demo {
        /// The port of the proxy
        #[arg(long, default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..))]
        port: u16,
        /// The port of the API and the page
        #[arg(long, default_value_t = 9090, value_parser = clap::value_parser!(u16).range(1..))]
        api_port: u16,
        /// How to log.
        #[command(flatten)]
        log: LogArgs,
    },
    /// Run one of the demo's small servers (the demo does, and says how to do it again)
    DemoServer {
        /// The name it answers with
        #[arg(long)]
        name: String,
        /// Its port; 0 picks a free one, which is printed
        #[arg(long, default_value_t = 0)]
        port: u16,
        /// End when standard input ends
        #[arg(long, hide = true)]
        until_stdin_ends: bool,
    },
    /// Say whether a configuration is good, and name every fault
    #[command(after_help = "Example:\n  ringway check config.json")]
    Check {
        /// The configuration file
        file: PathBuf,
    },
    /// Say which server each key goes to while all are healthy
    #[command(after_help = "Prints a line of JSON for each key.\n\n\
        Examples:\n  ringway route --config config.json user-1 user-2\n  \
        cut -d' ' -f1 access.log | ringway route --config config.json")]
    Route {
        /// Which configuration.
        #[command(flatten)]
        config: ConfigArg,
        /// The keys; without any, each line of standard input is one
        keys: Vec<String>,
    },
    /// Say why each key goes where it goes while all servers are healthy
    #[command(
        after_help = "Without keys, a request is explained: what of it is its key, by \
        routing.hash_key.\n\n\
        Examples:\n  ringway explain --config config.json user-1\n  \
        ringway explain --path '/cart?id=7' --header 'x-user-id: 42' --client-ip 192.0.2.7"
    )]
    Explain {
        /// Which configuration.
        #[command(flatten)]
        config: ConfigArg,
        /// The keys
        keys: Vec<String>,
        /// Or a request.
        #[command(flatten)]
        request: RequestArgs,
        /// Print a line of JSON for each key instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Show how evenly a configuration shares the ring
    #[command(after_help = "Example:\n  ringway ring --config config.json")]
    Ring {
        /// Which configuration.
        #[command(flatten)]
        config: ConfigArg,
        /// Print JSON, with all points, instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Say what another configuration would move, before it is used
    #[command(after_help = "Compares the two at rest: health is left out.\n\n\
            Examples:\n  ringway plan --config config.json --to new.json\n  \
            ringway plan --to new.json --max-moved 5% || echo too much\n  \
            ringway plan --to new.json --access-log /var/log/nginx/access.log\n  \
            zcat access.log.*.gz | ringway plan --to new.json --access-log -\n  \
            cut -d' ' -f1 access.log | ringway plan --to new.json --keys -\n\n\
            Exit status: 3 when more would move than --max-moved allows.")]
    Plan {
        /// Which configuration is in use.
        #[command(flatten)]
        config: ConfigArg,
        /// The configuration that would follow it
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// A file of keys, a line each, or `-` for standard input: how many of
        /// them move, and how many each server gets
        #[arg(long, value_name = "FILE")]
        keys: Option<PathBuf>,
        /// The same for an access log: common or combined log format, or lines of
        /// JSON (Ringway's own, or by the names of nginx's variables). Keys are
        /// made by routing.hash_key of each configuration; what the log does not
        /// tell counts as not sent
        #[arg(long, value_name = "FILE", conflicts_with = "keys")]
        access_log: Option<PathBuf>,
        /// Fail when more would move, of all keys or of the requests given: 5% or 0.05
        #[arg(long, value_name = "PART", value_parser = super::plan::part)]
        max_moved: Option<f64>,
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of the configuration
    Schema,
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  ringway completions bash > /etc/bash_completion.d/ringway")]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Which configuration a command reads.
#[derive(Debug, Args)]
pub struct ConfigArg {
    /// The configuration file; default config.json in the current folder
    #[arg(long = "config", short, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// What a running proxy records; by default nothing.
#[derive(Debug, Default, Args)]
pub struct RecordArgs {
    /// Append what happens to the fleet, and figures each second, to this file, a
    /// line of JSON each; what GET /api/events tells
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// How large that file may grow; it is then set aside as FILE.1, in place of
    /// the one before
    #[arg(long, value_name = "MIB", default_value_t = 64, requires = "record",
        value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    pub record_max: u32,
}

/// How a running proxy logs, to standard error.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// What to log: error, warn, info, debug, trace or off, or a filter such as
    /// `info,ringway::native::proxy=debug`
    #[arg(long, default_value = "info", value_name = "LEVEL")]
    pub log: String,
    /// How to log it
    #[arg(long, default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// An object a line, for machines
    Json,
}

/// A request that is asked about.
#[derive(Debug, Args)]
pub struct RequestArgs {
    /// The path and query of the request
    #[arg(long, default_value = "/", value_parser = RequestPath::new, conflicts_with = "keys")]
    pub path: RequestPath,
    /// A header field of it, as `name: value`; may be given several times
    #[arg(long = "header", value_name = "FIELD", value_parser = field, conflicts_with = "keys")]
    pub headers: Vec<(String, String)>,
    /// The IP address of its client
    #[arg(long, value_name = "IP", conflicts_with = "keys")]
    pub client_ip: Option<String>,
}

/// The name and the value of a header field.
fn field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("give it as `name: value`")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}
