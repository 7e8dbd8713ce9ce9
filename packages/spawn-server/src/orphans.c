#define _GNU_SOURCE
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define RETRY_MS 500u
#define REAP_AT_ONCE 256

/* Sorted, for the walks: with two thousand jobs each asks two thousand times. */
static pid_t supervisors[2 * MAX_JOBS];
static size_t nsupervisors;

static int
by_pid(const void *a, const void *b)
{
	const pid_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool
is_supervisor(pid_t pid)
{
	return bsearch(&pid, supervisors, nsupervisors, sizeof pid, by_pid) != NULL;
}

static void
before_walk(void)
{
	nsupervisors = parked_pids(supervisors);
	for (uint32_t i = 0; i < server.njobs; i++) {
		if (server.jobs[i].state != JOB_FREE && server.jobs[i].supervisor > 0)
			supervisors[nsupervisors++] = server.jobs[i].supervisor;
	}
	qsort(supervisors, nsupervisors, sizeof *supervisors, by_pid);
	server.orphans.skip = is_supervisor;
	for (int i = 0; i < SPARE; i++) {
		if (server.spare[i] >= 0)
			(void)close(server.spare[i]);
	}
}

static void
after_walk(void)
{
	for (int i = 0; i < SPARE; i++)
		server.spare[i] = fcntl(server.null_fd, F_DUPFD_CLOEXEC, 3);
}

static struct job *
job_of_supervisor(pid_t pid)
{
	for (uint32_t i = 0; i < server.njobs; i++) {
		if (server.jobs[i].state != JOB_FREE && server.jobs[i].supervisor == pid)
			return &server.jobs[i];
	}
	return NULL;
}

static void
say_lost(const struct job *job)
{
	size_t mark = wr_begin(&server.out, F_LOST);

	wr_u32(&server.out, job->id);
	wr_u8(&server.out, job->lost);
	wr_end(&server.out, mark);
}

static void
look_for_orphans(void)
{
	if (server.orphans_since != 0)
		return;
	server.orphans_since = now_ms();
	server.round_at = server.orphans_since;
	server.orphans.passes = 0;
	server.backoff = 1;
}

/* Under the same conditions as the supervisor, who alone knew all groups of its job: here what it left stands for them. */
static void
take_terminal_back(const struct job *job, pid_t leader)
{
	pid_t now = job->foreground && server.tty >= 0 ? tcgetpgrp(server.tty) : -1;

	if (now < 0 || now == server.owner_group || !proc_is_there(&server.owner))
		return;
	if (now == leader || tree_has_group(&server.orphans, now) || !proc_group_lives(now))
		(void)term_give(server.tty, server.owner_group, server.has_modes ? &server.modes : NULL);
}

/*
 * The supervisor is dead and not reaped, so its children are ours by now, and
 * its leader, alive or a zombie, still has its number: the slot is cleared
 * before a leader is reaped. The whole group goes at once; the rest is swept.
 */
static void
lose(struct job *job)
{
	pid_t leader = job->slot->leader;

	if (leader > 1)
		(void)kill(-leader, SIGKILL);
	if (job->lost == 0)
		job->lost = LOST_DIED;
	job->watch_at = 0;
	job->lost_at = now_ms();
	say_lost(job);
	look_for_orphans();
	server.orphans_since = job->lost_at;
	if (job->foreground) {
		before_walk();
		(void)tree_refresh(&server.orphans);
		take_terminal_back(job, leader);
		after_walk();
	}
}

static void
supervisor_ended(struct job *job)
{
	pid_t pid = job->supervisor;

	/* What it said last is still in the socket, and it may be parked by that, dead as it is. */
	job_on_socket((uint32_t)(job - server.jobs), true);
	(void)parked_ended(pid);
	if (job->state == JOB_LIVE)
		lose(job);
	job->supervisor = 0;
	if (job->socket >= 0) {
		(void)close(job->socket);
		job->socket = -1;
	}
}

static void
orphan_ended(pid_t pid)
{
	for (uint32_t i = 0; i < server.njobs; i++) {
		struct job *job = &server.jobs[i];

		/* A leader: its number is the group's only as long as it is not reaped. */
		if (job->state != JOB_FREE && job->slot->leader == pid) {
			(void)kill(-pid, SIGKILL);
			job->slot->leader = 0;
		}
	}
	look_for_orphans();
}

/*
 * P_ALL with WNOWAIT shows the first that has something to tell, and here each
 * of them is then taken by pid, so the next is always another. So many in one
 * go, as a bomb may bring them faster than they are taken.
 */
void
reap_children(void)
{
	server.reap_again = false;
	for (int n = 0;; n++) {
		siginfo_t info = { .si_pid = 0 }, taken;
		struct job *job;
		pid_t pid;

		if (n == REAP_AT_ONCE) {
			server.reap_again = true;
			return;
		}
		if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL) < 0) {
			if (errno == EINTR)
				continue;
			return;
		}
		pid = info.si_pid;
		if (pid == 0)
			return;
		job = job_of_supervisor(pid);
		if (info.si_code == CLD_STOPPED || info.si_code == CLD_TRAPPED) {
			if (waitid(P_PID, (id_t)pid, &taken, WSTOPPED | WNOHANG | __WALL) < 0 && errno != ECHILD)
				return;
			/* Nobody but an attacker or a tester stops a supervisor; its job would be without deadline and release. */
			if (job != NULL || parked_has(pid))
				(void)kill(pid, SIGCONT);
			else
				look_for_orphans();
			continue;
		}
		if (job != NULL)
			supervisor_ended(job);
		else if (!parked_ended(pid))
			orphan_ended(pid);
		if (waitid(P_PID, (id_t)pid, &taken, WEXITED | WNOHANG | __WALL) < 0 && errno != ECHILD)
			return;
		if (job != NULL)
			job_free_if_over(job);
	}
}

static void
say_unkillable(const struct job *job)
{
	size_t mark = wr_begin(&server.out, F_UNKILLABLE), from = 0;

	wr_u32(&server.out, job->id);
	wr_u32(&server.out, 0);
	wr_u8(&server.out, 1);
	(void)wr_processes(&server.out, &server.orphans.now, &from);
	wr_end(&server.out, mark);
}

/* What is left cannot be told apart by job: where it is not empty, each job that is over time is told of all of it. */
static void
settle_lost(bool empty, uint64_t now)
{
	for (uint32_t i = server.njobs; i-- > 0;) {
		struct job *job = &server.jobs[i];
		size_t mark;

		if (job->state != JOB_LIVE || job->supervisor != 0)
			continue;
		if (!empty) {
			if (!job->given_up && now >= job->lost_at + server.kill_ms) {
				say_unkillable(job);
				job->given_up = true;
			}
			continue;
		}
		take_terminal_back(job, 0);
		mark = wr_begin(&server.out, F_EMPTY);
		wr_u32(&server.out, job->id);
		wr_end(&server.out, mark);
		job->slot->leader = 0;
		job->state = JOB_DONE;
		job_free_if_over(job);
	}
}

/* Whether a supervisor lives, which cgroup.kill would end as well. */
static bool
any_supervisor(void)
{
	for (uint32_t i = 0; i < server.njobs; i++) {
		if (server.jobs[i].state != JOB_FREE && server.jobs[i].supervisor != 0)
			return true;
	}
	return false;
}

/* One step, and then whoever waits has a turn: a bomb takes many, and other jobs are to be started meanwhile. */
static void
orphans_step(void)
{
	uint64_t now = now_ms();
	bool late = now >= server.orphans_since + server.kill_ms;

	if (server.orphans.passes == 0)
		server.round_until = late ? now + RETRY_MS / 2 : server.orphans_since + server.kill_ms;
	if (!tree_kill_step(&server.orphans, server.round_until)) {
		server.round_at = server.orphans.grew ? now : now + 1;
		return;
	}
	reap_children();
	if (tree_refresh(&server.orphans) == 0) {
		server.orphans_since = 0;
		settle_lost(true, now);
		return;
	}
	now = now_ms();
	if (late) {
		if (server.cgroup >= 0 && !any_supervisor()) {
			/* Those without a job die too, and some time after this: one that was given a job meanwhile would lose it. */
			parked_end_all();
			cgroup_kill(server.cgroup);
		}
		tree_mark_denied(&server.orphans);
		settle_lost(false, now);
	}
	server.round_at = now + (late ? RETRY_MS : server.backoff);
	server.backoff = server.backoff >= 16 ? 20 : server.backoff * 2;
}

/*
 * A live supervisor keeps its whole tree to itself, so whoever else comes to
 * us was left by a lost one.
 */
void
orphans_round(void)
{
	if (server.orphans_since == 0 || now_ms() < server.round_at)
		return;
	before_walk();
	orphans_step();
	after_walk();
}

/* On a machine that has no time for it a supervisor is late and not hung: it has run since, or waits for its turn. */
static bool
is_at_work(struct job *job)
{
	struct proc p;
	bool works;

	if (proc_stat(job->supervisor, &p) < 0)
		return false;
	works = p.state == 'R' || p.cpu != job->cpu;
	job->cpu = p.cpu;
	return works;
}

/* A supervisor that is late is sent SIGCONT, in case it was stopped under a tracer; one that stays late is ended. */
void
jobs_watch(void)
{
	uint64_t now = now_ms(), next = 0;

	if (server.watch_at == 0 || now < server.watch_at)
		return;
	for (uint32_t i = 0; i < server.njobs; i++) {
		struct job *job = &server.jobs[i];

		if (job->state != JOB_LIVE || job->watch_at == 0 || job->supervisor == 0)
			continue;
		if (job->watch_at <= now) {
			/* What it has to say may lie in its socket, if it is us who are late. */
			job_on_socket(i, true);
			if (job->state != JOB_LIVE || job->watch_at == 0 || job->watch_at > now) {
				/* It was on time. */
			} else if (job->nudged == 0 || (job->nudged < 4 && is_at_work(job))) {
				uint8_t nudged = job->nudged;

				(void)kill(job->supervisor, SIGCONT);
				job_expect(job, server.kill_ms);
				job->nudged = (uint8_t)(nudged + 1);
			} else {
				job->lost = LOST_HUNG;
				job->watch_at = 0;
				(void)kill(job->supervisor, SIGKILL);
			}
		}
		if (job->state == JOB_LIVE && job->watch_at != 0 && (next == 0 || job->watch_at < next))
			next = job->watch_at;
	}
	server.watch_at = next;
}

bool
all_over(void)
{
	if (server.orphans_since != 0 && now_ms() < server.orphans_since + server.kill_ms)
		return false;
	for (uint32_t i = 0; i < server.njobs; i++) {
		if (server.jobs[i].state == JOB_LIVE && !server.jobs[i].given_up)
			return false;
	}
	return true;
}
