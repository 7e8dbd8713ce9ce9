#define _GNU_SOURCE
#include "handover.h"
#include "server.h"

#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

/* As many as jobs that are run at once in turn; each costs some twenty KiB. */
#define PARKED_MAX 16

/* Supervisors that have no job, the latest last: its memory is the warmest. */
static struct {
	pid_t pid;
	int socket; /* -1: it is being ended */
} parked[PARKED_MAX];
static size_t nparked;

static void
watch(int socket, uint64_t as)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = as };

	if (epoll_ctl(server.epoll, EPOLL_CTL_MOD, socket, &event) < 0)
		die_soon("epoll_ctl(2) failed for a supervisor");
}

static void
let_go_of(size_t i)
{
	/* Its lifeline: it ends at once, and reap_children finds it. */
	if (parked[i].socket >= 0)
		(void)close(parked[i].socket);
	parked[i].socket = -1;
}

bool
parked_add(struct job *job)
{
	if (nparked == PARKED_MAX || server.control < 0)
		return false;
	parked[nparked].pid = job->supervisor;
	parked[nparked].socket = job->socket;
	nparked++;
	watch(job->socket, ON_PARKED + (uint64_t)job->supervisor);
	job->supervisor = 0;
	job->socket = -1;
	return true;
}

/* It is to say nothing, so it has ended or gone mad. */
void
parked_on_socket(pid_t pid)
{
	for (size_t i = 0; i < nparked; i++) {
		if (parked[i].pid == pid) {
			let_go_of(i);
			(void)kill(pid, SIGKILL);
		}
	}
}

bool
parked_has(pid_t pid)
{
	for (size_t i = 0; i < nparked; i++) {
		if (parked[i].pid == pid)
			return true;
	}
	return false;
}

size_t
parked_pids(pid_t *pids)
{
	for (size_t i = 0; i < nparked; i++)
		pids[i] = parked[i].pid;
	return nparked;
}

bool
parked_ended(pid_t pid)
{
	for (size_t i = 0; i < nparked; i++) {
		if (parked[i].pid != pid)
			continue;
		let_go_of(i);
		nparked--;
		for (; i < nparked; i++)
			parked[i] = parked[i + 1];
		return true;
	}
	return false;
}

void
parked_end_all(void)
{
	for (size_t i = 0; i < nparked; i++)
		let_go_of(i);
}

bool
parked_take(struct job *job, const struct supervisor_setup *setup, const uint8_t *body, size_t len)
{
	size_t i = nparked;

	if (!handover_suits(setup->plan, len))
		return false;
	while (i > 0 && parked[i - 1].socket < 0)
		i--;
	if (i-- == 0)
		return false;
	if (handover_give(parked[i].socket, setup, (uint32_t)(job - server.jobs), body, len) < 0) {
		/* It has ended, or there are too many descriptors under way: a fork does without either. */
		parked_on_socket(parked[i].pid);
		return false;
	}
	job->supervisor = parked[i].pid;
	job->socket = parked[i].socket;
	parked[i].socket = -1;
	(void)parked_ended(job->supervisor);
	watch(job->socket, ON_JOBS + (uint64_t)(job - server.jobs));
	return true;
}
