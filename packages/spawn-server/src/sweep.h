/* Signalling a whole tree, and ending it for certain. */
#ifndef EP_SWEEP_H
#define EP_SWEEP_H

#include "clock.h"
#include "procfs.h"

/* The tree below this process: a supervisor's job, or what lost supervisors left to the server. */
struct tree {
	struct proclist now; /* the latest walk */
	struct proclist seen; /* everything met while freezing */
	skip_fn skip;
	pid_t pgid; /* pinned by the unreaped leader; 0: there is no group */
	int passes; /* of the freeze that is under way; 0: none is */
	bool grew; /* in its last pass */
};

/*
 * Takes out of tree->now what is only the pinned leader's zombie, and whoever is gone. Returns how many are left, or
 * TREE_UNKNOWN when /proc could not be read: that is not empty.
 */
#define TREE_UNKNOWN SIZE_MAX
size_t tree_refresh(struct tree *tree);
/*
 * Sends signo to the group and to every descendant outside it, then SIGCONT if wanted.
 * Returns 0, or -1 with ESRCH (nobody was there) or EPERM (nobody could be signalled).
 */
int tree_signal(struct tree *tree, int signo, bool and_continue);
/* Before reporting who is left: marks those that we may not signal. */
void tree_mark_denied(struct tree *tree);
/* Whether a process of the latest walk is in the group. */
bool tree_has_group(const struct tree *tree, pid_t pgid);
/*
 * One step of a round of SIGKILL that freezes first what could get away: at most one walk. Returns whether the round is
 * over. Between steps others may have their turn; tree->grew tells whether there was anything new.
 */
bool tree_kill_step(struct tree *tree, uint64_t until_ms);
/* A whole round. */
void tree_kill(struct tree *tree, uint64_t until_ms);

#endif
