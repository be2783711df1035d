//! How is an SVG written?
//!
//! Pure: the five shapes the chart is made of. A plotting crate would be a hundred times this, for axes that are drawn
//! in three lines.

use std::fmt::Write as _;

/// What has been drawn.
#[derive(Clone, Debug, Default)]
pub(super) struct Canvas {
    shapes: String,
    height: f64,
}

impl Canvas {
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), style: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.add(
            format_args!("<line x1='{x1:.1}' y1='{y1:.1}' x2='{x2:.1}' y2='{y2:.1}' style='{style}'/>"),
            y1.max(y2),
        );
    }

    pub(super) fn rectangle(&mut self, corner: (f64, f64), size: (f64, f64), style: &str) {
        let ((x, y), (width, height)) = (corner, size);
        self.add(
            format_args!(
                "<rect x='{x:.1}' y='{y:.1}' width='{width:.1}' height='{height:.1}' style='{style}'/>"
            ),
            y + height,
        );
    }

    /// A line through points.
    pub(super) fn curve(&mut self, points: &[(f64, f64)], style: &str) {
        let mut path = String::new();
        for (x, y) in points {
            // A String takes all that is written to it.
            let _ = write!(path, "{x:.1},{y:.1} ");
        }
        let lowest = points.iter().map(|(_, y)| *y).fold(0.0, f64::max);
        self.add(
            format_args!(
                "<polyline points='{}' style='fill:none;{style}'/>",
                path.trim_end()
            ),
            lowest,
        );
    }

    pub(super) fn text(&mut self, at: (f64, f64), text: &str, style: &str) {
        let (x, y) = at;
        let escaped = text
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        self.add(
            format_args!("<text x='{x:.1}' y='{y:.1}' style='{style}'>{escaped}</text>"),
            y,
        );
    }

    fn add(&mut self, shape: std::fmt::Arguments<'_>, lowest: f64) {
        let _ = writeln!(self.shapes, "{shape}");
        self.height = self.height.max(lowest);
    }

    /// The file.
    pub(super) fn finish(&self, width: f64) -> String {
        let height = self.height + 20.0;
        format!(
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height:.0}' width='{width}' height='{height:.0}' \
             style='font:12px sans-serif;background:white'>\n{}</svg>\n",
            self.shapes
        )
    }
}
