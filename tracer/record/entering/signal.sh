# $0 is the directory. Sends a signal to the command.
read -r namespace pid <"$0/process"
[ "$namespace" = "$(readlink /proc/self/ns/pid)" ] && kill -s "$1" "$pid"
