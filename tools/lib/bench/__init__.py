"""The benchmarks: throughput, latency and cost of the program. See tools/bench."""
