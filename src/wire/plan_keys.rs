//! What a plan says of given keys, or of the requests of an access log.

use schemars::JsonSchema;
use serde::Serialize;

use super::BalanceView;

shape! { out
    /// What the given keys, or the requests of an access log, would do.
    pub struct PlanKeysView {
        /// How many requests there were: keys, each as often as it was given, or
        /// lines of the log.
        #[cfg_attr(test, ts(type = "number"))]
        pub total: u64,
        /// How many of them would go to another server.
        #[cfg_attr(test, ts(type = "number"))]
        pub moved: u64,
        /// How many different keys they have. Of a log: as the hash key in use
        /// makes them.
        #[cfg_attr(test, ts(type = "number"))]
        pub distinct: u64,
        /// How many of these would go to another server, with any of their requests.
        #[cfg_attr(test, ts(type = "number"))]
        pub distinct_moved: u64,
        /// How evenly the requests that have a key are spread, as it is; null
        /// when there are none.
        pub balance_before: Option<BalanceView>,
        /// The same, as it would be.
        pub balance_after: Option<BalanceView>,
        /// How many requests each server has and would have, by name.
        pub servers: Vec<KeyCountView>,
        /// How the log was read; null when keys were given.
        pub log: Option<PlanLogView>,
    }
}

shape! { out
    /// How many of the given requests go to a server.
    pub struct KeyCountView {
        /// Its name.
        pub server: String,
        /// As it is.
        #[cfg_attr(test, ts(type = "number"))]
        pub before: u64,
        /// As it would be.
        #[cfg_attr(test, ts(type = "number"))]
        pub after: u64,
    }
}

shape! { out
    /// How an access log was read.
    pub struct PlanLogView {
        /// How many requests got their key from which source of
        /// `routing.hash_key`: those of the configuration in use, then those that
        /// only the other one has, then those that found no key.
        pub sources: Vec<KeySourceCountView>,
        /// How many lines were no request.
        #[cfg_attr(test, ts(type = "number"))]
        pub skipped: u64,
        /// The first of these.
        pub first_skipped: Option<SkippedLineView>,
    }
}

shape! { out
    /// How many requests got their key from a source.
    pub struct KeySourceCountView {
        /// The source as the configuration has it; null for requests without a
        /// key, which go wherever there is least to do.
        pub source: Option<String>,
        /// As it is; null when this configuration has no such source.
        #[cfg_attr(test, ts(type = "number | null"))]
        pub before: Option<u64>,
        /// As it would be; null when that configuration has no such source.
        #[cfg_attr(test, ts(type = "number | null"))]
        pub after: Option<u64>,
    }
}

shape! { out
    /// A line that is no request.
    pub struct SkippedLineView {
        /// Its number, from 1.
        #[cfg_attr(test, ts(type = "number"))]
        pub line: u64,
        /// What is wrong with it.
        pub fault: String,
    }
}

impl BalanceView {
    /// How even counts are where these parts of them would be fair; nothing
    /// when there is nothing to count.
    pub fn of_counts(counts: impl Iterator<Item = (u64, f64)> + Clone) -> Option<Self> {
        let total: u64 = counts.clone().map(|(count, _)| count).sum();
        let fair = counts.filter(|(_, fair)| *fair > 0.0);
        let ratios = fair.map(|(count, fair)| (count as f64 / total as f64 / fair, fair));
        let variance = ratios
            .clone()
            .map(|(ratio, fair)| fair * (ratio - 1.0) * (ratio - 1.0));
        (total > 0).then(|| Self {
            peak_to_mean: ratios.clone().map(|(ratio, _)| ratio).fold(0.0, f64::max),
            cv: variance.sum::<f64>().sqrt(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_as_even_as_their_fair_parts_say() {
        let of = |counts: &[(u64, f64)]| BalanceView::of_counts(counts.iter().copied());
        let even = of(&[(100, 0.25), (300, 0.75)]).expect("a count");
        assert_eq!((even.peak_to_mean, even.cv), (1.0, 0.0));
        // Ratios of 1.5 and 0.5.
        let uneven = of(&[(3, 0.5), (1, 0.5)]).expect("a count");
        assert_eq!((uneven.peak_to_mean, uneven.cv), (1.5, 0.5));
        assert_eq!(of(&[(0, 0.5), (0, 0.5)]), None);
    }
}
