/* The process that is forked for each job: it waits, enforces, and finds every descendant. */
#ifndef EP_SUPERVISOR_H
#define EP_SUPERVISOR_H

#include "clock.h"
#include "plan.h"
#include "procfs.h"

#include <sys/resource.h>
#include <sys/types.h>

#define MAX_JOBS 32768u
#define SUPERVISOR_NAME "ep-supervisor" /* while it has a job */
#define PARKED_NAME "ep-parked" /* while it waits for one */

/*
 * What the server must know of a job even if its supervisor is killed between
 * any two instructions. In memory that both share.
 */
struct slot {
	_Atomic pid_t leader; /* set by clone(2) before the leader runs; 0 again before it is reaped */
};

struct supervisor_setup {
	const struct plan *plan;
	struct slot *slot;
	struct slot *slots; /* of all jobs, MAX_JOBS */
	struct arena *arena; /* for the plans of further jobs */
	const struct rlimit *open_files; /* see struct start */
	uint64_t deadline_at_ms; /* CLOCK_BOOTTIME; 0: none */
	uint32_t kill_ms;
	int socket;
	int null_fd;
	int tty; /* -1: the job does not get it */
	pid_t owner_group;
	const struct proc *owner;
	int done; /* writing end of a pipe that all supervisors hold, and never write to */
	int read_end[MAX_PIPES]; /* the stages' ends; -1: none */
	int write_end[MAX_PIPES];
};

_Noreturn void supervisor_main(struct supervisor_setup *setup);
/* Descriptors that only the sanitizer or the shell that started us knows: everything from first on that is not in keep (sorted). */
void close_all_but(int first, const int *keep, size_t n);
/* Keeps what is ours in a new supervisor, at or above base, and closes the rest. */
int keep_own(struct supervisor_setup *setup, int base);
/* Closes the stages' ends of the pipes, once the stages have them. */
void let_go(struct supervisor_setup *setup);

#endif
