/* Starting one stage: from clone(2) to execve(2). */
#ifndef EP_STAGE_H
#define EP_STAGE_H

#include "plan.h"

#include <sys/resource.h>

/* What a stage that could not be started writes to the status pipe, followed by path_len bytes. */
struct stage_error {
	int32_t error;
	uint16_t path_len;
	uint8_t stage;
	uint8_t step;
	uint8_t exists; /* exec: the file is there, so ENOENT speaks of its interpreter */
	uint8_t unused[3];
};

#define STAGE_ERROR_PATH_MAX 2048

struct start {
	const struct plan *plan;
	const int *read_end; /* by pipe; -1: not ours */
	const int *write_end;
	const struct rlimit *open_files; /* to give back what the server raised for itself; NULL: nothing */
	int null_fd;
	int status_fd;
	int tty; /* to be taken by the leader before it runs; -1: not wanted */
	int terminal; /* the job's own; -1: it has none */
	int base; /* every descriptor from which a stage's are made is at or above it, every one asked for below */
	pid_t supervisor;
};

/*
 * Starts stage index in group pgid (0: its own). The pid is stored in *pid before the
 * stage runs. Returns 0 or -1 with errno.
 */
int stage_start(const struct start *start, uint8_t index, pid_t pgid, pid_t *pid);
/* Gives back the memory of the stacks, once no stage is on its way to execve(2). */
void stage_forget_stacks(void);

#endif
