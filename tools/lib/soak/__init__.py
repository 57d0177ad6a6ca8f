"""The soak test: a long run under load and faults that measures memory and descriptors. It uses the
crash test's deployment, driver, stream and judge. See tools/soak."""
