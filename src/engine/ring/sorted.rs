//! Sorting points: they are hashes, whose first bits tell where they belong.

use super::{Point, shift_for};
use crate::engine::sort;

/// The most points that are put in order by comparing neighbours.
const NEIGHBOURS_MAX: usize = 32;

/// How many points there are to a bucket, more or less.
const BUCKET: usize = 4;

/// Sorts points by position and server, in place.
pub(super) fn sort_points(points: &mut [Point]) {
    if points.len() > NEIGHBOURS_MAX {
        spread(points);
    }
    for i in 1..points.len() {
        let point = points[i];
        let mut at = i;
        while at > 0 && point < points[at - 1] {
            points[at] = points[at - 1];
            at -= 1;
        }
        points[at] = point;
    }
}

/// Moves each point to the bucket of its first bits (an American flag sort).
/// Where too many share one, they are sorted.
fn spread(points: &mut [Point]) {
    let shift = shift_for(points.len() / (2 * BUCKET));
    let bucket_of = |point: &Point| (point.position().0 >> shift) as usize;
    let mut ends = vec![0_u32; 1 << (64 - shift)];
    for point in points.iter() {
        ends[bucket_of(point)] += 1;
    }
    let mut end = 0;
    // Where the next point of each bucket goes.
    let mut nexts = Vec::with_capacity(ends.len());
    for n in &mut ends {
        nexts.push(end);
        end += *n;
        *n = end;
    }
    let mut begin = 0;
    for (bucket, &end) in ends.iter().enumerate() {
        while nexts[bucket] < end {
            // Puts it home, and then whatever stood there.
            let mut point = points[nexts[bucket] as usize];
            loop {
                let home = bucket_of(&point);
                let at = nexts[home] as usize;
                nexts[home] += 1;
                let other = points[at];
                points[at] = point;
                if home == bucket {
                    break;
                }
                point = other;
            }
        }
        let bucket = &mut points[begin..end as usize];
        if bucket.len() > NEIGHBOURS_MAX {
            sort::by(bucket, |a, b| a < b);
        }
        begin = end as usize;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ring::Position;

    #[test]
    fn points_are_sorted_wherever_they_stand() {
        let mut state = 1_u64;
        let mut random = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state ^ state >> 29
        };
        // All over the ring, and all in one bucket.
        for mask in [u64::MAX, 0xff] {
            for n in [0, 1, 2, 31, 32, 33, 34, 100, 5000] {
                let mut points: Vec<Point> = (0..n)
                    .map(|i| Point::new(Position(random() & mask), i % 7))
                    .collect();
                let mut expected = points.clone();
                expected.sort_unstable();
                sort_points(&mut points);
                assert_eq!(points, expected);
            }
        }
    }
}
