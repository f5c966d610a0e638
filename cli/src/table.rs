//! Tables: tab-separated and padded where a script may read them, aligned and coloured where a person does.

use crate::output::{Colour, Style};

/// A table to be.
#[derive(Debug)]
pub(crate) struct Table {
    titles: Vec<String>,
    widths: Vec<usize>,
}

/// What is between columns on a terminal.
const GAP: &str = "   ";

/// Where a table is printed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Look {
    /// As Flux prints it: each cell padded and followed by a tab, the header's last one by a space.
    Plain,
    /// For a terminal.
    Pretty(Style),
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new<T: Into<String>>(titles: impl IntoIterator<Item = T>) -> Self {
        let titles: Vec<String> = titles.into_iter().map(|title| title.into().to_uppercase()).collect();
        let widths = titles.iter().map(|title| width(title)).collect();
        Self { titles, widths }
    }

    /// Makes the columns wide enough for these rows.
    pub(crate) fn fit(&mut self, rows: &[Vec<String>]) {
        for row in rows {
            for (known, cell) in self.widths.iter_mut().zip(row) {
                *known = (*known).max(width(&one_line(cell)));
            }
        }
    }

    /// The line with the titles.
    pub(crate) fn header(&self, look: Look) -> String {
        match look {
            Look::Plain => {
                let cells = self.titles.iter().zip(&self.widths).map(|(title, width)| pad(title, *width));
                cells.collect::<Vec<_>>().join("\t") + " \n"
            }
            Look::Pretty(style) => self.pretty(&self.titles, |_, cell| style.paint(Colour::Bold, cell)),
        }
    }

    /// The line of a row.
    pub(crate) fn row(&self, cells: &[String], look: Look) -> String {
        match look {
            Look::Plain => {
                let padded =
                    cells.iter().zip(&self.widths).map(|(cell, width)| pad(&one_line(cell), *width) + "\t");
                padded.collect::<String>() + "\n"
            }
            Look::Pretty(style) => self.pretty(cells, |column, cell| {
                match (self.titles.get(column).map(String::as_str), cell.trim_end()) {
                    (Some("READY"), "True") => style.paint(Colour::Green, cell),
                    (Some("READY"), "False") | (Some("TYPE"), "Warning") => style.paint(Colour::Red, cell),
                    (Some("READY"), "Unknown") | (Some("SUSPENDED"), "True") => {
                        style.paint(Colour::Yellow, cell)
                    }
                    _ => cell.to_owned(),
                }
            }),
        }
    }

    fn pretty(&self, cells: &[String], paint: impl Fn(usize, &str) -> String) -> String {
        let last = cells.len().saturating_sub(1);
        let mut line = String::new();
        for (column, (cell, width)) in cells.iter().zip(&self.widths).enumerate() {
            let cell = if column == last { self.below(cell) } else { pad(&one_line(cell), *width) };
            line += &paint(column, &cell);
            if column != last {
                line += GAP;
            }
        }
        line + "\n"
    }

    /// The last cell of a row: a person reads its lines one below the other.
    fn below(&self, cell: &str) -> String {
        let (_, others) = self.widths.split_last().unwrap_or((&0, &[]));
        let indent: usize = others.iter().map(|width| width + GAP.len()).sum();
        let lines = cell.lines().map(one_line).filter(|line| !line.is_empty());
        lines.collect::<Vec<_>>().join(&format!("\n{}", " ".repeat(indent)))
    }

    /// A whole table.
    pub(crate) fn render<T: Into<String>>(
        titles: impl IntoIterator<Item = T>,
        rows: &[Vec<String>],
        header: bool,
        look: Look,
    ) -> String {
        let mut table = Self::new(titles);
        if !header {
            // Widths of a table without header come from the rows alone, as in the reference.
            table.widths.fill(0);
        }
        table.fit(rows);
        let head = if header { table.header(look) } else { String::new() };
        rows.iter().fold(head, |text, row| text + &table.row(row, look))
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(self::width(text))))
}

/// A cell never breaks its row.
fn one_line(cell: &str) -> String {
    if cell.contains(['\n', '\r', '\t']) {
        cell.split_whitespace().collect::<Vec<_>>().join(" ")
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect()
    }

    #[test]
    fn cells_are_padded_and_followed_by_tabs() {
        let rows = rows(&[
            &["podinfo", "main@sha1:696f056d", "False", "True", "stored"],
            &["a", "", "True", "False", "x"],
        ]);
        let text =
            Table::render(["name", "revision", "suspended", "ready", "message"], &rows, true, Look::Plain);
        let expected = "NAME   \tREVISION          \tSUSPENDED\tREADY\tMESSAGE \n\
                        podinfo\tmain@sha1:696f056d\tFalse    \tTrue \tstored \t\n\
                        a      \t                  \tTrue     \tFalse\tx      \t\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn without_header_the_rows_alone_set_the_widths() {
        let text =
            Table::render(["name", "ready"], &rows(&[&["a", "True"], &["bc", "x"]]), false, Look::Plain);
        assert_eq!(text, "a \tTrue\t\nbc\tx   \t\n");
    }

    #[test]
    fn a_cell_never_breaks_its_row() {
        let text = Table::render(["name"], &rows(&[&["a\n  b"]]), false, Look::Plain);
        assert_eq!(text, "a b\t\n");
    }

    #[test]
    fn a_terminal_gets_no_tabs_and_no_trailing_blanks() {
        let text = Table::render(
            ["name", "ready"],
            &rows(&[&["podinfo", "True"]]),
            true,
            Look::Pretty(Style::new(false)),
        );
        assert_eq!(text, "NAME      READY\npodinfo   True\n");
        let text = Table::render(
            ["name", "message"],
            &rows(&[&["a", "one\n\ntwo\tx\n"]]),
            true,
            Look::Pretty(Style::new(false)),
        );
        assert_eq!(text, "NAME   MESSAGE\na      one\n       two x\n");
    }
}
