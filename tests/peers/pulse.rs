//! Another client of the same broker, and how long it waits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use leveret_tests::Client;
use leveret_tests::requests::queue;

/// Pause between two beats.
const PAUSE: Duration = Duration::from_millis(2);

/// A client that publishes a message and gets it back, over and over.
pub(crate) struct Pulse {
    stop: Arc<AtomicBool>,
    beats: JoinHandle<Vec<Duration>>,
}

impl Pulse {
    pub(crate) fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let beats = std::thread::spawn(move || {
            let mut client = Client::connect(address);
            client.open_channel(1);
            client.call(1, queue("pulse"));
            let mut beats = Vec::new();
            while !told.load(Ordering::Relaxed) {
                let began = Instant::now();
                client.publish_text(1, "pulse", "beat");
                assert!(client.get(1, "pulse", true).is_some());
                beats.push(began.elapsed());
                std::thread::sleep(PAUSE);
            }
            beats
        });
        Self { stop, beats }
    }

    /// The 99th percentile and the longest of its beats.
    pub(crate) fn stop(self) -> String {
        self.stop.store(true, Ordering::Relaxed);
        let mut beats = self.beats.join().unwrap();
        beats.sort_unstable();
        let p99 = beats.get(beats.len() * 99 / 100).copied();
        let longest = beats.last().copied();
        format!(
            "p99 {} ms, longest {} ms",
            milliseconds(p99.unwrap_or_default()),
            milliseconds(longest.unwrap_or_default())
        )
    }

    /// The same while nothing else happens, for so long.
    pub(crate) fn alone(address: SocketAddr, time: Duration) -> String {
        let pulse = Self::start(address);
        std::thread::sleep(time);
        pulse.stop()
    }
}

/// With one digit behind the point.
pub(crate) fn milliseconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1000.0)
}
