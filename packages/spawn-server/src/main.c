#define _GNU_SOURCE
#include "server.h"

#include "sys.h"
#include "table.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONTROL_FD 3
#define MOST_PARTS 64

/* What a sanitizer reports by; blocked, they would end us without a word. */
#if defined(SANITIZED)
#define IS_FAULT(signo) ((signo) == SIGSEGV || (signo) == SIGBUS || (signo) == SIGILL || (signo) == SIGFPE)
#else
#define IS_FAULT(signo) false
#endif

/* The kernel's struct, and all 64 signals: libc hides those it uses itself. See rt_sigaction(2). */
static void
default_dispositions(void)
{
	struct {
		void (*handler)(int);
		unsigned long flags;
		void (*restorer)(void);
		uint64_t mask;
	} action = { SIG_DFL, 0, NULL, 0 };

	for (int signo = 1; signo <= 64; signo++) {
		if (signo != SIGKILL && signo != SIGSTOP && !IS_FAULT(signo))
			(void)raw4(SYS_rt_sigaction, signo, &action, NULL, sizeof action.mask);
	}
}

static int
is_socket(int fd)
{
	int type = 0;
	socklen_t len = sizeof type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

int
main(int argc, char **argv)
{
	uint64_t all = ~UINT64_C(0);
	struct rlimit raised;
	int null_fd;

	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		(void)printf("effect-process spawn server, protocol %u\n", EP_VERSION);
		return 0;
	}
	if (argc == 4 && strcmp(argv[1], "--processes") == 0) {
		unsigned long part = strtoul(argv[2], NULL, 10), parts = strtoul(argv[3], NULL, 10);

		return part < parts && parts <= MOST_PARTS ? table_write((unsigned)part, (unsigned)parts) : 2;
	}
	if (!is_socket(CONTROL_FD)) {
		(void)fprintf(stderr, "effect-process spawn server: started by a program that has its socket as descriptor 3\n");
		return 2;
	}
	for (int signo = 1; signo <= 64; signo++)
		all &= ~(IS_FAULT(signo) ? UINT64_C(1) << (signo - 1) : 0);
	(void)raw4(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof all);
	default_dispositions();
	close_all_but(CONTROL_FD + 1, NULL, 0);
	server.control = CONTROL_FD;
	/* A number from 0 to 2 that is closed would be given to a pipe, and then be taken for standard input. */
	do
		null_fd = open("/dev/null", O_RDWR);
	while (null_fd >= 0 && null_fd <= 2);
	server.null_fd = null_fd;
	if (null_fd < 0 || fcntl(null_fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC) < 0) {
		perror("effect-process spawn server: /dev/null");
		return 1;
	}
	server.owner_group = getpgrp();
	/* If it is gone by now, our socket ends before anything is begun. */
	if (proc_stat(getppid(), &server.owner) < 0)
		server.owner.pid = 0;
	/* Out of the owner's group, so that a Ctrl-C there does not reach us; not out of its session, which has the terminal. */
	if (setpgid(0, 0) < 0 && getpgrp() != getpid()) {
		perror("effect-process spawn server: setpgid(2)");
		return 1;
	}
	/* By which others know it, whatever the program is called. */
	(void)prctl(PR_SET_NAME, SERVER_NAME);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) {
		perror("effect-process spawn server: prctl(2), PR_SET_CHILD_SUBREAPER");
		return 1;
	}
	if (getrlimit(RLIMIT_NOFILE, &server.open_files) == 0) {
		raised = server.open_files;
		raised.rlim_cur = raised.rlim_max;
		server.raised = raised.rlim_cur != server.open_files.rlim_cur && setrlimit(RLIMIT_NOFILE, &raised) == 0;
	}
	server_run();
}
