//! A small disk under the real program, filled and emptied again and again.
//!
//! The disk is a file system in memory, which only root can mount; elsewhere these tests say so and do nothing.

use std::path::Path;
use std::process::{Command, Stdio};

use leveret_tests::client::Event;
use leveret_tests::program::Program;
use leveret_tests::requests::{durable_queue, passive_queue};
use leveret_tests::{Client, Publish};
use leveret_wire::AMQPClass;
use leveret_wire::method::{basic, connection};

/// Octets of the disk.
const DISK: u64 = 64 << 20;
const SEGMENT: u64 = 2 << 20;
/// Octets that are to stay free.
const LIMIT: u64 = 16 << 20;
const BODY: usize = 16 << 10;
/// Publishes in flight: far less than the disk's floor.
const WINDOW: u64 = 32;

struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` where mounting is not allowed.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={DISK}"),
                "leveret-small-disk",
            ])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !mounted {
            eprintln!("skipped: no file system can be mounted here");
        }
        mounted.then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Its processes are gone, or about to go: lazily, so that the folder goes in any case.
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.path())
            .status();
    }
}

fn serve(disk: &SmallDisk, configuration: &Path) -> Program {
    let data = disk.path().join("data");
    Program::serve(&data, &["--config", configuration.to_str().unwrap()])
}

fn body(number: u64) -> Vec<u8> {
    let mut body = format!("{number:08}").into_bytes();
    body.resize(BODY, b'.');
    body
}

fn number(body: &[u8]) -> u64 {
    std::str::from_utf8(&body[..8]).unwrap().parse().unwrap()
}

/// A publisher that knows what was confirmed.
struct Publisher {
    client: Client,
    /// Messages sent and confirmed on this connection; `first` is the number of its first.
    first: u64,
    sent: u64,
    confirmed: u64,
}

impl Publisher {
    fn new(program: &Program, first: u64) -> Self {
        let mut client = program.client();
        client.confirm_select(1);
        Self {
            client,
            first,
            sent: 0,
            confirmed: 0,
        }
    }

    /// Publish, a window at a time, until connection.blocked comes and much of the disk is in use. Before, the room of
    /// what was consumed may not be free again yet: then there is a pause.
    fn publish_until_blocked(&mut self) {
        loop {
            if self.publish_window() {
                if self.confirmed * BODY as u64 > LIMIT {
                    return;
                }
                self.wait_until_confirmed();
            }
        }
    }

    /// Publish one window, and wait for its confirms. Returns whether connection.blocked came instead.
    fn publish_window(&mut self) -> bool {
        let numbers = self.first + self.sent..self.first + self.sent + WINDOW;
        self.client.publish_all(
            1,
            numbers.map(|number| Publish::to_queue("d").persistent().body(body(number))),
        );
        self.sent += WINDOW;
        while self.confirmed < self.sent {
            if self.hear_blocked() {
                return true;
            }
        }
        false
    }

    /// Take one event: a confirm, or connection.blocked.
    fn hear_blocked(&mut self) -> bool {
        match self.client.next_event() {
            Event::Method(1, AMQPClass::Basic(basic::AMQPMethod::Ack(ack))) => {
                assert!(ack.multiple || ack.delivery_tag == self.confirmed + 1);
                self.confirmed = ack.delivery_tag;
                false
            }
            Event::Method(0, AMQPClass::Connection(connection::AMQPMethod::Blocked(blocked))) => {
                assert_eq!(blocked.reason.as_str(), "low on disk");
                true
            }
            other => panic!("{other:?}"),
        }
    }

    /// Wait until it may go on, and all it sent is confirmed.
    fn wait_until_confirmed(&mut self) {
        let mut blocked = true;
        while blocked || self.confirmed < self.sent {
            match self.client.next_event() {
                Event::Method(1, AMQPClass::Basic(basic::AMQPMethod::Ack(ack))) => {
                    self.confirmed = ack.delivery_tag;
                }
                Event::Method(0, AMQPClass::Connection(connection::AMQPMethod::Unblocked(_))) => {
                    blocked = false;
                }
                // What was held back may be enough for the next alarm, of which the consumers see to the end.
                Event::Method(0, AMQPClass::Connection(connection::AMQPMethod::Blocked(_))) => {
                    blocked = true;
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Take `count` messages, which must be the next ones.
fn drain(program: &Program, next: &mut u64, count: u64) {
    let mut client = program.client();
    for _ in 0..count {
        let got = client.get(1, "d", true).expect("a message is missing");
        assert_eq!(number(&got.content.body), *next);
        assert_eq!(got.content.body.len(), BODY);
        *next += 1;
    }
    client.close();
}

#[test]
fn publishers_wait_before_it_is_full_and_go_on_when_there_is_room() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let configuration = folder.path().join("leveret.toml");
    let text = format!("[store]\nsegment_bytes = {SEGMENT}\ndisk_free_limit = {LIMIT}\n");
    std::fs::write(&configuration, text).unwrap();
    let cycles = std::env::var("LEVERET_DISK_CYCLES").map_or(4, |cycles| cycles.parse().unwrap());

    let mut program = serve(&disk, &configuration);
    program.client().call(1, durable_queue("d"));
    let (mut first, mut next) = (0, 0);
    for cycle in 0..cycles {
        let mut publisher = Publisher::new(&program, first);
        publisher.publish_until_blocked();
        let confirmed = publisher.confirmed;
        if cycle % 3 == 1 {
            // Killed while it holds publishers back: it starts on a disk with little room, and nothing is missing.
            program.signal("KILL");
            program.wait();
            program = serve(&disk, &configuration);
            let ready = program.client().call(1, passive_queue("d")).message_count;
            assert!(
                u64::from(ready) >= confirmed,
                "{ready} of {confirmed} are left"
            );
            drain(&program, &mut next, u64::from(ready));
            first = next;
            continue;
        }
        drain(&program, &mut next, confirmed);
        publisher.wait_until_confirmed();
        first += publisher.sent;
        drain(&program, &mut next, publisher.sent - confirmed);
        assert_eq!(program.client().counts(1, "d"), (0, 0), "cycle {cycle}");
    }
    program.signal("TERM");
    let (status, log) = program.wait();
    assert!(status.success());
    let full: Vec<_> = log
        .iter()
        .filter(|line| line.contains("puts are refused"))
        .collect();
    assert!(full.is_empty(), "the disk was full: {full:#?}");
}
