/* What /proc tells about processes. See proc(5). */
#ifndef EP_PROCFS_H
#define EP_PROCFS_H

#include "wire.h"

#include <sys/stat.h>
#include <sys/types.h>

enum proc_flag { P_DENIED = 1, P_STOPPED = 2 };

struct proc {
	uint64_t start; /* clock ticks since boot: with the pid it names one process for good */
	uint64_t cpu; /* clock ticks */
	uint64_t rss; /* pages */
	pid_t pid;
	pid_t ppid;
	pid_t pgid;
	pid_t sid;
	uint32_t threads;
	char state;
	bool exiting; /* past its exit(2), whatever the state: PF_EXITING */
	uint8_t flags;
};

struct proclist {
	struct proc *v;
	size_t n;
	size_t cap;
};

/* Says that a child of ours is not part of the tree in question. */
typedef bool (*skip_fn)(pid_t pid);

/*
 * What a file of the kernel's says, in one read(2), which gives all that there is room for. Returns how many bytes, or -1 with
 * errno: of a process, most often because it is gone.
 */
ssize_t proc_read(const char *path, char *into, size_t size);
/*
 * Whether the kernel has /proc/PID/task/TID/children (CONFIG_PROC_CHILDREN); without `wanted` it is taken for one that
 * has not, and the ppid column of every /proc/PID/stat serves.
 */
bool proc_probe_children(bool wanted);
/* Whether this process, known by pid and start time, is still there and not on its way out. */
bool proc_is_there(const struct proc *p);
/* stat(2) of what is open in another process. Returns 0 or -1 with errno. */
int proc_stat_fd(pid_t pid, int fd, struct stat *st);
/* Whether a process that is not dead is in the group. kill(2) would count zombies. Reads all of /proc. */
bool proc_group_lives(pid_t pgid);
/* Returns 0, or -1 when the process is gone or hidden. */
int proc_stat(pid_t pid, struct proc *p);
/* No thread of p runs: each is T, t, Z or X; D counts as running unless d_is_quiet. */
bool proc_quiet(const struct proc *p, bool d_is_quiet);
/* Our own children, pids only; complete, as only we reap them. */
int proc_own_children(struct proclist *list);
/* Called for a descendant before its own children are read. */
typedef void (*visit_fn)(struct proc *p, void *arg);
/* All descendants of ours, sorted by pid; those of skipped children are left out with them. */
int proc_walk(struct proclist *list, skip_fn skip, visit_fn visit, void *arg);
struct proc *proclist_find(const struct proclist *list, pid_t pid);
int proclist_add(struct proclist *list, const struct proc *p);
/* Rows of list for the owner from *from on, as many as fit, which moves *from. Returns how many are left. */
size_t wr_processes(struct writer *w, const struct proclist *list, size_t *from);

#endif
