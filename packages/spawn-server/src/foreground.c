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

/* Stopped in the foreground: the terminal goes back to the owner, who stops as well, as a shell would expect. */
void
foreground_stopped(void)
{
	if (job.tty < 0 || job.suspended || job.phase != RUNNING)
		return;
	if (tcgetattr(job.tty, &job.modes_of_job) < 0 || !term_give(job.tty, job.tree.pgid, job.owner_group, &job.modes_before))
		return;
	job.suspended = true;
	if (job.deadline >= 0) {
		uint64_t now = boot_ms();

		job.deadline_left = job.deadline_at > now ? job.deadline_at - now : 1;
		arm_deadline(0);
	}
}

void
foreground_resume(void)
{
	if (job.suspended && term_has_foreground(job.tty, job.owner_group)) {
		(void)tcsetattr(job.tty, TCSADRAIN, &job.modes_of_job);
		(void)tcsetpgrp(job.tty, job.tree.pgid);
	}
	if (job.suspended && job.deadline >= 0) {
		job.deadline_at = boot_ms() + job.deadline_left;
		arm_deadline(job.deadline_at);
	}
	job.suspended = false;
	(void)kill(-job.tree.pgid, SIGCONT);
}

/* Every stage has exited. A program that was killed had no chance to set the modes right; what stty(1) set stays. */
void
foreground_ended(void)
{
	bool died = false;

	for (uint8_t i = 0; i < job.plan->nstages; i++)
		died = died || job.stages[i].code != CLD_EXITED;
	if (job.tty >= 0 && !job.suspended && job.socket >= 0)
		(void)term_give(job.tty, job.tree.pgid, job.owner_group, died ? &job.modes_before : NULL);
	job.tty = -1;
}
