//! How two configurations differ, setting by setting, and which settings a
//! running proxy cannot change.

use serde_json::Value;

use super::Config;
use crate::wire::{Fault, Faults};

/// What is only looked at when the program starts: sockets that are bound,
/// threads that are made, and all of the API, so that nobody can lock the
/// operators out while it runs.
const NEEDS_RESTART: &[&str] = &[
    "api",
    "listen.host",
    "listen.port",
    "process.http1_codec",
    "process.workers",
];

/// What is taken from the configuration in effect, whenever it is needed.
#[cfg(test)]
const APPLIED: &[&str] = &[
    "access_log",
    "compat",
    "ejection",
    "forwarding",
    "health_check",
    "hot_keys",
    "http2",
    "limits.connections",
    "limits.header_bytes",
    "limits.headers",
    "listen.proxy_protocol",
    "listen.tls",
    "pool",
    "process.max_moved",
    "process.shutdown_delay",
    "process.shutdown_grace",
    "process.state_file",
    "process.watch_config",
    "queue",
    "rate_limit",
    "retries",
    "routing",
    "timeouts",
    "tracing",
    "upgrades",
];

/// One setting that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Where it stands: `routing.fail_open`.
    pub path: String,
    /// Its value before.
    pub before: Value,
    /// Its value after.
    pub after: Value,
}

impl Config {
    /// The settings, servers left out, that are others in `after`; secrets are
    /// not shown.
    pub fn differences(&self, after: &Self) -> Vec<Difference> {
        // Shapes have only texts for keys and no serialiser that fails.
        let document = |config| serde_json::to_value(config).unwrap_or_default();
        let mut found = Vec::new();
        compare("", &document(self), &document(after), &mut found);
        // Secrets look alike.
        if self.api.token != after.api.token && found.iter().all(|d| d.path != "api.token") {
            let redacted = Value::from("[redacted]");
            found.push(Difference {
                path: "api.token".to_owned(),
                before: redacted.clone(),
                after: redacted,
            });
        }
        let path = "health_check.headers";
        if self.health_check.headers != after.health_check.headers
            && found.iter().all(|d| !is_under(&[path], &d.path))
        {
            let redacted = Value::from("[redacted]");
            found.push(Difference {
                path: path.to_owned(),
                before: redacted.clone(),
                after: redacted,
            });
        }
        found
    }

    /// Whether a running proxy can go over to `after`.
    ///
    /// # Errors
    /// Every setting that cannot change without a restart.
    pub fn can_become(&self, after: &Self) -> Result<(), Faults> {
        let stuck = self.differences(after).into_iter();
        let stuck = stuck.filter(|difference| is_under(NEEDS_RESTART, &difference.path));
        let fault = |Difference {
                         path,
                         before,
                         after,
                     }| Fault {
            message: format!("a change from {before} to {after} needs a restart"),
            path,
        };
        Faults::check(stuck.map(fault).collect())
    }
}

fn is_under(places: &[&str], path: &str) -> bool {
    places.iter().any(|place| {
        let rest = path.strip_prefix(place);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// Goes down to the settings: lists and the values of a hash key are whole.
fn compare(path: &str, before: &Value, after: &Value, found: &mut Vec<Difference>) {
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        if before != after {
            found.push(Difference {
                path: path.to_owned(),
                before: before.clone(),
                after: after.clone(),
            });
        }
        return;
    };
    for (name, after) in new.iter().filter(|(name, _)| *name != "servers") {
        let place = match path {
            "" => name.clone(),
            _ => format!("{path}.{name}"),
        };
        compare(&place, old.get(name).unwrap_or(&Value::Null), after, found);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(settings: Value) -> Config {
        let mut document = settings;
        document["servers"] = json!([]);
        Config::read(document).expect("a good configuration")
    }

    #[test]
    fn each_setting_either_applies_or_needs_a_restart() {
        let document = serde_json::to_value(config(json!({}))).expect("JSON");
        for (section, fields) in document.as_object().expect("an object") {
            for field in fields.as_object().into_iter().flat_map(|map| map.keys()) {
                let path = format!("{section}.{field}");
                let (live, stuck) = (is_under(APPLIED, &path), is_under(NEEDS_RESTART, &path));
                assert!(live != stuck, "{path}: what does a reload do with it?");
            }
        }
    }

    #[test]
    fn differences_are_named_by_their_paths_and_secrets_stay_hidden() {
        let token = |text: &str| json!({"token": text});
        let before = config(json!({"api": token("0123456789abcdef"), "timeouts": {"connect": 1}}));
        let after = config(
            json!({"api": token("fedcba9876543210"), "timeouts": {"connect": 2},
            "routing": {"hash_key": ["path"]}}),
        );
        assert_eq!(before.differences(&before), []);
        let found = before.differences(&after);
        let paths: Vec<&str> = found.iter().map(|d| d.path.as_str()).collect();
        assert_eq!(paths, ["routing.hash_key", "timeouts.connect", "api.token"]);
        assert!(!format!("{found:?}").contains("fedcba"), "{found:?}");
    }

    #[test]
    fn what_needs_a_restart_is_named_all_at_once() {
        let before = config(json!({}));
        let after = config(json!({"listen": {"port": 81}, "process": {"workers": 3},
            "retries": {"attempts": 0}, "api": {"port": 9}}));
        let faults = before.can_become(&after).expect_err("three are stuck");
        let mut paths: Vec<&str> = faults.as_slice().iter().map(|f| f.path.as_str()).collect();
        paths.sort_unstable();
        assert_eq!(paths, ["api.port", "listen.port", "process.workers"]);
        let live = config(json!({"retries": {"attempts": 0}}));
        assert_eq!(before.can_become(&live), Ok(()));
    }
}
