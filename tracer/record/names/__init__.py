"""The names of hosts, from what the traced tree sends, reads, and could look up."""
