//! The forms in which a list is written.

use std::io::{self, Write};

use serde_json::Value;

use super::cell::{Cell, atom};

/// A form of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// Columns parted by tabs.
    #[default]
    Table,
    /// With lines around the cells.
    PrettyTable,
    Csv,
    Json,
    Erlang,
}

impl Format {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "table" => Self::Table,
            "pretty_table" => Self::PrettyTable,
            "csv" => Self::Csv,
            "json" => Self::Json,
            "erlang" => Self::Erlang,
            _ => return None,
        })
    }

    /// Another program reads it: nothing else may stand in the output.
    pub(crate) fn is_for_programs(self) -> bool {
        matches!(self, Self::Csv | Self::Json)
    }
}

/// How a list looks.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) format: Format,
    pub(crate) columns: Vec<String>,
    /// The first line of a table names the columns.
    pub(crate) headed: bool,
    /// RabbitMQ has it row by row: what an empty one looks like differs.
    pub(crate) streamed: bool,
}

/// Writes a list, row by row but for the forms that need all of it to know how wide it is.
pub(crate) struct Printer<W> {
    output: W,
    layout: Layout,
    rows: usize,
    /// Rows of a pretty table.
    kept: Vec<Vec<String>>,
}

impl<W: Write> Printer<W> {
    pub(crate) fn new(output: W, layout: Layout) -> Self {
        Self {
            output,
            layout,
            rows: 0,
            kept: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, values: &[Value]) -> io::Result<()> {
        let is_first = self.rows == 0;
        self.rows += 1;
        let columns = self.layout.columns.clone();
        let cells: Vec<Cell<'_>> = columns
            .iter()
            .zip(values)
            .map(|(column, value)| Cell { column, value })
            .collect();
        match self.layout.format {
            Format::Table => {
                if is_first && self.layout.headed {
                    writeln!(self.output, "{}", columns.join("\t"))?;
                }
                let texts: Vec<_> = cells.iter().map(|cell| visible(&cell.text())).collect();
                writeln!(self.output, "{}", texts.join("\t"))
            }
            Format::Csv => {
                if is_first {
                    self.csv_line(&columns)?;
                }
                let texts: Vec<_> = cells.iter().map(|cell| cell.text()).collect();
                self.csv_line(&texts)
            }
            Format::Json => {
                let before = if is_first { "[\n" } else { "," };
                let pairs: Vec<_> = cells
                    .iter()
                    .map(|cell| format!("{}:{}", Value::from(cell.column), cell.json()))
                    .collect();
                writeln!(self.output, "{before}{{{}}}", pairs.join(","))
            }
            Format::Erlang => {
                let before = if is_first { "[" } else { ",\n " };
                let pairs: Vec<_> = cells
                    .iter()
                    .map(|cell| format!("{{{},{}}}", atom(cell.column), cell.term()))
                    .collect();
                write!(self.output, "{before}[{}]", pairs.join(","))
            }
            Format::PrettyTable => {
                let texts = cells.iter().map(|cell| visible(&cell.text())).collect();
                self.kept.push(texts);
                Ok(())
            }
        }
    }

    /// The end of the list.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        let is_empty = self.rows == 0;
        match self.layout.format {
            Format::Table if is_empty && !self.layout.streamed => writeln!(self.output)?,
            Format::Table | Format::Csv => {}
            Format::Json if is_empty && self.layout.streamed => writeln!(self.output, "[\n]")?,
            Format::Json | Format::Erlang if is_empty => writeln!(self.output, "[]")?,
            Format::Json | Format::Erlang => writeln!(self.output, "]")?,
            Format::PrettyTable if is_empty => {}
            Format::PrettyTable => self.pretty()?,
        }
        self.output.flush()
    }

    fn csv_line(&mut self, texts: &[String]) -> io::Result<()> {
        let quoted: Vec<_> = texts
            .iter()
            .map(|text| format!("\"{}\"", text.replace('"', "\"\"")))
            .collect();
        writeln!(self.output, "{}", quoted.join(","))
    }

    /// The kept rows, with lines drawn by the terminal's own letters for them, as RabbitMQ does.
    fn pretty(&mut self) -> io::Result<()> {
        let columns = &self.layout.columns;
        let kept = &self.kept;
        let widths: Vec<usize> = columns
            .iter()
            .enumerate()
            .map(|(index, name)| {
                let cells = kept.iter().filter_map(|row| row.get(index));
                let widest = cells.map(|cell| cell.chars().count()).max();
                widest.unwrap_or(0).max(name.chars().count())
            })
            .collect();
        let line = |left, cross, right| {
            let parts: Vec<_> = widths.iter().map(|width| "q".repeat(width + 2)).collect();
            format!("\u{1b}(0{left}{}{right}\u{1b}(B\n", parts.join(cross))
        };
        let bar = "\u{1b}(0x\u{1b}(B";
        let row = |texts: &[String], bold: bool| {
            let mut text = String::from(bar);
            for (cell, width) in texts.iter().zip(&widths) {
                let space = " ".repeat(width.saturating_sub(cell.chars().count()));
                let cell = if bold {
                    format!("\u{1b}[1m{cell}\u{1b}[0m")
                } else {
                    cell.clone()
                };
                text.extend([" ", &cell, &space, " ", bar]);
            }
            text + "\n"
        };
        let mut text = line("l", "w", "k");
        text += &row(columns, true);
        for texts in kept {
            text += &line("t", "n", "u");
            text += &row(texts, false);
        }
        text += &line("m", "v", "j");
        self.output.write_all(text.as_bytes())
    }
}

/// Text as it may come to a terminal: a name can't break a line, nor tell the terminal what to do.
fn visible(text: &str) -> String {
    use std::fmt::Write;
    let mut visible = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() && letter != '\t' {
            let _ = write!(visible, "\\{:03o}", u32::from(letter));
        } else {
            visible.push(letter);
        }
    }
    visible
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn printed(format: Format, rows: &[Vec<Value>], streamed: bool) -> String {
        let mut output = Vec::new();
        let layout = Layout {
            format,
            columns: vec!["name".to_owned(), "tags".to_owned()],
            headed: true,
            streamed,
        };
        let mut printer = Printer::new(&mut output, layout);
        for row in rows {
            printer.row(row).unwrap();
        }
        printer.finish().unwrap();
        String::from_utf8(output).unwrap()
    }

    fn rows() -> Vec<Vec<Value>> {
        vec![
            vec![json!("bob"), json!([])],
            vec![json!("a\"b"), json!(["administrator"])],
        ]
    }

    #[test]
    fn tables_are_parted_by_tabs() {
        let expected = "name\ttags\nbob\t[]\na\"b\t[administrator]\n";
        assert_eq!(printed(Format::Table, &rows(), false), expected);
        assert_eq!(printed(Format::Table, &[], false), "\n");
        assert_eq!(printed(Format::Table, &[], true), "");
    }

    #[test]
    fn csv_is_quoted() {
        let expected = "\"name\",\"tags\"\n\"bob\",\"[]\"\n\"a\"\"b\",\"[administrator]\"\n";
        assert_eq!(printed(Format::Csv, &rows(), true), expected);
        assert_eq!(printed(Format::Csv, &[], true), "");
    }

    #[test]
    fn json_has_a_row_a_line() {
        let text = printed(Format::Json, &rows(), true);
        let expected = "[\n{\"name\":\"bob\",\"tags\":[]}\n,{\"name\":\"a\\\"b\",\"tags\":[\"administrator\"]}\n]\n";
        assert_eq!(text, expected);
        assert!(serde_json::from_str::<Value>(&text).is_ok());
        assert_eq!(printed(Format::Json, &[], true), "[\n]\n");
        assert_eq!(printed(Format::Json, &[], false), "[]\n");
    }

    #[test]
    fn erlang_has_lists_of_pairs() {
        let expected =
            "[[{name,<<\"bob\">>},{tags,[]}],\n [{name,<<\"a\\\"b\">>},{tags,[administrator]}]]\n";
        assert_eq!(printed(Format::Erlang, &rows(), true), expected);
        assert_eq!(printed(Format::Erlang, &[], true), "[]\n");
    }

    #[test]
    fn pretty_tables_have_lines() {
        let text = printed(Format::PrettyTable, &rows(), false);
        assert!(text.starts_with("\u{1b}(0lqqqqqqwqqqqqqqqqqqqqqqqqk\u{1b}(B\n"));
        assert_eq!(text.lines().count(), 7);
        assert_eq!(printed(Format::PrettyTable, &[], false), "");
    }

    #[test]
    fn no_name_commands_the_terminal() {
        assert_eq!(
            visible("a\u{1b}[31m\nb\tc\u{e9}"),
            "a\\033[31m\\012b\tc\u{e9}"
        );
    }
}
