"""tools/capacity: what a site needs, and which limit comes first, from measured figures."""
