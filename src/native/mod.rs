//! The proxy: everything that touches the operating system.
//!
//! [`run`] is the whole program. In reading order:

pub mod cli;

pub mod clock;

pub mod counters;

pub mod in_flight;
pub mod queue;
pub mod retries;

pub mod latency;

pub mod operations;

pub mod state;

pub mod rate_limit;

pub mod fleet;
pub mod shared;

pub mod driver;

pub mod health;

pub mod proxy;
mod proxy_protocol;

pub mod telemetry;

pub mod admin;

pub mod reload;

pub mod sockets;

pub mod systemd;

pub mod upgrade;

pub mod serve;

pub mod demo;

pub mod asked;

pub mod offline;

mod pem;
pub mod plan;

pub mod connections;
mod server_tls;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::config::Config;
use crate::engine::Idle;
use crate::wire::{ExplainView, PlanView};
use asked::Asked;
use cli::{Cli, Command, ConfigArg, RecordArgs, RequestArgs};
use demo::DemoFleet;
use plan::{Given, Lines};
use reload::{Refusal, Stamp};

/// The exit status for wrong usage or configuration; clap uses the same.
const MISUSE: u8 = 2;

/// The exit status of a plan that moves more than is allowed.
const MOVES_TOO_MUCH: u8 = 3;

/// Why a command ended without success, and what to say about it.
enum Failure {
    /// The user can mend it by other arguments or another configuration.
    Misuse(String),
    /// It could not be done.
    Failed(String),
    /// It would move more than is allowed.
    MovesTooMuch(String),
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Runs the program with these arguments, the first of which is its own name.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, with status 0.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(MISUSE));
        }
    };
    match execute(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Misuse(message)) => {
            eprintln!("ringway: {message}");
            ExitCode::from(MISUSE)
        }
        Err(Failure::MovesTooMuch(message)) => {
            eprintln!("ringway: {message}");
            ExitCode::from(MOVES_TOO_MUCH)
        }
        Err(Failure::Failed(message)) => {
            eprintln!("ringway: {message}");
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve {
            config,
            record,
            log,
        } => {
            let file = config_file(&config)?;
            let (config, stamp) = read_stamped(&file)?;
            telemetry::start(&log).map_err(Failure::Misuse)?;
            Ok(serve::serve(config, Some((file, stamp)), &record, || {
                Ok(())
            })?)
        }
        Command::Demo {
            port,
            api_port,
            log,
        } => {
            telemetry::start(&log).map_err(Failure::Misuse)?;
            let fleet = DemoFleet::start()?;
            let config = fleet
                .config(port, api_port)
                .map_err(|faults| Failure::Misuse(faults.to_string()))?;
            let nothing = RecordArgs::default();
            Ok(serve::serve(config, None, &nothing, || {
                fleet.next_steps(port, api_port, io::stdout())
            })?)
        }
        Command::DemoServer {
            name,
            port,
            until_stdin_ends,
        } => Ok(demo::serve_one(&name, port, until_stdin_ends)?),
        Command::Check { file } => {
            let (config, _) = read_stamped(&file)?;
            let n = config.servers.len();
            let servers = if n == 1 { "server" } else { "servers" };
            print(|out| writeln!(out, "{} is good: {n} {servers}", file.display()))
        }
        Command::Route { config, keys } => {
            let table = offline::table(&load(&config)?)?;
            if let Some(rule) = table.keyless() {
                return Err(Failure::Failed(format!(
                    "{} has no keys: any request may go to any server; `ringway ring` says \
                     what part of them each gets",
                    rule.name()
                )));
            }
            print(|out| {
                if keys.is_empty() {
                    offline::route_lines(&table, io::stdin().lock(), out)
                } else {
                    offline::route_keys(&table, keys.iter().map(String::as_bytes), out)
                }
            })
        }
        Command::Explain {
            config,
            keys,
            request,
            json,
        } => {
            let views = explained(&load(&config)?, &keys, &request)?;
            print(|out| {
                let mut views = views.iter();
                if json {
                    views.try_for_each(|view| {
                        serde_json::to_writer(&mut *out, view)?;
                        writeln!(out)
                    })
                } else {
                    views.try_for_each(|view| offline::explain_table(view, &mut *out))
                }
            })
        }
        Command::Ring { config, json } => {
            let table = offline::table(&load(&config)?)?;
            print(|out| {
                if json {
                    offline::ring_json(&table, out)
                } else {
                    offline::balance_table(&table, out)
                }
            })
        }
        Command::Plan {
            config,
            to,
            keys,
            access_log,
            max_moved,
            json,
        } => {
            let (before, after) = (load(&config)?, read(&to)?);
            let given = match (keys, access_log) {
                (Some(file), _) => Some(open(&file, Lines::Keys)?),
                (None, Some(file)) => Some(open(&file, Lines::AccessLog)?),
                (None, None) => None,
            };
            let plan = planned(&before, &after, given)?;
            print(|out| {
                if json {
                    serde_json::to_writer_pretty(&mut *out, &plan)?;
                    writeln!(out)
                } else {
                    plan::table(&plan, out)
                }
            })?;
            within(&plan, max_moved)
        }
        Command::Schema => print(|out| {
            serde_json::to_writer_pretty(&mut *out, &Config::schema())?;
            writeln!(out)
        }),
        Command::Completions { shell } => print(|out| {
            clap_complete::generate(shell, &mut Cli::command(), "ringway", out);
            Ok(())
        }),
    }
}

/// Why each of `keys` goes where it goes; without any, why the request does.
fn explained(
    config: &Config,
    keys: &[String],
    request: &RequestArgs,
) -> Result<Vec<ExplainView>, Failure> {
    let table = offline::table(config)?;
    if !keys.is_empty() {
        let views = keys.iter().map(|key| offline::explained(&table, key));
        return Ok(views.collect());
    }
    let fields = request.headers.iter();
    let fields = fields.map(|(name, value)| (&**name, &**value));
    let view = Asked::new(&request.path, fields, request.client_ip.as_deref())
        .and_then(|asked| asked.explained(&config.routing.hash_key, &table, &Idle))
        .map_err(|faults| Failure::Misuse(faults.to_string()))?;
    Ok(vec![view])
}

/// What one configuration after the other moves.
fn planned(before: &Config, after: &Config, given: Option<Given>) -> Result<PlanView, Failure> {
    let is_log = given.as_ref().is_some_and(|g| g.lines == Lines::AccessLog);
    if !is_log && before.routing.hash_key != after.routing.hash_key {
        eprintln!(
            "ringway: routing.hash_key changes, so requests get other keys; \
             --access-log says what that moves"
        );
    }
    let plan = plan::compare(before, after, given)?;
    has_requests(&plan)?;
    Ok(plan)
}

/// A file of keys or requests, or standard input for `-`.
fn open(file: &Path, lines: Lines) -> Result<Given, Failure> {
    if file == Path::new("-") {
        return Ok(Given {
            lines,
            input: Box::new(io::stdin().lock()),
            bytes: None,
        });
    }
    let cannot = |error| Failure::Failed(format!("{} cannot be read: {error}", file.display()));
    let opened = std::fs::File::open(file).map_err(cannot)?;
    let metadata = opened.metadata().map_err(cannot)?;
    Ok(Given {
        lines,
        input: Box::new(opened),
        bytes: metadata.is_file().then_some(metadata.len()),
    })
}

/// Refuses a log of which no line was understood: it is another kind of file.
fn has_requests(plan: &PlanView) -> Result<(), Failure> {
    let keys = plan.keys.as_ref().filter(|keys| keys.total == 0);
    let log = keys.and_then(|keys| keys.log.as_ref());
    let Some((log, first)) = log.and_then(|log| Some((log, log.first_skipped.as_ref()?))) else {
        return Ok(());
    };
    Err(Failure::Misuse(format!(
        "none of the {} lines of the access log is a request; line {}: {}",
        log.skipped, first.line, first.fault
    )))
}

/// Holds a plan, and the requests it was asked about, to what may move: the
/// larger part counts.
fn within(plan: &PlanView, max_moved: Option<f64>) -> Result<(), Failure> {
    let Some(allowed) = max_moved else {
        return Ok(());
    };
    let keys = plan.keys.as_ref();
    let of_keys = keys.map_or(0.0, |keys| keys.moved as f64 / keys.total.max(1) as f64);
    let (moved, what) = if plan.moved >= of_keys {
        (plan.moved, "all keys")
    } else {
        (of_keys, "the requests given")
    };
    if moved <= allowed {
        return Ok(());
    }
    Err(Failure::MovesTooMuch(format!(
        "{:.2}% of {what} would move; --max-moved allows {:.2}%",
        100.0 * moved,
        100.0 * allowed
    )))
}

/// Writes to standard output. A reader that has seen enough (`| head`) is no
/// failure.
fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    match write(&mut io::stdout().lock()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// Reads the configuration that a command names, or the one in the current folder.
fn load(config: &ConfigArg) -> Result<Config, Failure> {
    read(&config_file(config)?)
}

fn config_file(config: &ConfigArg) -> Result<PathBuf, Failure> {
    let default = PathBuf::from("config.json");
    match &config.file {
        Some(file) => Ok(file.clone()),
        None if default.exists() => Ok(default),
        None => Err(Failure::Misuse(
            "there is no config.json in the current folder; \
             name a file with --config, or try `ringway demo`"
                .to_owned(),
        )),
    }
}

fn read(file: &Path) -> Result<Config, Failure> {
    reload::read(file)
        .map(|(config, _)| config)
        .map_err(|refusal| not_read(file, refusal))
}

fn read_stamped(file: &Path) -> Result<(Config, Stamp), Failure> {
    reload::read_ready(file).map_err(|refusal| not_read(file, refusal))
}

fn not_read(file: &Path, refusal: Refusal) -> Failure {
    match refusal {
        Refusal::Invalid(faults) => {
            let lines: Vec<String> = faults
                .to_string()
                .lines()
                .map(|line| format!("  {line}"))
                .collect();
            Failure::Misuse(format!(
                "{} is not a good configuration:\n{}",
                file.display(),
                lines.join("\n")
            ))
        }
        refusal => Failure::Failed(refusal.to_string()),
    }
}
