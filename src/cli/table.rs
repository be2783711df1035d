//! How do rows of text line up?
//!
//! Pure: cells to lines, columns apart by two spaces. A table crate was rejected: this is all it would be used for.

/// Rows under headings.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(headings: &[&str]) -> Self {
        Self {
            rows: vec![headings.iter().map(|&heading| heading.to_owned()).collect()],
        }
    }

    /// Adds a row, of as many cells as there are headings.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The lines. Columns of numbers are aligned to the right.
    pub(super) fn text(&self) -> String {
        let columns = self.rows.first().map_or(0, Vec::len);
        let column = |at: usize| self.rows.iter().filter_map(move |row| row.get(at));
        let shape: Vec<(usize, bool)> = (0..columns)
            .map(|at| {
                let width = column(at).map(|cell| cell.chars().count()).max().unwrap_or(0);
                let mut cells = column(at).skip(1).filter(|cell| *cell != "-").peekable();
                let number = |cell: &String| cell.parse::<f64>().is_ok();
                (width, cells.peek().is_some() && cells.all(number))
            })
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, &(width, right)) in row.iter().zip(&shape) {
                if right {
                    line.push_str(&format!("{cell:>width$}  "));
                } else {
                    line.push_str(&format!("{cell:<width$}  "));
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_numbers_stand_to_the_right() {
        let mut table = Table::new(&["ROUTE", "WEIGHT", "STATE"]);
        table.row(vec!["a".into(), "100.00".into(), "steady".into()]);
        table.row(vec!["größer".into(), "-".into(), "x".into()]);
        assert_eq!(
            table.text(),
            "ROUTE   WEIGHT  STATE\na       100.00  steady\ngrößer       -  x\n"
        );
    }

    #[test]
    fn a_table_without_rows_is_its_headings() {
        assert_eq!(Table::new(&["A", "B"]).text(), "A  B\n");
    }
}
