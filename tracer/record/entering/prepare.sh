# Makes a directory in the container, with the files that the arguments give: NAME CONTENT ...
# Prints a secret, the pid namespace and the directory. Directories of runs that did not remove theirs are removed.
set -eu
umask 077
namespace=$(readlink /proc/self/ns/pid)
for base in "${TMPDIR:-/tmp}" /dev/shm /var/tmp; do
  for old in "$base"/svc-trace-*; do
    if [ -O "$old" ] && read -r its pid <"$old/process" && [ "$its" = "$namespace" ] && ! kill -0 "$pid"; then
      rm -rf "$old"
    fi
  done 2>/dev/null
  read -r name </proc/sys/kernel/random/uuid
  directory=$base/svc-trace-$name
  ! mkdir "$directory" 2>/dev/null || break
  directory=
done
if [ -z "$directory" ]; then
  echo "no directory for temporary files can be written: TMPDIR, /tmp, /dev/shm, /var/tmp" >&2
  exit 1
fi
trap 'rm -rf "$directory"' EXIT
while [ $# -gt 0 ]; do
  case $1 in */*) mkdir -p "$directory/${1%/*}" ;; esac
  printf %s "$2" >"$directory/$1"
  shift 2
done
read -r secret </proc/sys/kernel/random/uuid
echo "$secret" >"$directory/secret"
mkfifo "$directory/boundaries" "$directory/go"
printf '\nsvc-trace %s %s %s\n' "$secret" "$namespace" "$directory"
trap - EXIT
