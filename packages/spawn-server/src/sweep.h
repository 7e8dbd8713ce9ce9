/* Signalling a whole tree, and ending it for certain. */
#ifndef EP_SWEEP_H
#define EP_SWEEP_H

#include "procfs.h"

/* The tree below this process: a supervisor's job, or what lost supervisors left to the server. */
struct tree {
	struct proclist now; /* the latest walk */
	struct proclist seen; /* everything met while freezing */
	skip_fn skip;
	pid_t pgid; /* pinned by the unreaped leader; 0: there is no group */
};

uint64_t now_ms(void);
/* Takes out of tree->now what is only the pinned leader's zombie, and whoever is gone. Returns how many are left. */
size_t tree_refresh(struct tree *tree);
/*
 * Sends signo to the group and to every descendant outside it, then SIGCONT if wanted.
 * Returns 0, or -1 with ESRCH (nobody was there) or EPERM (nobody could be signalled).
 */
int tree_signal(struct tree *tree, int signo, bool and_continue);
/* Before reporting who is left: marks those that we may not signal. */
void tree_mark_denied(struct tree *tree);
/* One round of SIGKILL, freezing first what could get away. Returns how many are left, zombies that we may reap included. */
size_t tree_kill(struct tree *tree, uint64_t until_ms);

#endif
