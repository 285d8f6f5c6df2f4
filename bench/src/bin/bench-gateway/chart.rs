//! The chart of the first table: a bar for each variant, as an SVG that stands alone.

/// One bar.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) value: f64,
    /// Stands at the end of the bar.
    pub(crate) label: String,
    /// Whether it is ours.
    pub(crate) ours: bool,
}

const WIDTH: f64 = 860.0;
const NAMES: f64 = 250.0;
const LABELS: f64 = 150.0;
const STEP: f64 = 30.0;
const TOP: f64 = 64.0;

/// Bars from the top down, all on one scale that begins at zero.
pub(crate) fn svg(title: &str, subtitle: &str, bars: &[Column]) -> String {
    let height = STEP.mul_add(bars.len() as f64, TOP + 12.0);
    let longest = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"14\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"26\" font-size=\"16\" font-weight=\"bold\" fill=\"#1f2328\">{}</text>\n\
         <text x=\"16\" y=\"46\" font-size=\"12\" fill=\"#59636e\">{}</text>\n",
        escaped(title),
        escaped(subtitle)
    );
    for (number, bar) in bars.iter().enumerate() {
        let y = STEP.mul_add(number as f64, TOP);
        let width = (WIDTH - NAMES - LABELS) * bar.value / longest.max(f64::MIN_POSITIVE);
        let colour = if bar.ours { "#0a7d5a" } else { "#8c959f" };
        let middle = y + 16.0;
        svg.push_str(&format!(
            "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\" fill=\"#1f2328\">{}</text>\n\
             <rect x=\"{NAMES}\" y=\"{y}\" width=\"{width:.1}\" height=\"22\" fill=\"{colour}\"/>\n\
             <text x=\"{:.1}\" y=\"{middle}\" fill=\"#1f2328\">{}</text>\n",
            NAMES - 10.0,
            escaped(&bar.name),
            NAMES + width + 8.0,
            escaped(&bar.label)
        ));
    }
    svg.push_str("</svg>\n");
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, value: f64, ours: bool) -> Column {
        Column {
            name: name.to_owned(),
            value,
            label: format!("{value} µs"),
            ours,
        }
    }

    #[test]
    fn bars_are_as_long_as_their_values() {
        let bars = [column("Lua", 200.0, false), column("async", 50.0, true)];
        let svg = svg("Cost", "", &bars);
        assert!(svg.contains("width=\"460.0\""), "{svg}");
        assert!(svg.contains("width=\"115.0\""), "{svg}");
    }

    #[test]
    fn a_name_cannot_break_the_picture() {
        let svg = svg("a < b", "", &[column("x & y", 1.0, false)]);
        assert!(
            svg.contains("a &lt; b") && svg.contains("x &amp; y"),
            "{svg}"
        );
    }
}
