"""The backend that needs no privileges: strace's text, turned into events."""
