//! Clients that mean harm: whatever they send, others are served at once and
//! memory stays what it is.

use std::fs;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use ringway::native::clock;

use crate::support::client::Client;
use crate::support::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, PING, RST_STREAM, SETTINGS,
    fields, frame, get, text,
};
use crate::support::origin::{After, Origin, ok};
use crate::support::proxy::{Proxy, eventually};

/// What GOAWAY says to those who overdo it.
const ENHANCE_YOUR_CALM: u32 = 11;

/// How long each flood lasts, if it is not ended before.
const FLOOD: Duration = Duration::from_millis(400);

fn resident_bytes() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = statm.split(' ').nth(1).and_then(|n| n.parse::<u64>().ok());
    pages.expect("a number") * 4096
}

/// Has `flood` go on, over and over, on a connection of its own, while an honest
/// client asks; returns that connection.
fn flooded(
    proxy: &Proxy,
    what: &str,
    settings: &[(u16, u32)],
    mut flood: impl FnMut(&mut Frames, u32) -> bool + Send,
) -> Frames {
    let before = resident_bytes();
    let is_over = AtomicBool::new(false);
    let frames = std::thread::scope(|scope| {
        let flooding = scope.spawn(|| {
            let mut frames = Frames::connect(proxy.address, settings);
            let began = clock::now();
            let mut round = 0;
            while clock::now().since(began) < FLOOD && flood(&mut frames, round) {
                round += 1;
            }
            is_over.store(true, Relaxed);
            (frames, round)
        });
        let mut honest = Client::connect(proxy.address);
        let mut n = 0;
        while !is_over.load(Relaxed) || n < 3 {
            let began = clock::now();
            assert_eq!(honest.get("/honest").status, 200, "{what}");
            let took = clock::now().since(began);
            assert!(took < Duration::from_secs(2), "{what}: {took:?}");
            n += 1;
        }
        let (frames, n_rounds) = flooding.join().expect("no panic");
        assert!(n_rounds > 0, "{what} has not begun");
        frames
    });
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 100 << 20, "{what}: {grown} bytes more");
    frames
}

#[test]
fn floods_leave_others_their_service_and_memory_as_it_is() {
    let large = vec![b'x'; 10 << 20];
    let origin = Origin::new(move |got, stream| {
        if got.line.contains("/large") {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", large.len());
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(&large);
        } else {
            ok(stream, "a");
        }
        After::Keep
    });
    let settings = r#""health_check": {"enabled": false}"#;
    let proxy = Proxy::start(&[("a", origin.address)], settings);
    let id = |n: u32| 2 * n + 1;

    // Requests that are taken back in the same breath.
    let frames = flooded(&proxy, "rapid reset", &[], |frames, round| {
        let pairs = (0..50).flat_map(|i| {
            let stream = id(round * 50 + i);
            let ask = frame(HEADERS, END_STREAM | END_HEADERS, stream, &get("/"));
            [ask, frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
        });
        frames.write(&pairs.collect::<Vec<u8>>())
    });
    eventually("rapid reset is ended", || frames.is_ended());
    // What is on its way to us is lost when the socket is closed over our frames.
    assert!(frames.goaway().is_none_or(|why| why == ENHANCE_YOUR_CALM));

    // A head that never ends.
    let frames = flooded(&proxy, "CONTINUATION", &[], |frames, round| match round {
        0 => frames.send(HEADERS, END_STREAM, 1, &get("/")),
        _ => frames.send(
            CONTINUATION,
            0,
            1,
            &fields(&[("x-more", &"x".repeat(8000))]),
        ),
    });
    eventually("CONTINUATION is ended", || frames.is_ended());

    // What must be answered each time.
    flooded(&proxy, "SETTINGS", &[], |frames, _| {
        frames.write(&frame(SETTINGS, 0, 0, &[]).repeat(100))
    });
    flooded(&proxy, "PING", &[], |frames, _| {
        frames.write(&frame(PING, 0, 0, &[7; 8]).repeat(100))
    });

    // A body of nothing that does not end.
    let frames = flooded(&proxy, "empty DATA", &[], |frames, round| match round {
        0 => frames.send(
            HEADERS,
            END_HEADERS,
            1,
            &[get("/"), fields(&[("x", "y")])].concat(),
        ),
        _ => frames.write(&frame(DATA, 0, 1, &[]).repeat(100)),
    });
    eventually("empty DATA is ended", || frames.is_ended());

    // Few bytes that are many fields.
    flooded(&proxy, "HPACK bomb", &[], |frames, round| {
        let mut list = get("/");
        list.push(0x40);
        list.extend([text("x-bomb"), text(&"x".repeat(3900))].concat());
        list.resize(16_000, 0x80 | 62);
        frames.send(HEADERS, END_STREAM | END_HEADERS, id(round), &list)
    });

    // Long answers that nobody reads.
    let n_before = origin.got().len();
    let frames = flooded(&proxy, "zero window", &[(4, 0)], |frames, round| {
        std::thread::sleep(Duration::from_millis(5));
        round >= 60 || frames.ask(id(round), "/large")
    });
    eventually("they were asked for", || origin.got().len() > n_before + 30);
    drop(frames);
    eventually("their servers are let go", || proxy.in_flight() == 0);
}

#[test]
fn who_gives_up_most_of_what_servers_do_for_it_is_sent_away() {
    // It answers nobody.
    let origin = Origin::new(|_, stream| {
        let _ = stream.read(&mut [0]);
        After::Close
    });
    let settings = r#""health_check": {"enabled": false}"#;
    let proxy = Proxy::start(&[("a", origin.address)], settings);
    let mut frames = Frames::connect(proxy.address, &[]);
    let mut n = 0;
    eventually("it is sent away", || {
        // Each gets to the server before it is given up.
        let stream = 2 * n + 1;
        frames.ask(stream, "/");
        let began = clock::now();
        while proxy.in_flight() == 0
            && !frames.is_ended()
            && clock::now().since(began) < Duration::from_secs(1)
        {
            std::thread::sleep(Duration::from_micros(200));
        }
        frames.send(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
        eventually("it is given up", || proxy.in_flight() == 0);
        n += 1;
        frames.is_ended()
    });
    assert_eq!(frames.goaway(), Some(ENHANCE_YOUR_CALM));
    assert!((100..200).contains(&n), "{n}");
    let refused = &proxy.shared.counts.http2_refused;
    assert_eq!(refused.load(Relaxed), 1);
    eventually("nothing is left", || proxy.in_flight() == 0);
}
