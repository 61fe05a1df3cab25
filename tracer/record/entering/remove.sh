# $0 is the directory. Removes it, and prints what has happened to it.
[ -p "$0/boundaries" ] && [ -r "$0/plugins/svc_trace_hook/__init__.py" ] || echo svc-trace-damaged
[ ! -e "$0/boundaries.off" ] || echo svc-trace-silenced
rm -rf "$0"
