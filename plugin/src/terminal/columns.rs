//! Pure: tables as kubectl prints them; a list of records where the table would not fit.

use console::measure_text_width;

use super::style::Style;
use super::wrap;

/// Rows under headings. Cells may carry colours; every row has as many cells as there are
/// headings.
#[derive(Debug)]
pub(crate) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table under `headings`.
    pub(crate) fn new(headings: &[&'static str]) -> Self {
        Self {
            headings: headings.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(
            cells.len(),
            self.headings.len(),
            "a row has a cell for each heading"
        );
        self.rows.push(cells);
    }

    /// The table with a final newline: columns if they fit `style`'s width, else each row as a
    /// list of its non-empty cells, wrapped.
    pub(crate) fn render(&self, style: Style) -> String {
        let widths: Vec<usize> = (0..self.headings.len())
            .map(|column| {
                let cells = self.rows.iter().map(|row| measure_text_width(&row[column]));
                cells
                    .chain([self.headings[column].len()])
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let total: usize = widths.iter().sum::<usize>() + 3 * widths.len().saturating_sub(1);
        match style.width {
            Some(width) if total > width => self.records(style, width),
            _ => self.columns(style, &widths),
        }
    }

    fn columns(&self, style: Style, widths: &[usize]) -> String {
        let line = |cells: &[String]| {
            let padded = cells.iter().zip(widths).map(|(cell, width)| {
                format!("{cell}{}", " ".repeat(width - measure_text_width(cell)))
            });
            let line = padded.collect::<Vec<_>>().join("   ");
            format!("{}\n", line.trim_end())
        };
        let headings: Vec<String> = self.headings.iter().map(|h| style.strong(h)).collect();
        let mut out = line(&headings);
        for row in &self.rows {
            out.push_str(&line(row));
        }
        out
    }

    fn records(&self, style: Style, width: usize) -> String {
        let mut out = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            if index > 0 {
                out.push('\n');
            }
            for (heading, cell) in self.headings.iter().zip(row) {
                if !cell.is_empty() {
                    let line = format!("{}: {cell}", style.strong(heading));
                    out.push_str(&wrap::wrap(&line, Some(width), "  "));
                    out.push('\n');
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["NAME", "TARGET"]);
        table.row(vec!["shop".into(), "203.0.113.7".into()]);
        table.row(vec!["\x1b[31mbank\x1b[0m".into(), String::new()]);
        table
    }

    #[test]
    fn columns_line_up_whatever_the_colours() {
        let text = table().render(Style::default());
        assert_eq!(
            text,
            "NAME   TARGET\nshop   203.0.113.7\n\x1b[31mbank\x1b[0m\n"
        );
    }

    #[test]
    fn a_narrow_terminal_gets_one_record_after_the_other() {
        let text = table().render(Style {
            width: Some(12),
            ..Style::default()
        });
        assert_eq!(
            text,
            "NAME: shop\nTARGET:\n  203.0.113.7\n\nNAME: \x1b[31mbank\x1b[0m\n"
        );
    }
}
