/*
 * The peer of the plain client: posix_spawnp(3) in a loop, nothing around it. Reads a number n a line from stdin, runs
 * `echo hi` n times one after another, each with an empty stdin and its stdout captured through a pipe, waits for it, and
 * answers with the microseconds that all of them took.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int
fail(const char *what, int error)
{
	fprintf(stderr, "posix_spawn: %s: %s\n", what, strerror(error));
	return -1;
}

/* Reads until the end of file; what does not fit is dropped. */
static ssize_t
read_all(int fd, char *buffer, size_t size)
{
	char rest[4096];
	size_t length = 0;

	for (;;) {
		ssize_t got = length < size ? read(fd, buffer + length, size - length) : read(fd, rest, sizeof(rest));

		if (got == -1 && errno == EINTR)
			continue;
		if (got <= 0)
			return got == 0 ? (ssize_t)length : -1;
		if (length < size)
			length += (size_t)got;
	}
}

static int
capture(char *const argv[])
{
	posix_spawn_file_actions_t actions;
	char output[65536];
	ssize_t length;
	int ends[2];
	int status;
	int error;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) == -1)
		return fail("pipe2", errno);
	error = posix_spawn_file_actions_init(&actions);
	if (error == 0)
		error = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (error == 0)
		error = posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
	if (error == 0)
		error = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(ends[1]);
	if (error != 0) {
		(void)close(ends[0]);
		return fail("posix_spawnp", error);
	}
	length = read_all(ends[0], output, sizeof(output));
	error = errno;
	(void)close(ends[0]);
	while (waitpid(pid, &status, 0) == -1) {
		if (errno != EINTR)
			return fail("waitpid", errno);
	}
	if (length == -1)
		return fail("read", error);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || length != 3 || memcmp(output, "hi\n", 3) != 0)
		return fail("echo hi", EPROTO);
	return 0;
}

int
main(void)
{
	char echo[] = "echo";
	char hi[] = "hi";
	char *const argv[] = { echo, hi, NULL };
	char line[32];

	while (fgets(line, sizeof(line), stdin) != NULL) {
		struct timespec from;
		struct timespec to;
		unsigned count;

		if (sscanf(line, "%u", &count) != 1)
			return 2;
		(void)clock_gettime(CLOCK_MONOTONIC, &from);
		while (count-- > 0) {
			if (capture(argv) == -1)
				return 1;
		}
		(void)clock_gettime(CLOCK_MONOTONIC, &to);
		printf("%lld\n", (long long)(to.tv_sec - from.tv_sec) * 1000000 + (to.tv_nsec - from.tv_nsec) / 1000);
		(void)fflush(stdout);
	}
	return 0;
}
