//! The built program, as an operator runs it.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::{Client, PATIENCE, trace};

/// The built binary: what `LEVERET_BIN` names, or beside the folder that the test executable lies in.
pub fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("LEVERET_BIN") {
        return named.into();
    }
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let binary = profile.join(format!("leveret{}", std::env::consts::EXE_SUFFIX));
    assert!(
        binary.is_file(),
        "{} is missing: build the program first, with `cargo build -p leveret`",
        binary.display()
    );
    binary
}

/// A command that nothing of the environment reaches but the path.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Run it to its end.
pub fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// A running broker of its own. It is killed with this value.
pub struct Program {
    child: Child,
    /// Lines of standard error so far.
    log: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Program {
    /// Serve `folder` on free ports; more arguments may follow. It is ready when this returns.
    #[track_caller]
    pub fn serve(folder: &Path, arguments: &[&str]) -> Self {
        let program = Self::start(folder, arguments);
        program.wait_for_line(" ready ");
        program
    }

    /// As [`Self::serve`], without waiting for it to be ready.
    #[track_caller]
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::start_with(folder, arguments, &[])
    }

    /// As [`Self::start`], with environment variables.
    #[track_caller]
    pub fn start_with(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = folder.to_str().unwrap();
        let mut all = vec!["serve", "--data-dir", folder, "--listen", "127.0.0.1:0"];
        if !arguments.contains(&"--metrics-listen") {
            all.extend(["--metrics-listen", "none"]);
        }
        all.extend(arguments);
        let mut command = command(&all);
        if trace::start() && !arguments.contains(&"--log-level") {
            command.env("LEVERET_LOG_LEVEL", "trace");
        }
        let mut child = command.envs(variables.iter().copied()).spawn().unwrap();
        let errors = child.stderr.take().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                trace::line(&line);
                lines.lock().unwrap().push(line);
            }
        });
        Self {
            child,
            log,
            reader: Some(reader),
        }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in KiB, as Linux counts it.
    #[track_caller]
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let words = line.expect("a process has memory").trim();
        words.trim_end_matches(" kB").parse().unwrap()
    }

    /// Files and sockets that it has open.
    #[track_caller]
    pub fn open_files(&self) -> usize {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.id()));
        open.unwrap().count()
    }

    /// Wait until a line of the log holds `part`, and give it.
    #[track_caller]
    pub fn wait_for_line(&self, part: &str) -> String {
        self.wait_for_one_of(&[part])
    }

    /// As [`Self::wait_for_line`], for any of `parts`.
    #[track_caller]
    fn wait_for_one_of(&self, parts: &[&str]) -> String {
        let began = Instant::now();
        loop {
            let found = {
                let log = self.log.lock().unwrap();
                let is_meant = |line: &&String| parts.iter().any(|part| line.contains(part));
                log.iter().find(is_meant).cloned()
            };
            if let Some(line) = found {
                return line;
            }
            let waited = began.elapsed();
            assert!(
                waited < PATIENCE,
                "no line with {parts:?} in the log: {:#?}",
                self.log.lock().unwrap()
            );
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// The address of the first AMQP listener, from the ready line.
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        self.named_address("amqp")
    }

    /// The first address that the ready line, text or JSON, gives for `name`.
    #[track_caller]
    pub fn named_address(&self, name: &str) -> SocketAddr {
        let line = self.wait_for_one_of(&[" ready ", "\"ready\""]);
        let forms = [format!("{name}=\""), format!("\"{name}\":\"")];
        let (_, after) = forms
            .iter()
            .find_map(|form| line.split_once(form.as_str()))
            .expect("the ready line says the name");
        let addresses = after.split('"').next().unwrap();
        let first = addresses.split(',').next().unwrap();
        first.parse().expect("the ready line names an address")
    }

    /// A client with channel 1 open.
    #[track_caller]
    pub fn client(&self) -> Client {
        let mut client = Client::connect(self.address());
        client.open_channel(1);
        client
    }

    /// Send it a signal, by the name that `kill` knows.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    /// Wait for its end: how it ended, and what it logged.
    #[track_caller]
    pub fn wait(mut self) -> (ExitStatus, Vec<String>) {
        let status = self.child.wait().unwrap();
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        let log = std::mem::take(&mut *self.log.lock().unwrap());
        (status, log)
    }

    /// What it wrote to standard output. It must have ended.
    pub fn output(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut output) = self.child.stdout.take() {
            output.read_to_string(&mut text).unwrap();
        }
        text
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
