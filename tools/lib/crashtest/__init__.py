"""The crash test: a whole deployment under load, in which everything is killed, frozen, cut and
delayed at random; at the end nothing may show it. See tools/crashtest."""
