//! The daemon as operators start it, with a million listed clients: how soon a gateway has its image, and who waits while a million more
//! come in.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ase_core::policy_image::PolicyImage;

use crate::harness::{Connection, prepared, question, record};
use crate::processes::serve;

const MANY: u32 = 1_000_000;
/// Gateways that call at once; management calls at once are as many.
const CALLERS: usize = 24;
/// Longest that a gateway waits for anything while lists change, on any machine; a blocked thread pool lasts as long as the import.
const SOON: Duration = Duration::from_secs(1);

/// So many addresses, one a line.
fn addresses(from: u32) -> String {
    let mut lines = String::new();
    for number in from..from + MANY {
        // An odd factor permutes the numbers.
        let address = Ipv4Addr::from_bits(number.wrapping_mul(2_654_435_761));
        writeln!(lines, "{address}").unwrap();
    }
    lines
}

/// Asks until there is a whole image, and says how long that took.
fn first_image(gateway: &mut Connection) -> (PolicyImage, Duration) {
    let began = Instant::now();
    loop {
        let reply = gateway.call("GET", "/ase/image", &[], b"");
        if reply.status == 200 {
            return (PolicyImage::parse(reply.bytes).unwrap(), began.elapsed());
        }
        assert_eq!(reply.status, 503);
    }
}

/// A connection of somebody who waits for a list change.
fn operator(admin: SocketAddr) -> Connection {
    let mut operator = Connection::to(admin);
    let stream = operator.stream().get_ref();
    stream
        .set_read_timeout(Some(Duration::from_secs(300)))
        .unwrap();
    operator
}

#[test]
#[ignore = "a measurement, a minute long: cargo test --release -p ase-service --test service a_million -- --ignored --nocapture"]
fn a_million_listed_clients_are_in_an_image_within_seconds_and_a_million_more_keep_no_gateway_waiting()
 {
    let folder = prepared("attack_list_file = \"attack.txt\"\n");
    std::fs::write(folder.path().join("attack.txt"), addresses(1)).unwrap();
    let began = Instant::now();
    let daemon = serve(folder.path());
    println!("ready after {:.2?}", began.elapsed());
    let (image, took) = first_image(&mut Connection::to(daemon.data));
    println!(
        "first image, {} bytes, after {took:.2?}",
        image.base().len()
    );
    assert!(image.base().len() > MANY as usize);

    let secret = std::fs::read_to_string(folder.path().join("state/admin.secret")).unwrap();
    let admin = [
        ("x-ase-access-key", "admin"),
        ("x-ase-secret-key", secret.trim()),
    ];
    let have = format!("{:016x}.{}", image.build(), image.revision());
    let batch = format!("/ase/batch?image={have}");
    let poll = format!("/ase/image?have={have}");
    let longest = Mutex::new([Duration::ZERO; 4]);
    let time = |kind: usize, call: &mut dyn FnMut()| {
        let began = Instant::now();
        call();
        let took = began.elapsed();
        let mut longest = longest.lock().unwrap();
        longest[kind] = longest[kind].max(took);
    };
    let done = AtomicBool::new(false);
    let import = addresses(MANY + 1);
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            let (time, done, batch, poll, daemon) = (&time, &done, &batch, &poll, &daemon);
            scope.spawn(move || {
                let mut gateway = Connection::to(daemon.data);
                let mut number = 0;
                while !done.load(Ordering::Relaxed) {
                    number += 1;
                    let client = question("192.0.2.1", "/shop").to_string();
                    time(0, &mut || {
                        gateway.call(
                            "POST",
                            "/ase/request?delivery=batch",
                            &[],
                            client.as_bytes(),
                        );
                    });
                    let id = format!("{caller}-{number}");
                    let line = record(&id, "192.0.2.1", "/shop").to_string();
                    time(1, &mut || {
                        gateway.call("POST", batch, &[], line.as_bytes());
                    });
                    time(2, &mut || {
                        gateway.call("GET", poll, &[], b"");
                    });
                    thread::sleep(Duration::from_millis(20));
                }
            });
            scope.spawn(move || {
                let mut operator = operator(daemon.admin);
                while !done.load(Ordering::Relaxed) {
                    time(3, &mut || {
                        operator.call("GET", "/v1/detections", &admin, b"");
                    });
                    thread::sleep(Duration::from_millis(20));
                }
            });
        }
        thread::sleep(Duration::from_millis(300));
        let began = Instant::now();
        let mut operator = operator(daemon.admin);
        let path = "/v1/deny/import?format=plain";
        let imported = operator.call("POST", path, &admin, import.as_bytes());
        done.store(true, Ordering::Relaxed);
        println!(
            "{} imported in {:.2?}",
            imported.body.trim(),
            began.elapsed()
        );
        assert_eq!(imported.status, 200);
    });
    let [asked, told, polled, managed] = *longest.lock().unwrap();
    println!(
        "meanwhile, the longest question {asked:.2?}, batch {told:.2?}, call for the image {polled:.2?}, management call {managed:.2?}"
    );
    assert!(asked.max(told) < SOON);
}
