/*
 * delay: becomes the spawn server that DELAY_PROGRAM names, with a tracer beside it. Of the system calls that the server, its
 * supervisors and the stages until their execve(2) make, one in DELAY_ONE_IN, chosen at random, waits up to DELAY_MICROS before it is
 * made or after, while all others go on. What a busy machine does once in ten thousand runs happens in every second one so.
 * DELAY_SEED begins the row of random numbers. See ptrace(2).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_HELD 4096
#define LOOK_MICROS 50 /* how often it is seen whose wait is over */

static struct {
	pid_t pid;
	long until;
} held[MOST_HELD];
static int nheld;
static long one_in, micros;
static unsigned long row;

static long
now_micros(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_MONOTONIC, &t) < 0)
		_exit(1);
	return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static long
setting(const char *name, long usual)
{
	const char *text = getenv(name);
	long value = text == NULL ? usual : atol(text);

	return value > 0 ? value : 1;
}

/* xorshift64 */
static long
random_below(long bound)
{
	row ^= row << 13;
	row ^= row >> 7;
	row ^= row << 17;
	return (long)((row >> 11) % (unsigned long)bound);
}

/* Whoever has been killed meanwhile is told of by waitpid(2), so nobody asks how these went. */
static void
go_on(pid_t pid, int signo)
{
	(void)ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(long)signo);
}

static void
release_due(void)
{
	long now = now_micros();

	for (int i = 0; i < nheld;) {
		if (held[i].until > now) {
			i++;
			continue;
		}
		go_on(held[i].pid, 0);
		held[i] = held[--nheld];
	}
}

static void
forget(pid_t pid)
{
	for (int i = 0; i < nheld; i++) {
		if (held[i].pid == pid)
			held[i--] = held[--nheld];
	}
}

static void
on_stop(pid_t pid, int status, pid_t server, bool *begun)
{
	int signo = WSTOPSIG(status), event = status >> 16;

	if (signo == (SIGTRAP | 0x80)) {
		if (*begun && nheld < MOST_HELD && random_below(one_in) == 0) {
			held[nheld].pid = pid;
			held[nheld++].until = now_micros() + random_below(micros);
			return;
		}
		go_on(pid, 0);
	} else if (event == PTRACE_EVENT_EXEC && (pid != server || *begun)) {
		/* What a user's program does is not ours to delay. */
		(void)ptrace(PTRACE_DETACH, pid, NULL, NULL);
	} else if (event == PTRACE_EVENT_STOP && signo != SIGTRAP) {
		(void)ptrace(PTRACE_LISTEN, pid, NULL, NULL);
	} else {
		*begun = *begun || event == PTRACE_EVENT_EXEC;
		go_on(pid, event == 0 ? signo : 0);
	}
}

static _Noreturn void
trace(pid_t server, int ready)
{
	long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
	bool begun = false;

	one_in = setting("DELAY_ONE_IN", 10);
	micros = setting("DELAY_MICROS", 3000);
	row = (unsigned long)setting("DELAY_SEED", server) * 2654435761u + 88172645463325252u;
	if (ptrace(PTRACE_SEIZE, server, NULL, (void *)options) < 0 || ptrace(PTRACE_INTERRUPT, server, NULL, NULL) < 0)
		_exit(1);
	if (write(ready, "", 1) != 1)
		_exit(1);
	(void)close(ready);
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, __WALL | (nheld > 0 ? WNOHANG : 0));

		if (pid > 0 && WIFSTOPPED(status))
			on_stop(pid, status, server, &begun);
		else if (pid > 0)
			forget(pid);
		else if (pid < 0 && errno == ECHILD)
			_exit(0);
		else if (pid == 0)
			(void)usleep(LOOK_MICROS);
		release_due();
	}
}

int
main(int argc, char **argv)
{
	const char *program = getenv("DELAY_PROGRAM");
	pid_t server = getpid(), between;
	int ready[2];
	char c;

	if (argc < 1 || program == NULL || pipe2(ready, O_CLOEXEC) < 0)
		return 1;
	/* Twice, so that it is no child of the server's. */
	between = fork();
	if (between == 0) {
		if (fork() != 0)
			_exit(0);
		/* It must not keep alive what the server closes. */
		if (dup2(ready[1], 0) != 0 || syscall(SYS_close_range, 1u, ~0u, 0u) < 0)
			_exit(1);
		trace(server, 0);
	}
	if (between < 0 || waitpid(between, NULL, 0) != between || close(ready[1]) < 0 || read(ready[0], &c, 1) != 1)
		return 1;
	(void)close(ready[0]);
	(void)execv(program, argv);
	perror(program);
	return 1;
}
