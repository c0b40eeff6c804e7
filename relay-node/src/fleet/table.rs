//! A table for people: columns as wide as what is in them, numbers to the right.

use std::fmt;

/// Rows under the names of their columns.
pub(super) struct Table {
    columns: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

impl Table {
    /// What comes from a fleet is shown escaped: it may hold names that somebody else chose.
    pub(super) fn new(columns: &'static [&'static str], rows: Vec<Vec<String>>) -> Self {
        let escaped =
            |cell: String| if cell.is_empty() { "-".to_owned() } else { cell.escape_debug().to_string() };
        let rows = rows.into_iter().map(|row| row.into_iter().map(escaped).collect()).collect();
        Self { columns, rows }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells = |at: usize| self.rows.iter().filter_map(move |row| row.get(at));
        let width = |at: usize, name: &str| {
            cells(at).map(|cell| cell.chars().count()).max().unwrap_or(0).max(name.len())
        };
        let is_number = |at: usize| {
            let starts =
                |cell: &String| cell == "-" || cell.starts_with(|first: char| first.is_ascii_digit());
            cells(at).all(starts) && !cells(at).any(|cell| cell.contains([':', '.']))
        };
        let shape: Vec<_> =
            self.columns.iter().enumerate().map(|(at, name)| (width(at, name), is_number(at))).collect();
        let names = self.columns.iter().map(|&name| name.to_owned()).collect();
        for (index, row) in std::iter::once(&names).chain(&self.rows).enumerate() {
            let line: Vec<String> = row
                .iter()
                .zip(&shape)
                .map(
                    |(cell, &(width, number))| {
                        if number { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
                    },
                )
                .collect();
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{}", line.join("  ").trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = vec![row(["a-long-name", "7", "192.0.2.1"]), row(["b", "1000", ""])];
        let told = Table::new(&["NODE", "CALLS", "ADDRESS"], rows).to_string();
        assert_eq!(told, "NODE         CALLS  ADDRESS\na-long-name      7  192.0.2.1\nb             1000  -");
    }

    #[test]
    fn a_name_cannot_write_to_the_terminal() {
        let told = Table::new(&["USER"], vec![vec!["a\u{1b}[2Jb\nc".to_owned()]]).to_string();
        assert_eq!(told, "USER\na\\u{1b}[2Jb\\nc");
    }
}
