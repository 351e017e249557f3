//! Passwords: an argument, as rabbitmqctl takes them, or better the first line of standard input, which no list of
//! processes shows.

use std::io::{self, BufRead, IsTerminal, Write};

use leveret::control::Request;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use super::arguments::Arguments;
use super::failure::Refusal;
use super::plan::{Asked, Plan, Show};

/// The plan for a command of a user's name and perhaps a password.
#[expect(clippy::unnecessary_wraps, reason = "as every plan is had")]
pub(super) fn plan(
    banner: String,
    arguments: &Arguments,
    request: fn(String, String) -> Request,
    show: Show,
) -> Result<Plan, Refusal> {
    let name = arguments.word(0);
    let asked = match arguments.rest().get(1) {
        Some(password) => Asked::Now(request(name, password.clone())),
        None => Asked::WithPassword(request, name),
    };
    Ok(Plan {
        banner: Some(banner),
        request: asked,
        show,
    })
}

/// The first line of standard input, which a terminal does not show. `None`: there is none.
pub(super) fn read() -> io::Result<Option<String>> {
    let input = io::stdin();
    write_prompt("Password: ")?;
    let shown = if input.is_terminal() {
        let shown = tcgetattr(&input)?;
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&input, OptionalActions::Now, &hidden)?;
        Some(shown)
    } else {
        None
    };
    let mut line = String::new();
    let read = input.lock().read_line(&mut line);
    if let Some(shown) = shown {
        tcsetattr(&input, OptionalActions::Now, &shown)?;
    }
    write_prompt("\n")?;
    read?;
    let password = line.trim_end_matches(['\n', '\r']);
    Ok((!password.is_empty()).then(|| password.to_owned()))
}

fn write_prompt(text: &str) -> io::Result<()> {
    let mut output = io::stdout();
    output.write_all(text.as_bytes())?;
    output.flush()
}
