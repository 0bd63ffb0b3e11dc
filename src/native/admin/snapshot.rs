//! What another engine needs to route as this proxy does: read again and again,
//! so an answer is as short as it can be when nothing has changed.

use http::{HeaderValue, StatusCode, header};

use super::call::{Answer, Call, answer, json};
use crate::config::SnapshotView;

pub(super) fn show(call: &Call) -> Answer {
    let view = call.admin.shared.routing_snapshot();
    let tag = tag(&view);
    let is_known = super::servers::names(&call.headers, &header::IF_NONE_MATCH, &tag);
    let mut response = if is_known {
        answer(StatusCode::NOT_MODIFIED, "application/json", Vec::new())
    } else {
        json(StatusCode::OK, &view)
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, tag);
    // Kept, but asked for again each time.
    let no_cache = HeaderValue::from_static("no-cache");
    headers.insert(header::CACHE_CONTROL, no_cache);
    Ok(response)
}

/// Equal just when all is that decides a route, times that run left out: who
/// has the rest can go on by a clock.
fn tag(view: &SnapshotView) -> HeaderValue {
    let mut timeless = view.clone();
    for memory in &mut timeless.servers {
        memory.ejected_for_ms = memory.ejected_for_ms.map(|_| 0);
        memory.readmitted_ms_ago = None;
    }
    let text = serde_json::to_vec(&timeless).unwrap_or_default();
    let tag = format!("\"{:016x}\"", xxhash_rust::xxh3::xxh3_64(&text));
    HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\""))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Config;
    use crate::engine::{LoadBalancer, Observation, Timestamp, Verdict};

    #[test]
    fn a_tag_is_another_one_just_when_a_fact_is() {
        let at = |seconds: u64| Timestamp::from_millis(1000 * seconds);
        let server = |name: &str| json!({ "name": name, "address": "10.0.0.1", "port": 80 });
        let config = json!({ "servers": [server("a"), server("b")],
            "ejection": { "consecutive_5xx": 1 }, "routing": { "slow_start": 64 } });
        let config = Config::read(config).expect("it is good");
        let mut lb =
            LoadBalancer::new(config.settings(), config.servers(), at(0)).expect("a fleet");
        let tag_of =
            |lb: &LoadBalancer, seconds| tag(&SnapshotView::new(&config.rules(), lb, at(seconds)));
        let mut tags = vec![tag_of(&lb, 0)];
        let mut expect = |lb: &LoadBalancer, seconds: u64, is_new: bool| {
            let tag = tag_of(lb, seconds);
            assert_eq!(tags.last() != Some(&tag), is_new, "at {seconds} s");
            assert_eq!(!tags.contains(&tag), is_new, "at {seconds} s");
            tags.push(tag);
        };
        let a = lb.table().servers()[0].id;
        let judge = |lb: &mut LoadBalancer, verdict, seconds| {
            let (server, term) = (a, lb.term(a));
            let judged = Observation::Judged {
                server,
                term,
                verdict,
            };
            let _ = lb.observe(judged, at(seconds));
        };
        judge(&mut lb, Verdict::Good, 1);
        expect(&lb, 1, false);
        judge(&mut lb, Verdict::Failed, 2);
        expect(&lb, 2, true);
        expect(&lb, 20, false);
        let _ = lb.advance(at(50));
        expect(&lb, 50, true);
        judge(&mut lb, Verdict::Good, 51);
        expect(&lb, 51, true);
        // A step of slow start is a second.
        expect(&lb, 52, false);
        let _ = lb.advance(at(53));
        expect(&lb, 53, true);
        let _ = lb.advance(at(200));
        expect(&lb, 200, true);
        expect(&lb, 300, false);
    }
}
