//! The control command, against a running broker.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::program::command;

/// What a control command has said, and its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub output: String,
    /// Standard error.
    pub errors: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |octets| String::from_utf8(octets).unwrap();
        Self {
            code: output.status.code().expect("it ended by itself"),
            output: text(output.stdout),
            errors: text(output.stderr),
        }
    }
}

/// The control command for the broker of a folder.
#[derive(Clone, Debug)]
pub struct Control {
    folder: PathBuf,
}

impl Control {
    /// For the broker that serves this folder.
    pub fn of(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = command(&["ctl", "--data-dir", self.folder.to_str().unwrap()]);
        command.args(words);
        command
    }

    /// Run a command to its end.
    pub fn run(&self, words: &[&str]) -> Said {
        self.command(words).output().unwrap().into()
    }

    /// The same with something on standard input.
    pub fn run_with(&self, words: &[&str], input: &str) -> Said {
        let mut command = self.command(words);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        child.wait_with_output().unwrap().into()
    }

    /// What a command writes that succeeds.
    #[track_caller]
    pub fn output(&self, words: &[&str]) -> String {
        let said = self.run(words);
        assert_eq!((said.code, said.errors.as_str()), (0, ""), "{words:?}");
        said.output
    }

    /// A command fails, with this code and these words.
    #[track_caller]
    pub fn expect_failure(&self, words: &[&str], code: i32, errors: &str) {
        let said = self.run(words);
        assert_eq!(
            (said.code, said.errors.as_str()),
            (code, errors),
            "{words:?}"
        );
    }
}
