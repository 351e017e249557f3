//! A broker of the test's own, on a data folder of its own, to be killed and started again.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

const START: Duration = Duration::from_secs(30);

pub struct BrokerProcess {
    folder: PathBuf,
    child: Child,
    pub url: String,
}

impl BrokerProcess {
    pub fn start() -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("interop-lapin-{}-{count}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (child, url) = launch(&folder);
        Self { folder, child, url }
    }

    /// kill -9: no chance to say goodbye or to write anything down.
    pub fn kill_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.child, self.url) = launch(&self.folder);
    }
}

impl Drop for BrokerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn launch(folder: &Path) -> (Child, String) {
    let Ok(binary) = env::var("LEVERET_BIN") else {
        panic!("LEVERET_BIN names no broker to kill and restart: run with `--skip durability::`");
    };
    let addresses = folder.join("addresses.json");
    let _ = fs::remove_file(&addresses);
    let log = folder.join("log");
    let mut child = Command::new(binary)
        .args(["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--data-dir"])
        .arg(folder.join("data"))
        .arg("--addresses-file")
        .arg(&addresses)
        .stdin(Stdio::null())
        .stdout(fs::File::options().create(true).append(true).open(&log).unwrap())
        .stderr(fs::File::options().create(true).append(true).open(&log).unwrap())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !addresses.exists() {
        if let Some(status) = child.try_wait().unwrap() {
            panic!("the broker ended early ({status}):\n{}", fs::read_to_string(&log).unwrap());
        }
        assert!(started.elapsed() < START, "the broker did not write its addresses file");
        sleep(Duration::from_millis(20));
    }
    let addresses: serde_json::Value = serde_json::from_slice(&fs::read(&addresses).unwrap()).unwrap();
    let address = addresses["amqp"][0].as_str().unwrap();
    (child, format!("amqp://guest:guest@{address}/%2F"))
}
