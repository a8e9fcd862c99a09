//! pg_courier against built-in logical replication: same machine, same servers, same
//! backlog, same run.
//!
//! ```text
//!   make bench-apply BENCH="--size 0.5 --only single,tpcb"
//!   make bench-apply BENCH="--only wide --rounds 5"
//!   make bench-copy  BENCH="--scale 50"
//! ```
//!
//! `apply`: all slots are created first, then the source is loaded, then one candidate after
//! the other applies the same backlog into a database of its own. Measured from letting it go
//! to the moment the last transaction is visible there; another candidate is the first in
//! each round. Afterwards latency at a steady rate and CPU while idle. `copy`: from an empty
//! database to a complete one.
//!
//! CPU is that of all processes of a server, the helpers and ended children included, less the
//! bench's own sessions: what the machine has to pay for the job on that side.

mod apply;
mod arena;
mod arrival;
mod candidate;
mod copy;
mod ddl;
mod ddl_delay;
mod latency;
mod meter;
mod precheck;
mod report;
mod schema;
mod workloads;

use std::process::ExitCode;

use pg_courier_tests::scratch::{on_disk, scratch};

#[derive(Debug)]
pub struct Options {
    /// Multiplies every workload's number of rows.
    pub size: f64,
    /// pgbench's scale of `copy` and of workload tpcb.
    pub scale: u32,
    /// Workloads of `apply`, parts of `schema` (write, arrive) and `ddl` to run; all when empty.
    pub only: Vec<String>,
    /// How often `apply`, `growth`, `schema` and `ddl` measure.
    pub rounds: usize,
    /// Transactions a second of the latency probe.
    pub rate: u32,
    /// Seconds of the latency probe, and of the idle measurement.
    pub seconds: u32,
}

const USAGE: &str = "usage: bench apply|growth|copy|precheck|schema|ddl [--size FACTOR] [--scale N] [--only a,b] [--rounds N] [--rate N] [--seconds N]";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let options = match parse(arguments) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    on_disk();
    let equal = match what.as_str() {
        "apply" => apply::run(&options),
        "growth" => apply::run_growth(&options),
        "copy" => copy::run(&options),
        "precheck" => precheck::run(&options),
        "schema" => {
            let wanted = |part: &str| options.only.is_empty() || options.only.iter().any(|only| only == part);
            (!wanted("write") || schema::run(&options)) && (!wanted("arrive") || arrival::run(&options))
        }
        "ddl" => {
            let wanted = |part: &str| options.only.is_empty() || options.only.iter().any(|only| only == part);
            (!wanted("capture") || ddl::run(&options)) && (!wanted("delay") || ddl_delay::run(&options))
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    scratch().clean_up();
    if equal { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { size: 1.0, scale: 20, only: Vec::new(), rounds: 1, rate: 100, seconds: 15 };
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        let bad = |_| format!("{name}: {value} is not a number");
        match name.as_str() {
            "--size" => options.size = value.parse().map_err(|_| format!("{name}: {value} is not a number"))?,
            "--scale" => options.scale = value.parse().map_err(bad)?,
            "--rounds" => options.rounds = value.parse().map_err(bad)?,
            "--rate" => options.rate = value.parse().map_err(bad)?,
            "--seconds" => options.seconds = value.parse().map_err(bad)?,
            "--only" => options.only = value.split(',').map(str::to_owned).collect(),
            _ => return Err(format!("unknown option {name}")),
        }
    }
    Ok(options)
}
