"""The soak: long life under load and faults, and what it costs in memory and descriptors. It stands on
the crash test's deployment, driver, stream and judgement. See tools/soak."""
