#define _GNU_SOURCE
#include "supervisor.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

void
close_all_but(int first, const int *keep, size_t n)
{
	unsigned int from = (unsigned int)first;

	for (size_t i = 0; i < n; i++) {
		if (keep[i] < first || (unsigned int)keep[i] < from)
			continue;
		if ((unsigned int)keep[i] > from)
			(void)syscall(SYS_close_range, from, (unsigned int)keep[i] - 1, 0);
		from = (unsigned int)keep[i] + 1;
	}
	(void)syscall(SYS_close_range, from, ~0u, 0);
}

static int
by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/*
 * Forked without exec, we have a copy of everything the server has open, other
 * jobs' pipes above all: keep our own, at or above base, and close the rest.
 */
int
keep_own(struct supervisor_setup *setup, int base)
{
	int own[2 * MAX_PIPES + 4];
	int *places[2 * MAX_PIPES + 4];
	size_t n = 0;

	places[n++] = &setup->socket;
	places[n++] = &setup->null_fd;
	places[n++] = &setup->done;
	if (setup->tty >= 0)
		places[n++] = &setup->tty;
	for (uint16_t i = 0; i < setup->plan->npipes; i++) {
		if (setup->read_end[i] >= 0)
			places[n++] = &setup->read_end[i];
		if (setup->write_end[i] >= 0)
			places[n++] = &setup->write_end[i];
	}
	for (size_t i = 0; i < n; i++) {
		if (*places[i] < base) {
			int moved = fcntl(*places[i], F_DUPFD_CLOEXEC, base);

			if (moved < 0)
				return -1;
			*places[i] = moved;
		}
		own[i] = *places[i];
	}
	qsort(own, n, sizeof own[0], by_number);
	close_all_but(3, own, n);
	return 0;
}

void
let_go(struct supervisor_setup *setup)
{
	for (uint16_t i = 0; i < setup->plan->npipes; i++) {
		if (setup->read_end[i] >= 0)
			(void)close(setup->read_end[i]);
		if (setup->write_end[i] >= 0)
			(void)close(setup->write_end[i]);
	}
}
