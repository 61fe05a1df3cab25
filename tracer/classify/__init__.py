"""Pure: a trace and a configuration in, a classification out. No root, no clock, no network."""
