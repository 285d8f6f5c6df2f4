//! A table: columns of text, for a terminal and for Markdown.

/// Columns and rows.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) columns: Vec<String>,
    /// As many cells as columns.
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    /// For a terminal: columns of equal width, the first to the left and the others to the right.
    pub(crate) fn text(&self) -> String {
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells
                    .chain(self.columns.get(column))
                    .map(|cell| cell.chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let line = |cells: &[String]| {
            let mut line = String::new();
            for (number, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
                line.push_str(&if number == 0 {
                    format!("{cell}{padding}")
                } else {
                    format!("  {padding}{cell}")
                });
            }
            line.trim_end().to_owned() + "\n"
        };
        let mut text = format!("{}\n{}", self.title, line(&self.columns));
        for row in &self.rows {
            text.push_str(&line(row));
        }
        text
    }

    /// For a document, under a heading.
    pub(crate) fn markdown(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let mut text = format!("### {}\n\n{}", self.title, line(&self.columns));
        text.push_str(&format!(
            "|---|{}\n",
            "---:|".repeat(self.columns.len() - 1)
        ));
        for row in &self.rows {
            text.push_str(&line(row));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let cells = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect();
        Table {
            title: "Costs".to_owned(),
            columns: cells(&["variant", "µs"]),
            rows: vec![cells(&["a|b", "7"]), cells(&["longer name", "12.5"])],
        }
    }

    #[test]
    fn columns_line_up_in_a_terminal() {
        assert_eq!(
            table().text(),
            "Costs\nvariant        µs\na|b             7\nlonger name  12.5\n"
        );
    }

    #[test]
    fn a_cell_cannot_break_the_table_of_a_document() {
        assert_eq!(
            table().markdown(),
            "### Costs\n\n| variant | µs |\n|---|---:|\n| a\\|b | 7 |\n| longer name | 12.5 |\n"
        );
    }
}
