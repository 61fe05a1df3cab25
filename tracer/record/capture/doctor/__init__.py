"""What `svc-trace doctor` asks a machine, and the answers."""
