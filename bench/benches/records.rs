//! A batch's records: how long one takes to read, as our filter writes it, and as anybody else might.

use std::hint::black_box;

use ase_core::transaction::wire::read_record;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const HEADERS: &str = r#"{"host":"api.example.com"},{"user-agent":"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},{"accept":"application/json"},{"accept-encoding":"gzip, deflate, br"},{"accept-language":"en-US,en;q=0.5"},{"authorization":"Bearer token-0123456789abcdef0123456789abcdef"},{"cookie":"theme=dark; SID=session-0123456789abcdef01234567"}"#;

criterion_group!(records, read);
criterion_main!(records);

fn read(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read_record");
    group.throughput(Throughput::Elements(1));
    let usual = line("application/json");
    group.bench_function("usual", |bencher| {
        bencher.iter(|| black_box(read_record(black_box(&usual))).is_ok())
    });
    // One escape, and the record is read by the general reader.
    let escaped = line("application\\/json");
    group.bench_function("with_an_escape", |bencher| {
        bencher.iter(|| black_box(read_record(black_box(&escaped))).is_ok())
    });
    group.finish();
}

fn line(content_type: &str) -> String {
    format!(
        r#"{{"id":"5f0c9a3be1d24c77-1a","started_ms":1763771712345,"duration_us":12345,"mode":"async","decision":"async","end":"upstream","request":{{"source_ip":"203.0.113.7","source_port":41234,"method":"GET","url":"/shop/books/4711?page=3&sort=title","http_version":"1.1","headers":[{HEADERS}]}},"response":{{"response_code":200,"headers":[{{"content-type":"{content_type}"}},{{"content-length":"512"}},{{"server":"shop"}}]}}}}"#
    )
}
