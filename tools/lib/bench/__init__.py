"""The benches: what the program does in a second, and what it costs. See tools/bench."""
