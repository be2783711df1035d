//! How many nanoseconds do the operations of the hot path take?
//!
//! Shell: `cargo bench --bench operations`. On a machine with other work, believe `instructions` rather than this.

#[path = "operations/mod.rs"]
mod operations;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let mut group = criterion.benchmark_group("operations");
    for operation in operations::ALL {
        group.throughput(Throughput::Bytes(operation.bytes.len() as u64));
        group.bench_function(operation.name, |bencher| {
            bencher.iter_custom(|count| {
                let started = Instant::now();
                black_box((operation.run)(operation.bytes, count as usize));
                started.elapsed()
            });
        });
    }
    group.finish();
    criterion.final_summary();
}
