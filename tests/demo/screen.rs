//! What the demo prints. On a terminal the progress is drawn in place; into a pipe or a
//! log it comes line by line, and less often.

use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Tables drawn at once; the rest is counted in the headline.
const LINES: usize = 14;

pub struct Screen {
    terminal: bool,
    /// Lines of the last drawing, to be drawn over.
    drawn: usize,
}

impl Screen {
    pub fn new() -> Screen {
        Screen { terminal: std::io::stdout().is_terminal(), drawn: 0 }
    }

    /// How long a drawing stays.
    pub fn frame(&self) -> Duration {
        Duration::from_millis(if self.terminal { 500 } else { 2000 })
    }

    pub fn step(&mut self, title: &str) {
        self.drawn = 0;
        println!("\n{}", self.bold(&format!("== {title}")));
    }

    pub fn say(&mut self, text: &str) {
        self.drawn = 0;
        println!("   {text}");
    }

    /// A statement as psql shows it while it is typed.
    pub fn prompt(&mut self, database: &str, statement: &str) {
        self.drawn = 0;
        let indent = " ".repeat(database.len() + 1);
        println!("\n{database}=# {}", self.bold(&statement.replace('\n', &format!("\n{indent}"))));
    }

    pub fn answer(&mut self, text: &str) {
        if !text.trim().is_empty() {
            println!("{}", text.trim_end());
        }
    }

    /// The state of the task and of its unfinished tables.
    pub fn progress(&mut self, headline: &str, tables: &[Vec<String>], last: bool) {
        if !self.terminal {
            println!("{headline}");
            if last {
                tables.iter().for_each(|table| println!("      {}", table_line(table)));
            }
            return;
        }
        let mut frame = String::new();
        if self.drawn > 0 {
            frame += &format!("\x1b[{}A\x1b[J", self.drawn);
        }
        frame += &format!("{headline}\n");
        for table in tables.iter().take(LINES) {
            frame += &format!("      {}\n", table_line(table));
        }
        self.drawn = 1 + tables.len().min(LINES);
        print!("{frame}");
        let _ = std::io::stdout().flush();
    }

    /// Aligned columns; the first line is the head.
    pub fn table(&mut self, lines: &[Vec<String>]) {
        let width = |column: usize| {
            lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        for line in lines {
            let [name, rows, result] = &line[..] else { continue };
            println!("   {name:<0$}  {rows:>1$}  {result}", width(0), width(1));
        }
    }

    pub fn verdict(&mut self, identical: bool, elapsed: Duration) {
        let verdict = if identical { "identical" } else { "NOT identical" };
        println!(
            "\n{} ({:.0} s)",
            self.bold(&format!("== Source and destination are {verdict}")),
            elapsed.as_secs_f64()
        );
    }

    fn bold(&self, text: &str) -> String {
        if self.terminal { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn table_line(table: &[String]) -> String {
    let [name, state, rows, bar, percent] = table else {
        return table.join(" ");
    };
    format!("{name:<40.40} {state:<13} {rows:>10} {bar} {percent}")
}
