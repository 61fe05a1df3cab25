# $0 is the directory. Waits until the tracer knows this process, which then becomes the command.
# The tracer takes the descriptors 8 and 9. From `read` on, this shell starts no process.
exec 8<>"$0/go" 9<>"$0/boundaries"
echo "$(readlink /proc/self/ns/pid) $$" >"$0/process"
read -r svc_trace_secret <"$0/secret"
command -v "$1" >/dev/null 2>&1 || svc_trace_secret="$svc_trace_secret missing"
echo "$svc_trace_secret" >&9
# shellcheck disable=SC2034 # any line is the permission
read -r svc_trace_go <&8
exec 8>&- 9>&-
# As `RunDirectory.hook_environment`.
export SVC_TRACE_FIFO="$0/boundaries"
export PYTHONPATH="$0/plugins${PYTHONPATH:+:$PYTHONPATH}"
export PIP_EXCLUDE="svc_trace_hook${PIP_EXCLUDE:+ $PIP_EXCLUDE}"
[ -z "${PYTEST_DISABLE_PLUGIN_AUTOLOAD-}" ] ||
  export PYTEST_PLUGINS="svc_trace_hook${PYTEST_PLUGINS:+,$PYTEST_PLUGINS}"
exec "$@"
