// SPDX-License-Identifier: MIT
/*
 * The installed command `svc-trace`: executes `python -I -m tracer` with the interpreter of its installation.
 *
 * svc-trace often runs as root, in a user's directory and with a user's environment. With -I, Python ignores PYTHON*
 * variables, the current directory and the user's own packages. As root, -B lets it write no bytecode: an owner of the
 * installation who is not root could not remove it.
 *
 * Why a program in C: installers write the first line of a Python script, without -I, so that sitecustomize.py on
 * PYTHONPATH would run before our first line. A shell script would change the environment, which belongs to the command
 * that is traced: dash adds PWD and drops variables such as `discovery.type`.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CANNOT_TRACE 69 /* tracer/errors.py */
#define OWN_WORDS 11

/* Outside of a virtual environment, the installation may be one user's: -I ignores it, and root has another home. */
static char in_packages[] = "import site, sys; site.addsitedir(sys.argv.pop(1)); site.main(); "
			    "from tracer.commands import main; sys.exit(main())";

static void fail(const char *what, const char *reason)
{
	fprintf(stderr, "svc-trace: error: cannot start: %s: %s [no-interpreter]\n", what, reason);
	fprintf(stderr, "  Install svc-trace again: in a virtual environment, with pipx or with `uv tool install`.\n");
	exit(CANNOT_TRACE);
}

/* A new string: two strings with a separator. */
static char *join(const char *first, const char *separator, const char *second)
{
	char *joined;

	if (asprintf(&joined, "%s%s%s", first, separator, second) < 0)
		fail(second, strerror(ENOMEM));
	return joined;
}

/* Execute an interpreter, which is the first word. Returns if it cannot be executed. */
static void start(char **words, char *python)
{
	words[0] = python;
	execvp(python, words);
}

/* A pattern for glob(3): the distribution's metadata below the parent of `bin`. */
static char *metadata_pattern(const char *bin)
{
	static char pattern[2 * PATH_MAX + 64];
	char *end = pattern;

	for (; *bin; *end++ = *bin++)
		if (strchr("*?[\\", *bin))
			*end++ = '\\';
	strcpy(end, "/../lib*/python3.*/*-packages/svc_trace-*.dist-info");
	return pattern;
}

/*
 * Start the interpreter of an installation without a virtual environment: of the system, of one user, of conda.
 * `packages` is the word for the directory of the installed packages.
 */
static void start_in_packages(const char *bin, char **words, char **packages)
{
	glob_t found;

	if (glob(metadata_pattern(bin), 0, NULL, &found))
		fail(bin, "svc-trace is not installed there");
	for (size_t match = found.gl_pathc; match-- > 0;) { /* the newest Python first */
		*packages = found.gl_pathv[match];
		*strrchr(*packages, '/') = '\0'; /* …/python3.11/site-packages */
		char *python = join(*packages, "", "");
		*strrchr(python, '/') = '\0';
		python = strrchr(python, '/') + 1;
		start(words, join(bin, "/", python));
		start(words, join("/usr/local/bin", "/", python));
		start(words, join("/usr/bin", "/", python));
		if (geteuid() != 0) /* the user's own PATH */
			start(words, python);
	}
	fail(*packages, "its Python is not installed");
}

/*
 * Block SIGINT until tracer/commands can report it: while Python starts, it would end with a traceback and status 1,
 * which is pytest's "tests failed". Returns whether it was not blocked before.
 */
static int block_interrupts(void)
{
	sigset_t interrupt, before;

	sigemptyset(&interrupt);
	sigaddset(&interrupt, SIGINT);
	return sigprocmask(SIG_BLOCK, &interrupt, &before) == 0 && !sigismember(&before, SIGINT);
}

int main(int argc, char **argv)
{
	char bin[PATH_MAX + 1];
	char *words[OWN_WORDS + argc], **packages = NULL;
	int count = 1; /* the first word is the interpreter */
	ssize_t length = readlink("/proc/self/exe", bin, PATH_MAX); /* without the links of pipx and uv */

	if (length < 0)
		fail("/proc/self/exe", strerror(errno));
	bin[length] = '\0';
	words[count++] = "-I";
	words[count++] = "-X"; /* for messages: the command's path (tracer/record/capture/bpf/programs.py) */
	words[count++] = join("svc-trace", "=", bin);
	if (block_interrupts()) {
		words[count++] = "-X";
		words[count++] = "svc-trace-unblock";
	}
	if (geteuid() == 0)
		words[count++] = "-B";
	*strrchr(bin, '/') = '\0';
	if (access(join(bin, "/", "../pyvenv.cfg"), F_OK) == 0) {
		words[count++] = "-m";
		words[count++] = "tracer";
	} else {
		words[count++] = "-S";
		words[count++] = "-c";
		words[count++] = in_packages;
		packages = &words[count++];
	}
	for (int at = 1; at < argc; at++)
		words[count++] = argv[at];
	words[count] = NULL;
	if (packages)
		start_in_packages(bin, words, packages);
	start(words, join(bin, "/", "python"));
	fail(words[0], strerror(errno));
}
