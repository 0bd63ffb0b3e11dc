//! What the ring's own parts must do; the properties of whole rings are in
//! `tests/it/properties.rs`.

use super::*;

fn name(text: &str) -> ServerName {
    ServerName::new(text).expect("a good name")
}

fn weight(n: u64) -> Weight {
    Weight::new(n).expect("a good weight")
}

fn ring(virtual_nodes: u64, servers: &[(&str, u64)]) -> Ring {
    let servers = servers.iter().map(|&(n, w)| (name(n), weight(w))).collect();
    let virtual_nodes = VirtualNodes::new(virtual_nodes).expect("a good number");
    Ring::new(virtual_nodes, &servers).expect("few points")
}

/// A ring with points where the test wants them.
fn placed(points: &[(u64, Rank)], n_servers: u32) -> Ring {
    let servers = (0..n_servers)
        .map(|i| RingServer {
            name: name(&format!("s{i}")),
            weight: Weight::ONE,
        })
        .collect();
    let mut points: Vec<Point> = points
        .iter()
        .map(|&(position, server)| Point::new(Position(position), server))
        .collect();
    points.sort_unstable();
    Ring::index(VirtualNodes::DEFAULT, servers, points)
}

#[test]
fn a_point_takes_twelve_bytes_and_is_whole_all_the_same() {
    assert_eq!(size_of::<Point>(), 12);
    for bits in [0, 1, 0xffff_ffff, 0x1_0000_0000, u64::MAX - 1, u64::MAX] {
        assert_eq!(Point::new(Position(bits), 7).position(), Position(bits));
    }
    // By the whole position, then by the server.
    let [low, high] = [0x1_0000_0005, 0x2_0000_0001].map(|bits| Point::new(Position(bits), 3));
    assert!(low < high && low < Point::new(Position(0x1_0000_0005), 4));
}

#[test]
fn the_owner_is_the_first_point_clockwise_and_the_top_wraps() {
    let ring = placed(&[(10, 0), (1 << 63, 1)], 2);
    for (position, owner) in [
        (0, 0),
        (10, 0),
        (11, 1),
        (1 << 63, 1),
        ((1 << 63) + 1, 0),
        (u64::MAX, 0),
    ] {
        assert_eq!(ring.owner(Position(position)), Some(owner), "at {position}");
    }
    assert_eq!(
        ring.arcs().map(|arc| arc.share).sum::<Share>(),
        Share::WHOLE
    );
}

#[test]
fn an_empty_ring_owns_nothing() {
    let ring = ring(100, &[]);
    assert_eq!(ring.owner(Position(7)), None);
    assert_eq!(ring.candidates(Position(7)).count(), 0);
    assert_eq!(ring.arcs().count(), 0);
    assert_eq!(ring.balance().peak_to_mean, 1.0);
}

#[test]
fn equal_positions_belong_to_the_first_name() {
    let ring = placed(&[(5, 1), (5, 0)], 2);
    assert_eq!(ring.owner(Position(5)), Some(0));
    assert_eq!(ring.candidates(Position(0)).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(ring.shares(), [Share::WHOLE, Share::NONE]);
}

#[test]
fn a_crowded_bucket_is_searched_not_scanned_and_answers_the_same() {
    let points: Vec<(u64, Rank)> = (0..1000).map(|i| (1000 + 3 * i, (i % 7) as Rank)).collect();
    let ring = placed(&points, 7);
    for key in 990..4010 {
        let expected = ring
            .points()
            .iter()
            .find(|point| point.position().0 >= key)
            .unwrap_or(&ring.points()[0]);
        assert_eq!(ring.owner(Position(key)), Some(expected.server), "at {key}");
    }
}

#[test]
fn every_lookup_equals_a_plain_binary_search() {
    for n in [1, 2, 3, 10, 57] {
        let servers: Vec<String> = (0..n).map(|i| format!("cache-{i}")).collect();
        let servers: Vec<(&str, u64)> = servers.iter().map(|s| (s.as_str(), 1)).collect();
        let ring = ring(13, &servers);
        let edges = ring.points().iter().flat_map(|point| {
            let at = point.position().0;
            [at.wrapping_sub(1), at, at.wrapping_add(1)]
        });
        for key in edges.chain([0, 1, u64::MAX]) {
            let i = ring
                .points()
                .partition_point(|point| point.position().0 < key);
            let expected = ring.points()[i % ring.points().len()].server;
            assert_eq!(ring.owner(Position(key)), Some(expected));
        }
    }
}

#[test]
fn a_changed_ring_equals_one_built_at_once() {
    let start = ring(40, &[("b", 3), ("d", 1), ("f", 2)]);
    let check = |changed: Ring, servers: &[(&str, u64)]| assert_eq!(changed, ring(40, servers));
    check(
        start
            .with_server(&name("a"), weight(2))
            .expect("few points"),
        &[("a", 2), ("b", 3), ("d", 1), ("f", 2)],
    );
    check(
        start
            .with_server(&name("e"), weight(9))
            .expect("few points"),
        &[("b", 3), ("d", 1), ("e", 9), ("f", 2)],
    );
    check(start.without_server(&name("d")), &[("b", 3), ("f", 2)]);
    check(
        start
            .with_weight(&name("b"), weight(1))
            .expect("few points"),
        &[("b", 1), ("d", 1), ("f", 2)],
    );
    check(
        start
            .with_weight(&name("f"), weight(30))
            .expect("few points"),
        &[("b", 3), ("d", 1), ("f", 30)],
    );
    check(
        start.without_server(&name("nobody")),
        &[("b", 3), ("d", 1), ("f", 2)],
    );
    let empty = start
        .without_server(&name("b"))
        .without_server(&name("d"))
        .without_server(&name("f"));
    check(empty.clone(), &[]);
    check(
        empty
            .with_server(&name("x"), weight(1))
            .expect("few points"),
        &[("x", 1)],
    );
}

#[test]
fn a_drop_and_an_add_at_one_position_keep_the_order() {
    let before = placed(&[(5, 0), (5, 2), (9, 1)], 3);
    let added = [Point::new(Position(5), 1)];
    let dropped = [Point::new(Position(5), 2)];
    let same = Rerank { from: 0, by: 0 };
    let after = before.merge(before.servers.clone(), same, &dropped, &added);
    assert_eq!(after, placed(&[(5, 0), (5, 1), (9, 1)], 3));
}

#[test]
fn moved_is_exact_and_names_giver_and_taker() {
    let before = placed(&[(100, 0), (200, 1)], 2);
    let after = placed(&[(100, 0), (150, 1), (200, 0)], 2);
    let moved = Moved::between(&before, &after);
    assert_eq!(moved.total, Share(50));
    assert_eq!(
        moved.flows,
        [Flow {
            from: name("s1"),
            to: name("s0"),
            share: Share(50)
        }]
    );
    assert_eq!(Moved::between(&before, &before), Moved::default());
    let empty = placed(&[], 0);
    assert_eq!(Moved::between(&empty, &before).total, Share::WHOLE);
    assert_eq!(Moved::between(&empty, &empty).total, Share::NONE);
}

#[test]
fn the_whole_ring_moves_when_its_only_server_is_replaced() {
    let one = ring(1, &[("a", 1)]);
    let other = ring(1, &[("b", 1)]);
    assert_eq!(Moved::between(&one, &other).total, Share::WHOLE);
}

#[test]
fn too_many_points_are_refused_with_their_number() {
    let ring = ring(10_000, &[("a", 100)]);
    let error = ring
        .with_server(&name("b"), weight(5))
        .expect_err("1,050,000 points");
    assert_eq!(error, TooManyPoints { points: 1_050_000 });
    assert_eq!(
        ring.with_weight(&name("a"), weight(105)).map(|_| ()),
        Err(error)
    );
}

#[test]
fn cells_hold_the_points_and_the_parts_that_lie_in_them() {
    let ring = ring(40, &[("a", 1), ("b", 2), ("c", 1)]);
    let whole = Window::new(Position(u64::MAX - 7), Share::WHOLE.0);
    for n in [1, 7, 4096] {
        let points: f32 = ring.density(whole, n).iter().sum();
        assert_eq!(points as usize, ring.points().len());
        let mut sums = vec![0.0; n];
        for (rank, share) in ring.shares().into_iter().enumerate() {
            let cells = ring.coverage(rank as Rank, whole, n);
            let part = cells.iter().map(|&cell| f64::from(cell)).sum::<f64>() / n as f64;
            assert!(
                (part - share.fraction()).abs() < 1e-6,
                "{part} of {share:?}"
            );
            sums.iter_mut()
                .zip(cells)
                .for_each(|(sum, cell)| *sum += cell);
        }
        assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-4), "{sums:?}");
    }
}

#[test]
fn cells_of_a_window_agree_with_whom_keys_there_go_to() {
    let ring = ring(10, &[("a", 1), ("b", 1)]);
    let first = ring.points()[0].position().0;
    for (from, units) in [
        (first - 5, 10),
        (u64::MAX - 3, 8),
        (first, 1),
        (12345, 1 << 60),
    ] {
        let window = Window::new(Position(from), units);
        let n = units.min(16) as usize;
        for rank in 0..2 {
            for (i, part) in ring.coverage(rank, window, n).into_iter().enumerate() {
                let step = units / n as u128;
                let owner = |offset: u128| {
                    ring.owner(Position(
                        from.wrapping_add((i as u128 * step + offset) as u64),
                    ))
                };
                // Where a cell's ends agree, all of it does, if no point is between.
                if ring.density(window, n)[i] == 0.0 {
                    let expected = f32::from(u8::from(owner(0) == Some(rank)));
                    assert!((part - expected).abs() < 1e-6, "{from} {units} {i}: {part}");
                }
                if step == 1 {
                    assert_eq!(part > 0.5, owner(0) == Some(rank), "{from} {units} {i}");
                }
            }
        }
    }
    let empty = placed(&[], 1);
    assert_eq!(
        empty.coverage(0, Window::new(Position(0), 4), 2),
        [0.0, 0.0]
    );
}

#[test]
fn a_point_knows_which_of_its_servers_virtual_nodes_it_is() {
    let ring = ring(5, &[("a", 2), ("b", 1)]);
    let mut seen = [vec![], vec![]];
    for &point in ring.points() {
        seen[point.server as usize].extend(ring.virtual_node(point));
    }
    seen.iter_mut().for_each(|nodes| nodes.sort_unstable());
    assert_eq!(seen, [(0..10).collect::<Vec<_>>(), (0..5).collect()]);
    assert_eq!(
        placed(&[(7, 0)], 1).virtual_node(Point::new(Position(7), 0)),
        None
    );
}
