//! How does a figure look?
//!
//! Shell: SVG without fonts of its own. Lines are told apart by marks and dashes where there is no colour, and what is black on white
//! becomes light on dark where the reader's page is dark.

use std::fs;
use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::spread::Spread;

const WIDTH: u32 = 960;
const PANEL_HEIGHT: u32 = 330;
const LEGEND_HEIGHT: u32 = 34;
const COLUMNS_MAX: usize = 3;
const BACKGROUND: RGBColor = RGBColor(255, 255, 255);
const INK: RGBColor = RGBColor(32, 32, 32);
const GRID: RGBColor = RGBColor(218, 218, 218);
/// What is to be seen on a dark page instead.
const ON_DARK: [(RGBColor, &str); 3] = [(BACKGROUND, "#0d1117"), (INK, "#e6edf3"), (GRID, "#30363d")];
const MARK: i32 = 4;

/// Several panels with one legend.
pub(crate) struct Figure {
    pub(crate) panels: Vec<Panel>,
    pub(crate) legend: Vec<(String, Style)>,
}

pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) series: Vec<Series>,
}

pub(crate) struct Axis {
    /// With the unit.
    pub(crate) label: &'static str,
    pub(crate) scale: Scale,
}

pub(crate) enum Scale {
    /// From 0.
    Linear,
    Decades,
    /// 0, 1, 2, … each with a name.
    Names(Vec<String>),
}

/// Medians in a line, with the least and the most as a bar.
pub(crate) struct Series {
    pub(crate) style: Style,
    pub(crate) points: Vec<(f64, Spread)>,
}

#[derive(Clone, Copy)]
pub(crate) struct Style {
    pub(crate) colour: Colour,
    pub(crate) is_dashed: bool,
    /// Points that have nothing to do with each other have none.
    pub(crate) has_line: bool,
}

/// Each with a mark of its own. Of Okabe and Ito's, which people who see colours differently can tell apart; they stand out on
/// white and on black.
#[derive(Clone, Copy)]
pub(crate) enum Colour {
    Ink,
    Blue,
    Vermilion,
}

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

impl Figure {
    pub(crate) fn write(&self, path: &Path) {
        let columns = self.panels.len().clamp(1, COLUMNS_MAX);
        let rows = self.panels.len().div_ceil(columns);
        let mut svg = String::new();
        {
            let size = (WIDTH, LEGEND_HEIGHT + PANEL_HEIGHT * rows as u32);
            let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            root.fill(&BACKGROUND).unwrap();
            let (legend, panels) = root.split_vertically(LEGEND_HEIGHT);
            self.draw_legend(&legend);
            for (panel, area) in self.panels.iter().zip(panels.split_evenly((rows, columns))) {
                panel.draw(&area);
            }
            root.present().unwrap();
        }
        fs::write(path, for_both_grounds(&svg)).unwrap();
    }

    fn draw_legend(&self, area: &Canvas<'_>) {
        let mut x = 70;
        let y = LEGEND_HEIGHT as i32 / 2 + 4;
        for (name, style) in &self.legend {
            if style.has_line {
                style.line(area, &[(x, y), (x + 36, y)]);
            }
            style.mark(area, (x + 18, y));
            let text = text(14).pos(Pos::new(HPos::Left, VPos::Center));
            area.draw(&Text::new(name.clone(), (x + 44, y), text)).unwrap();
            x += 70 + 8 * name.len() as i32;
        }
    }
}

impl Panel {
    fn draw(&self, area: &Canvas<'_>) {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let xs = points().map(|(x, _)| *x);
        let ys = points().flat_map(|(_, y)| [y.least, y.most]);
        let (x_range, y_range) = (self.x.range(xs), self.y.range(ys));
        let labels = |range: &std::ops::Range<f64>| (range.end - range.start).round() as usize + 1;
        let (x_labels, y_labels) = (
            labels(&x_range),
            match self.y.scale {
                Scale::Decades => labels(&y_range),
                _ => 6,
            },
        );
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, text(15))
            .margin(6)
            .margin_right(16)
            .x_label_area_size(46)
            .y_label_area_size(62)
            .build_cartesian_2d(x_range, y_range)
            .unwrap();
        chart
            .configure_mesh()
            .bold_line_style(GRID)
            .light_line_style(BACKGROUND)
            .max_light_lines(1)
            .axis_style(INK)
            .label_style(text(13))
            .axis_desc_style(text(13))
            .x_desc(self.x.label)
            .y_desc(self.y.label)
            .x_labels(x_labels)
            .y_labels(y_labels)
            .x_label_formatter(&|value| self.x.name(*value))
            .y_label_formatter(&|value| self.y.name(*value))
            .draw()
            .unwrap();
        for series in &self.series {
            self.draw_series(&mut chart, series);
        }
    }

    fn draw_series(&self, chart: &mut Chart<'_, '_>, series: &Series) {
        let area = chart.plotting_area();
        let place = |x: f64, y: f64| area.map_coordinate(&(self.x.place(x), self.y.place(y)));
        let area = area.strip_coord_spec();
        let (left, top) = (area.get_base_pixel().0, area.get_base_pixel().1);
        let place = |x, y| {
            let (x, y) = place(x, y);
            (x - left, y - top)
        };
        let medians: Vec<_> = series.points.iter().map(|(x, y)| place(*x, y.median)).collect();
        if series.style.has_line {
            series.style.line(&area, &medians);
        }
        for ((x, y), middle) in series.points.iter().zip(medians) {
            let bar = vec![place(*x, y.least), place(*x, y.most)];
            area.draw(&PathElement::new(bar, series.style.colour.rgb().stroke_width(1)))
                .unwrap();
            series.style.mark(&area, middle);
        }
    }
}

impl Axis {
    fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Decades => value.log10(),
            Scale::Linear | Scale::Names(_) => value,
        }
    }

    fn range(&self, values: impl Iterator<Item = f64>) -> std::ops::Range<f64> {
        let (least, most) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| {
            let value = self.place(value);
            (least.min(value), most.max(value))
        });
        match &self.scale {
            _ if !least.is_finite() || !most.is_finite() => 0.0..1.0,
            Scale::Linear => 0.0..most * 1.05,
            // A decade that begins with what is shown is shown from a little before it.
            Scale::Decades if least.fract() == 0.0 && most.fract() == 0.0 => least - 0.2..most + 0.2,
            Scale::Decades => least.floor()..most.ceil(),
            Scale::Names(names) => -0.5..names.len() as f64 - 0.5,
        }
    }

    /// Beside a tick; nothing where a tick is between what has a name.
    fn name(&self, value: f64) -> String {
        let is_whole = (value - value.round()).abs() < 1e-6;
        match &self.scale {
            Scale::Linear if value >= 10_000.0 => format!("{}k", (value / 1e3).round()),
            Scale::Linear => format!("{value}"),
            Scale::Decades if is_whole => in_short(10f64.powi(value.round() as i32)),
            Scale::Names(names) if is_whole && value > -0.5 => {
                names.get(value.round() as usize).cloned().unwrap_or_default()
            }
            Scale::Decades | Scale::Names(_) => String::new(),
        }
    }
}

/// 10000 as 10k.
fn in_short(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{}M", value / 1e6),
        value if value >= 1e3 => format!("{}k", value / 1e3),
        value => format!("{value}"),
    }
}

impl Style {
    fn line(&self, area: &Canvas<'_>, points: &[(i32, i32)]) {
        let style = self.colour.rgb().stroke_width(2);
        let drawn = match self.is_dashed {
            true => area.draw(&DashedPathElement::new(points.to_vec(), 6, 4, style)),
            false => area.draw(&PathElement::new(points.to_vec(), style)),
        };
        drawn.unwrap();
    }

    /// Hollow where the line is dashed.
    fn mark(&self, area: &Canvas<'_>, at: (i32, i32)) {
        let fill = match self.is_dashed {
            true => BACKGROUND.filled(),
            false => self.colour.rgb().filled(),
        };
        let edge = self.colour.rgb().stroke_width(2);
        let square = [(at.0 - MARK, at.1 - MARK), (at.0 + MARK, at.1 + MARK)];
        for style in [fill, edge] {
            let drawn = match self.colour {
                Colour::Ink => area.draw(&Rectangle::new(square, style)),
                Colour::Blue => area.draw(&Circle::new(at, MARK, style)),
                Colour::Vermilion => area.draw(&triangle(at, style)),
            };
            drawn.unwrap();
        }
    }
}

fn triangle((x, y): (i32, i32), style: ShapeStyle) -> Polygon<(i32, i32)> {
    Polygon::new(
        vec![
            (x - MARK - 1, y + MARK),
            (x + MARK + 1, y + MARK),
            (x, y - MARK - 1),
        ],
        style,
    )
}

impl Colour {
    fn rgb(self) -> RGBColor {
        match self {
            Self::Ink => INK,
            Self::Blue => RGBColor(0, 114, 178),
            Self::Vermilion => RGBColor(213, 94, 0),
        }
    }
}

fn text(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

/// Has the page's ground and ink changed by whoever shows it.
fn for_both_grounds(svg: &str) -> String {
    let rules = ON_DARK.map(|(RGBColor(red, green, blue), other)| {
        let colour = format!("#{red:02X}{green:02X}{blue:02X}");
        format!("[fill=\"{colour}\"]{{fill:{other}}}[stroke=\"{colour}\"]{{stroke:{other}}}")
    });
    let style = format!(
        "<style>@media (prefers-color-scheme:dark){{{}}}</style>\n",
        rules.concat()
    );
    let end = svg.find('>').map_or(0, |end| end + 1);
    format!("{}\n{style}{}", &svg[..end], &svg[end..])
}
