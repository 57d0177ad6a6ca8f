"""The crash test: a deployment under load whose parts are killed, frozen, cut and delayed at random.
At the end view, accounting and responses must be right. See tools/crashtest."""
