"""The backends that record by BPF programs: libbpf and bcc, and what both share."""
