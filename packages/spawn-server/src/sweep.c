#define _GNU_SOURCE
#include "sweep.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define FREEZE_PASSES 50
#define PATIENCE 4 /* passes that a freeze takes at most where nobody works against it */

static void
pause_us(long us)
{
	struct timespec t = { 0, us * 1000 };

	(void)nanosleep(&t, NULL);
}

static bool
is_dead(const struct proc *p)
{
	return (p->state == 'Z' || p->state == 'X') && p->threads <= 1;
}

/*
 * A child of ours is pinned by not being reaped, so its pid is safe to use.
 * Deeper ones may end at any time: a pidfd names whoever has the pid when it is
 * opened, and reading start time and parent again after that tells whether it
 * still is the one we met. See pidfd_open(2).
 */
static int
send_one(const struct proc *p, int signo)
{
	struct proc again;
	int fd, result;

	if (p->ppid == getpid())
		return kill(p->pid, signo);
	fd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	if (fd < 0 && errno != ENOSYS)
		return -1;
	/* Where it is hidden from us (hidepid, state '?') nothing can be compared: the walk just now has to do. */
	if (p->state != '?' && (proc_stat(p->pid, &again) < 0 || again.start != p->start
		|| (again.ppid != p->ppid && again.ppid != getpid()))) {
		if (fd >= 0)
			(void)close(fd);
		errno = ESRCH;
		return -1;
	}
	if (fd < 0)
		return kill(p->pid, signo);
	result = (int)syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0);
	if (result < 0) {
		int saved = errno;

		(void)close(fd);
		errno = saved;
		return -1;
	}
	(void)close(fd);
	return 0;
}

static size_t
refresh(struct tree *tree, visit_fn visit, void *arg)
{
	pid_t self = getpid();
	size_t n = 0;

	if (proc_walk(&tree->now, tree->skip, visit, arg) < 0) {
		tree->now.n = 0;
		return TREE_UNKNOWN;
	}
	for (size_t i = 0; i < tree->now.n; i++) {
		struct proc *p = &tree->now.v[i];

		if (p->pid == tree->pgid && p->ppid == self && is_dead(p))
			continue;
		/* Gone between the reading of its pid and of its stat; or hidden, and then kill(2) still knows it. */
		if (p->state == '?' && kill(p->pid, 0) < 0 && errno == ESRCH)
			continue;
		tree->now.v[n++] = *p;
	}
	tree->now.n = n;
	return n;
}

size_t
tree_refresh(struct tree *tree)
{
	return refresh(tree, NULL, NULL);
}

int
tree_signal(struct tree *tree, int signo, bool and_continue)
{
	bool sent = false, denied = false;
	size_t left;

	(void)tree_refresh(tree);
	left = tree->now.n;
	/* The group first, in one call: nobody forks past it. */
	if (tree->pgid > 1) {
		bool member = false;

		for (size_t i = 0; i < left; i++)
			member = member || (tree->now.v[i].pgid == tree->pgid && !is_dead(&tree->now.v[i]));
		if (kill(-tree->pgid, signo) == 0)
			sent = member;
		else if (errno == EPERM)
			denied = member;
	}
	for (size_t i = 0; i < left; i++) {
		struct proc *p = &tree->now.v[i];

		if ((tree->pgid > 1 && p->pgid == tree->pgid) || is_dead(p))
			continue;
		if (send_one(p, signo) == 0) {
			sent = true;
		} else if (errno == EPERM) {
			p->flags |= P_DENIED;
			denied = true;
		}
	}
	if (and_continue) {
		if (tree->pgid > 1)
			(void)kill(-tree->pgid, SIGCONT);
		for (size_t i = 0; i < left; i++) {
			if (tree->pgid <= 1 || tree->now.v[i].pgid != tree->pgid)
				(void)send_one(&tree->now.v[i], SIGCONT);
		}
	}
	if (sent)
		return 0;
	errno = denied ? EPERM : ESRCH;
	return -1;
}

bool
tree_has_group(const struct tree *tree, pid_t pgid)
{
	for (size_t i = 0; i < tree->now.n; i++) {
		if (tree->now.v[i].pgid == pgid)
			return true;
	}
	return false;
}

void
tree_mark_denied(struct tree *tree)
{
	for (size_t i = 0; i < tree->now.n; i++) {
		if (kill(tree->now.v[i].pid, 0) < 0 && errno == EPERM)
			tree->now.v[i].flags |= P_DENIED;
	}
}

static bool
has_child(const struct proclist *list, pid_t pid)
{
	for (size_t i = 0; i < list->n; i++) {
		if (list->v[i].ppid == pid)
			return true;
	}
	return false;
}

/* Nobody in the latest walk can fork: all stopped, dead or, as the parent of a stopped vfork child, in D. */
static bool
all_quiet(const struct tree *tree)
{
	for (size_t i = 0; i < tree->now.n; i++) {
		const struct proc *p = &tree->now.v[i];
		const struct proc *met = proclist_find(&tree->seen, p->pid);

		if (p->state == '?' || (met != NULL && (met->flags & P_DENIED) != 0))
			continue;
		if (!proc_quiet(p, p->state == 'D' && has_child(&tree->now, p->pid)))
			return false;
	}
	return true;
}

/* Sorted insertion; lists are short where this runs often, and freezing is rare. */
static int
remember(struct tree *tree, const struct proc *p)
{
	struct proclist *seen = &tree->seen;
	size_t at;

	if (proclist_add(seen, p) < 0)
		return -1;
	for (at = seen->n - 1; at > 0 && seen->v[at - 1].pid > p->pid; at--)
		seen->v[at] = seen->v[at - 1];
	seen->v[at] = *p;
	return 0;
}

struct freezing {
	struct tree *tree;
	bool grew;
};

/* Stopped as soon as it is met, before its children are read: from then on that list does not grow. */
static void
stop_new(struct proc *p, void *arg)
{
	struct freezing *f = arg;
	struct proc *met = proclist_find(&f->tree->seen, p->pid);

	if (met != NULL && met->start == p->start) {
		p->flags = met->flags;
		return;
	}
	f->grew = true;
	if (!is_dead(p) && send_one(p, SIGSTOP) < 0 && errno == EPERM)
		p->flags |= P_DENIED;
	if (met != NULL)
		*met = *p;
	else
		(void)remember(f->tree, p);
}

static int policy_before = -1;

/*
 * Against two hundred that all want to run a bomb would outlast us for want of
 * a turn; nice values do not help, as with autogroups (sched(7)) each session
 * has its own share. Where we may not, it takes longer. Only for as long as a
 * freeze takes that does not come to its end by itself: what real-time
 * processes may have in all is limited, and with it spent by others (two that
 * spin are enough) each turn is up to a second away. The raw calls: musl's
 * functions only fail.
 */
static void
hurry(void)
{
	struct sched_param priority = { .sched_priority = 1 };
	int policy = (int)syscall(SYS_sched_getscheduler, 0);

	if (policy < 0 || syscall(SYS_sched_setscheduler, 0, SCHED_RR | SCHED_RESET_ON_FORK, &priority) < 0)
		return;
	if (policy_before < 0)
		policy_before = policy;
}

static void
no_hurry(void)
{
	struct sched_param priority = { .sched_priority = 0 };

	/* Another real-time policy than ours was the user's own wish, and its priority is not known any more. */
	if (policy_before >= 0 && policy_before != SCHED_RR && policy_before != SCHED_FIFO)
		(void)syscall(SYS_sched_setscheduler, 0, policy_before, &priority);
	policy_before = -1;
}

/* Everybody met, also who has left the latest walk meanwhile: start times tell whether it still is the same. */
static void
kill_seen(struct tree *tree)
{
	for (size_t i = 0; i < tree->seen.n; i++) {
		struct proc *p = &tree->seen.v[i], again;

		/* A child of ours may have been reaped between two passes, and no longer pins its pid. */
		if (p->ppid == getpid() && p->state != '?' && (proc_stat(p->pid, &again) < 0 || again.start != p->start))
			continue;
		if (!is_dead(p) && send_one(p, SIGKILL) < 0 && errno == EPERM) {
			struct proc *q = proclist_find(&tree->now, p->pid);

			if (q != NULL)
				q->flags |= P_DENIED;
		}
	}
}

/*
 * A bomb whose children each call setsid(2) outruns any loop that only kills:
 * 198 of 199 were alive after 1.5 s. A stopped process does not fork, so stop
 * what is new until a walk finds nobody new and everybody has in fact stopped.
 */
bool
tree_kill_step(struct tree *tree, uint64_t until)
{
	struct freezing f = { tree, false };
	size_t left;

	if (tree->passes == 0) {
		bool outside = false;

		if (tree->pgid > 1)
			(void)kill(-tree->pgid, SIGKILL);
		left = tree_refresh(tree);
		for (size_t i = 0; i < tree->now.n; i++) {
			const struct proc *p = &tree->now.v[i];

			outside = outside || (!is_dead(p) && (tree->pgid <= 1 || p->pgid != tree->pgid));
		}
		/* All in the group: the one kill(2) above was atomic with respect to their forks. */
		if (left == TREE_UNKNOWN || !outside)
			return true;
		tree->seen.n = 0;
	}
	tree->passes++;
	if (tree->passes == PATIENCE)
		hurry();
	left = refresh(tree, stop_new, &f);
	tree->grew = f.grew;
	if (left != 0 && (f.grew || !all_quiet(tree)) && tree->passes < FREEZE_PASSES && now_ms() < until)
		return false;
	kill_seen(tree);
	if (tree->passes >= PATIENCE)
		no_hurry();
	tree->passes = 0;
	return true;
}

void
tree_kill(struct tree *tree, uint64_t until)
{
	while (!tree_kill_step(tree, until)) {
		if (!tree->grew)
			pause_us(tree->passes < 8 ? 50 : 500);
	}
}
