//! Tables of results, with the ratio to the first candidate.

use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Result {
    pub candidate: &'static str,
    pub rows: u64,
    pub wall: Duration,
    pub source_cpu: Duration,
    pub destination_cpu: Duration,
    pub source_peak: Option<u64>,
    pub destination_peak: Option<u64>,
    pub identical: bool,
}

impl Result {
    fn rate(&self) -> f64 {
        self.rows as f64 / self.wall.as_secs_f64().max(1e-9)
    }

    /// CPU of both sides for a million rows, in seconds.
    fn cost(&self) -> f64 {
        (self.source_cpu + self.destination_cpu).as_secs_f64() * 1e6 / self.rows.max(1) as f64
    }
}

/// Ours against the fastest, and against the cheapest, of the others.
#[derive(Debug, Clone, Copy)]
pub struct Verdict {
    rate: f64,
    cost: f64,
}

pub fn print(title: &str, results: &[Result]) -> Option<Verdict> {
    println!("\n{title}");
    println!(
        "  {:<18}{:>10}{:>9}{:>12}{:>8}{:>11}{:>11}{:>13}{:>8}{:>17}  result",
        "candidate",
        "rows",
        "wall s",
        "rows/s",
        "ratio",
        "CPU src s",
        "CPU dst s",
        "CPU s/1M",
        "ratio",
        "peak MB src/dst"
    );
    let first = results.first()?;
    for result in results {
        println!(
            "  {:<18}{:>10}{:>9.2}{:>12.0}{:>8.2}{:>11.2}{:>11.2}{:>13.2}{:>8.2}{:>17}  {}",
            result.candidate,
            result.rows,
            result.wall.as_secs_f64(),
            result.rate(),
            result.rate() / first.rate(),
            result.source_cpu.as_secs_f64(),
            result.destination_cpu.as_secs_f64(),
            result.cost(),
            result.cost() / first.cost(),
            format!("{}/{}", megabytes(result.source_peak), megabytes(result.destination_peak)),
            if result.identical { "identical" } else { "NOT IDENTICAL" }
        );
    }
    let (ours, rivals) = results.split_last()?;
    let best = |value: fn(&Result) -> f64, better: fn(f64, f64) -> f64| rivals.iter().map(value).reduce(better);
    let verdict = Verdict {
        rate: ours.rate() / best(Result::rate, f64::max)?,
        cost: ours.cost() / best(Result::cost, f64::min)?,
    };
    println!(
        "  {} against the best rival: {:.2} of its rows/s, {:.2} of its CPU per row",
        ours.candidate, verdict.rate, verdict.cost
    );
    Some(verdict)
}

/// What several rounds came to: a single one says little on a machine whose speed changes.
pub fn print_rounds(rounds: &[Verdict]) {
    if rounds.len() < 2 {
        return;
    }
    let line = |what: &str, value: fn(&Verdict) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (values[0], values[values.len() - 1]);
        let median = (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0;
        println!(
            "  of {} rounds, {what} against the best rival: median {median:.2}, {least:.2} to {most:.2}",
            values.len()
        );
    };
    line("rows/s", |verdict| verdict.rate);
    line("CPU per row", |verdict| verdict.cost);
}

fn megabytes(bytes: Option<u64>) -> String {
    bytes.map_or("-".to_owned(), |bytes| (bytes >> 20).to_string())
}

/// The value below which so many percent of the sorted values lie.
pub fn percentile(sorted: &[Duration], percent: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    let index = (last as f64 * percent / 100.0).round() as usize;
    sorted.get(index).copied().unwrap_or_default()
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
