/* `crowd N`: forks N children that do nothing, prints `ready` once all are there, and waits. They end with it. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	pid_t parent = getpid();
	unsigned long count = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;

	while (count-- > 0) {
		pid_t pid = fork();

		if (pid == -1) {
			perror("crowd: fork");
			return 1;
		}
		if (pid == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			while (getppid() == parent)
				(void)pause();
			_exit(0);
		}
	}
	(void)puts("ready");
	(void)fflush(stdout);
	for (;;)
		(void)pause();
}
