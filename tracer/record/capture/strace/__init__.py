"""The backend strace, which needs no privileges. It turns text into calls, arguments and events."""
