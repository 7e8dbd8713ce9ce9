/*
 * Runs a command as the subreaper of everything below it: a process that loses its parent becomes a child of this one
 * instead of init's. So what a run leaves behind can be found by ancestry, however it detached itself.
 *
 *     subreaper COMMAND [ARGUMENT...]
 *
 * Ends with the status of the command. Linux; source: PR_SET_CHILD_SUBREAPER(2const).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t command_pid;

/* The command cleans up and ends; this process must stay until it has. */
static void
forward(int signo)
{
	if (command_pid > 0)
		(void)kill((pid_t)command_pid, signo);
}

static int
run(pid_t pid)
{
	int status;

	for (;;) {
		pid_t ended = waitpid(-1, &status, 0);

		if (ended == -1) {
			if (errno == EINTR)
				continue;
			fprintf(stderr, "subreaper: waitpid: %s\n", strerror(errno));
			return 127;
		}
		/* Orphans are reaped as they end, and otherwise left alone. */
		if (ended != pid)
			continue;
		return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
}

int
main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = forward };
	pid_t pid;

	if (argc < 2) {
		fprintf(stderr, "usage: subreaper COMMAND [ARGUMENT...]\n");
		return 127;
	}
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == -1) {
		fprintf(stderr, "subreaper: prctl: %s\n", strerror(errno));
		return 127;
	}
	pid = fork();
	if (pid == -1) {
		fprintf(stderr, "subreaper: fork: %s\n", strerror(errno));
		return 127;
	}
	if (pid == 0) {
		execvp(argv[1], argv + 1);
		fprintf(stderr, "subreaper: %s: %s\n", argv[1], strerror(errno));
		_exit(127);
	}
	command_pid = pid;
	(void)sigemptyset(&action.sa_mask);
	if (sigaction(SIGTERM, &action, NULL) == -1 || sigaction(SIGHUP, &action, NULL) == -1 ||
	    sigaction(SIGINT, &action, NULL) == -1)
		fprintf(stderr, "subreaper: sigaction: %s\n", strerror(errno));
	return run(pid);
}
