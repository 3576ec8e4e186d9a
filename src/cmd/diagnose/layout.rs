//! Lines of at most 80 columns, tables, and colours.

/// How a text is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// True if the output is a terminal that shows colours.
    pub(super) colour: bool,
}

impl Style {
    /// A heading.
    pub(super) fn heading(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// The mark and words of a failure.
    pub(super) fn bad(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// The mark and words of a success.
    pub(super) fn good(self, text: &str) -> String {
        self.paint("1;32", text)
    }

    /// Words of less weight.
    pub(super) fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// The text in lines of at most [`WIDTH`] columns. The first line begins with `first`, the others with as many spaces.
pub(super) fn wrapped(first: &str, text: &str) -> String {
    let indent = first.chars().count();
    let mut lines = String::from(first);
    let mut column = indent;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > indent && column + 1 + length > WIDTH {
            lines += &format!("\n{:indent$}", "");
            column = indent;
        }
        if column > indent {
            lines.push(' ');
            column += 1;
        }
        lines += word;
        column += length;
    }
    lines + "\n"
}

/// Rows whose last column is wrapped; the others are as wide as their longest cell.
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).take(N - 1);
        let begin: String = cells.map(|(cell, width)| format!("{cell:<width$}  ")).collect();
        trimmed(&wrapped(&format!("  {begin}"), &row[N - 1]))
    };
    rows.iter().map(line).collect()
}

/// A heading with its lines. Lines that can be pasted stay whole.
pub(super) fn listed(heading: &str, lines: &[String], style: Style) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let shown = |line: &String| match line.strip_prefix("  ") {
        Some(paste) => format!("    {}\n", paste.replace('\n', "\n  ")),
        None => wrapped("  ", line),
    };
    format!("\n{}\n{}", style.heading(heading), lines.iter().map(shown).collect::<String>())
}

fn trimmed(lines: &str) -> String {
    lines.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The columns of the narrowest terminal that people use.
const WIDTH: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_wrapped_below_its_beginning_and_long_words_stay_whole() {
        let text = wrapped("  fix  ", &"word ".repeat(20));
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.lines().nth(1).is_some_and(|line| line.starts_with("       word")), "{text}");
        let word = "w".repeat(100);
        assert_eq!(wrapped("- ", &word), format!("- {word}\n"));
    }

    #[test]
    fn the_columns_of_a_table_are_aligned() {
        let rows = [["a", "1", "x"], ["long", "22", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows), "  a     1   x\n  long  22\n");
    }
}
