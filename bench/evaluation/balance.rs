//! How even shares are: against virtual nodes, by algorithm, by weight.

use std::fmt::Write as _;

use ringway::engine::{Algorithm, Layout, TableSize};

use super::fleet::{algorithms, fleet, layout};
use super::plot::{self, Line};

const V: [u64; 10] = [1, 2, 5, 10, 20, 40, 100, 160, 256, 1000];
const N: [u32; 3] = [10, 100, 1000];

/// The largest share over the mean one that is expected of `n` servers of `v`
/// random points each. Shares are as gamma variables of shape v over their sum,
/// which is independent of the ratios, so it is E[max of n gammas] / v.
#[expect(clippy::disallowed_methods, reason = "for a table of three digits")]
pub(crate) fn expected_peak(n: u32, v: u64) -> f64 {
    let v_f = v as f64;
    // The chance that a gamma variable is below x: 1 - sum e^-x x^k / k!.
    let below = |x: f64| {
        let mut log_term = -x;
        let mut above = log_term.exp();
        for k in 1..v {
            log_term += (x / k as f64).ln();
            above += log_term.exp();
        }
        (1.0 - above).max(0.0)
    };
    let step = v_f.sqrt() / 100.0;
    let end = v_f + 30.0 * v_f.sqrt();
    let mut sum = 0.0;
    let mut x = step / 2.0;
    while x < end {
        sum += (1.0 - below(x).powi(n as i32)) * step;
        x += step;
    }
    sum / v_f
}

struct Seen {
    cv: f64,
    peak: f64,
    low: f64,
    high: f64,
}

fn seen(n: u32, make: impl Fn(u64) -> Layout) -> Seen {
    let n_fleets = if n >= 1000 { 4 } else { 40 };
    let (mut cv, mut peak) = (0.0, 0.0);
    let mut ratios = Vec::new();
    for i in 0..n_fleets {
        let layout = make(i);
        let balance = layout.balance();
        cv += balance.cv * balance.cv / n_fleets as f64;
        peak += balance.peak_to_mean / n_fleets as f64;
        let shares = layout.shares();
        ratios.extend(shares.iter().map(|share| share.fraction() * f64::from(n)));
    }
    ratios.sort_by(f64::total_cmp);
    let at = |part: f64| ratios[((ratios.len() - 1) as f64 * part).round() as usize];
    Seen {
        cv: cv.sqrt(),
        peak,
        low: at(0.005),
        high: at(0.995),
    }
}

pub(crate) fn against_virtual_nodes(out: &mut String) {
    let rules = [Algorithm::Ring, Algorithm::LocalRendezvous];
    out.push_str(
        "| virtual nodes | servers | ring: cv | theory | ring: peak to mean | theory | ring: 99 % of servers within | local-rendezvous: cv | peak to mean | 99 % within |\n|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    let mut cvs: Vec<Line> = Vec::new();
    let mut peaks: Vec<Line> = Vec::new();
    for n in N {
        let mut lines = [const { Vec::new() }; 6];
        for v in V {
            let [ring, local] = [&rules[0], &rules[1]]
                .map(|rule| seen(n, |i| layout(rule, v, &fleet(i, n, |_| 1))));
            let points = u64::from(n) * v;
            let cv = (f64::from(n - 1) / (points + 1) as f64).sqrt();
            let peak = expected_peak(n, v);
            let _ = writeln!(
                out,
                "| {v} | {n} | {:.4} | {cv:.4} | {:.3} | {peak:.3} | {:.2} – {:.2} | {:.4} | {:.3} | {:.2} – {:.2} |",
                ring.cv,
                ring.peak,
                ring.low,
                ring.high,
                local.cv,
                local.peak,
                local.low,
                local.high
            );
            let ys = [ring.cv, cv, local.cv, ring.peak, peak, local.peak];
            for (line, y) in lines.iter_mut().zip(ys) {
                line.push((v as f64, y));
            }
        }
        if n != 100 {
            continue;
        }
        let names = ["ring", "ring, theory", "local-rendezvous"];
        for (i, points) in lines.into_iter().enumerate() {
            let line = Line {
                name: names[i % 3].to_owned(),
                is_theory: i % 3 == 1,
                points,
            };
            if i < 3 { &mut cvs } else { &mut peaks }.push(line);
        }
    }
    plot::lines(
        "balance-cv",
        "Variation of shares, 100 servers",
        "virtual nodes of each server",
        "coefficient of variation",
        &cvs,
    );
    plot::lines(
        "balance-peak",
        "Largest share over the mean one, 100 servers",
        "virtual nodes of each server",
        "peak to mean",
        &peaks,
    );
}

pub(crate) fn by_algorithm(out: &mut String) {
    out.push_str("| algorithm | servers | points or slots | cv | peak to mean | 99 % of servers within |\n|---|---:|---:|---:|---:|---:|\n");
    for algorithm in algorithms() {
        for n in N {
            let all = seen(n, |i| layout(&algorithm, 100, &fleet(i, n, |_| 1)));
            let parts = layout(&algorithm, 100, &fleet(0, n, |_| 1)).n_points();
            let parts = match &algorithm {
                Algorithm::Rendezvous | Algorithm::Jump => "–".to_owned(),
                _ if parts == 0 => TableSize::DEFAULT.number().to_string(),
                _ => parts.to_string(),
            };
            let _ = writeln!(
                out,
                "| {} | {n} | {parts} | {:.4} | {:.3} | {:.2} – {:.2} |",
                algorithm.name(),
                all.cv,
                all.peak,
                all.low,
                all.high
            );
        }
    }
}

pub(crate) fn by_weight(out: &mut String) {
    out.push_str("| algorithm | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n");
    let n_fleets = 20;
    for algorithm in algorithms() {
        if algorithm == Algorithm::Jump {
            continue;
        }
        let mut sums = [0.0; 10];
        for i in 0..n_fleets {
            let servers = fleet(i, 100, |s| (u64::from(s) + 7 * i) % 10 + 1);
            for ((server, _), share) in servers
                .iter()
                .zip(layout(&algorithm, 100, &servers).shares())
            {
                sums[server.weight.number() as usize - 1] += share.fraction() / n_fleets as f64;
            }
        }
        let _ = write!(out, "| {} |", algorithm.name());
        for (sum, weight) in sums.iter().zip(1..) {
            let _ = write!(out, " {:.3} |", sum * 55.0 / f64::from(weight));
        }
        out.push('\n');
    }
}
