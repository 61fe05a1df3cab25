"""The command in a container: another command, such as `docker exec`, starts it there."""
