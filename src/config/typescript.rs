//! The TypeScript of every shape, those of `wire.rs` too: `pkg-template/wire.d.ts`,
//! which is committed and written anew by `UPDATE=1 cargo test typescript`.

use std::collections::BTreeMap;
use std::path::Path;

use ts_rs::{Config as Style, TS, TypeVisitor};

use super::{
    AccessLogFormat, AlgorithmName, CertificateFiles, ClientCertificates, Config, CookieIssue,
    ExpectedHeader, Http1Codec, ListenTls, PlanSpec, ProbeKind, ProbeTls, RateLimitRule, SameSite,
    ServerKey, SnapshotView, TlsVersion, TrustedField, Via,
};
use crate::wire::{
    ChangeView, EventView, ExplainView, FaultView, HealthView, HotKeysView, MetricsView, PlanView,
    ProblemView, ReloadView, RequestSpec, RingView, ServerSpec, ServersView, StateSpec, WeightSpec,
};

const HEAD: &str = "\
// Every JSON shape: of configuration, of the REST API's bodies, of what the package takes and gives.
// Made from src/wire.rs and src/config.rs by `UPDATE=1 cargo test typescript`; not to be edited.
";

/// Read by hand in `config/hash_key.rs`, so there is nothing to make it from.
const KEY_SOURCE: &str = "\
/**
 * One part of a request that can be its key.
 */
export type KeySource =
  | 'path'
  | 'uri'
  | 'client_ip'
  | { header: string }
  | { cookie: string; issue?: CookieIssue }
  | { query: string }
  | { join: KeySource[] };
";

/// Declarations by name, with those of all types they mention.
struct Declarations(BTreeMap<String, String>);

impl TypeVisitor for Declarations {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        // Only declared types have a file of their own; the rest stands inside others.
        if T::output_path().is_none() {
            return;
        }
        let style = Style::new().with_large_int("number");
        let docs = T::docs().unwrap_or_default();
        let text = laid_out(&format!("{docs}export {}\n", T::decl(&style)));
        if self.0.insert(T::ident(&style), text).is_none() {
            T::visit_dependencies(self);
        }
    }
}

/// As a person would write it: a field a line, indented, short comments on one.
fn laid_out(declaration: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in declaration.lines() {
        let is_comment = line.starts_with("/**") || line.starts_with(" *");
        if is_comment {
            lines.push(line.to_owned());
        } else {
            let line = line.replace("{ ", "{\n").replace(" }", "\n}");
            lines.extend(line.lines().map(|part| part.trim().to_owned()));
        }
    }
    let mut text = String::new();
    let mut depth = 0;
    let mut lines = lines.into_iter().filter(|line| !line.is_empty()).peekable();
    while let Some(mut line) = lines.next() {
        let is_comment = line.starts_with("/**") || line.starts_with(" *");
        if line == "/**" {
            let body = lines.next().unwrap_or_default();
            if lines.next_if(|next| next == " */").is_some() {
                line = format!("/** {} */", body.trim_start_matches(" *").trim());
            } else {
                line = format!("/**\n{}{body}", "  ".repeat(depth));
            }
        } else if !is_comment && line.starts_with('}') {
            depth -= 1;
        }
        text += &format!("{}{line}\n", "  ".repeat(depth));
        if !is_comment && line.ends_with('{') {
            depth += 1;
        }
    }
    text
}

#[test]
fn typescript_is_that_of_the_shapes() {
    let mut all = Declarations(BTreeMap::new());
    all.visit::<Config>();
    all.visit::<ServerSpec>();
    all.visit::<WeightSpec>();
    all.visit::<StateSpec>();
    all.visit::<ServersView>();
    all.visit::<HealthView>();
    all.visit::<MetricsView>();
    all.visit::<RingView>();
    all.visit::<ExplainView>();
    all.visit::<RequestSpec>();
    all.visit::<HotKeysView>();
    all.visit::<ChangeView>();
    all.visit::<PlanView>();
    all.visit::<ReloadView>();
    all.visit::<PlanSpec>();
    all.visit::<SnapshotView>();
    all.visit::<ServerKey>();
    all.visit::<ProbeKind>();
    all.visit::<ProbeTls>();
    all.visit::<ExpectedHeader>();
    all.visit::<ListenTls>();
    all.visit::<CertificateFiles>();
    all.visit::<ClientCertificates>();
    all.visit::<TlsVersion>();
    all.visit::<AlgorithmName>();
    all.visit::<RateLimitRule>();
    all.visit::<AccessLogFormat>();
    all.visit::<Http1Codec>();
    all.visit::<super::AfterQueue>();
    all.visit::<CookieIssue>();
    all.visit::<SameSite>();
    all.visit::<TrustedField>();
    all.visit::<Via>();
    all.visit::<EventView>();
    all.visit::<ProblemView>();
    all.visit::<FaultView>();
    all.0.insert("KeySource".to_owned(), KEY_SOURCE.to_owned());

    let texts: Vec<String> = all.0.into_values().collect();
    let text = format!("{HEAD}\n{}", texts.join("\n"));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("pkg-template/wire.d.ts");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &text).expect("the template can be written to");
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == text,
        "pkg-template/wire.d.ts is stale: run UPDATE=1 cargo test typescript"
    );
}
