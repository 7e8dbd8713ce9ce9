#define _GNU_SOURCE
#include "report.h"

#include <signal.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

void
arm_deadline(uint64_t at)
{
	struct itimerspec t = { .it_value = { (time_t)(at / 1000u), (long)(at % 1000u) * 1000000L } };

	if (job.deadline >= 0)
		(void)timerfd_settime(job.deadline, TFD_TIMER_ABSTIME, &t, NULL);
}

/*
 * The foreground is given back only where it is a group of this job's, or one
 * in which nobody lives: what a shell has taken meanwhile is not ours to give.
 * And not for an owner that is gone, whose shell has it or soon will.
 */
static bool
give_back(const struct termios *modes)
{
	pid_t now = tcgetpgrp(job.tty);

	if (now < 0 || now == job.owner_group || !proc_is_there(job.owner))
		return false;
	/* An interactive shell below us moves the foreground between groups of its own. */
	if (now != job.tree.pgid) {
		(void)tree_refresh(&job.tree);
		if (!tree_has_group(&job.tree, now) && proc_group_lives(now))
			return false;
	}
	return term_give(job.tty, job.owner_group, modes);
}

bool
foreground_may_take(void)
{
	return term_has_foreground(job.tty, job.owner_group) && tcgetattr(job.tty, &job.modes_before) == 0;
}

static void
pause_deadline(void)
{
	uint64_t now = boot_ms();

	if (job.deadline < 0 || job.paused)
		return;
	job.paused = true;
	job.deadline_left = job.deadline_at > now ? job.deadline_at - now : 1;
	arm_deadline(0);
	say_paused(0);
}

static void
continue_deadline(void)
{
	if (!job.paused)
		return;
	job.paused = false;
	job.deadline_at = boot_ms() + job.deadline_left;
	arm_deadline(job.deadline_at);
	say_paused(job.deadline_left);
}

/*
 * Ctrl-Z, or what a program does about it itself: the terminal goes back to the
 * owner, which stops as well, as a shell would expect. Any other stop is
 * between the job and whoever sent it.
 */
bool
foreground_stopped(int signo)
{
	if (signo != SIGTSTP || job.tty < 0 || job.away || job.phase != RUNNING)
		return false;
	if (tcgetattr(job.tty, &job.modes_of_job) < 0 || !give_back(&job.modes_before))
		return false;
	job.away = job.has_modes = true;
	pause_deadline();
	return true;
}

/* The owner goes on: in the foreground the job does so too, with the terminal as it left it; else without it. */
void
foreground_resume(void)
{
	bool stopped = job.paused;

	if (job.tty >= 0 && job.away && foreground_may_take())
		job.away = !term_give(job.tty, job.tree.pgid, job.has_modes ? &job.modes_of_job : NULL);
	continue_deadline();
	for (uint8_t i = 0; i < job.plan->nstages; i++)
		stopped = stopped || job.stages[i].stopped;
	/* Not to one that runs: it may have asked to be told of it. */
	if (stopped)
		(void)kill(-job.tree.pgid, SIGCONT);
}

/* Every stage has exited. A program that was killed had no chance to set the modes right; what stty(1) set stays. */
void
foreground_ended(void)
{
	bool died = false;

	for (uint8_t i = 0; i < job.plan->nstages; i++)
		died = died || job.stages[i].code != CLD_EXITED;
	if (job.tty >= 0 && !job.away)
		(void)give_back(died ? &job.modes_before : NULL);
	job.tty = -1;
}
