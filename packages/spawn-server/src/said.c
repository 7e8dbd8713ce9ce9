/* What supervisors say. */
#include "server.h"

static bool
check_exit(struct job *job, struct reader *r)
{
	uint8_t stage = rd_u8(r);
	uint8_t killed = rd_u8(r);
	uint8_t core = rd_u8(r);

	(void)rd_u32(r);
	for (int i = 0; i < 7; i++)
		(void)rd_u64(r);
	if (!rd_done(r) || stage >= job->nstages || killed > 1 || core > 1 || (job->exited >> stage & 1) != 0)
		return false;
	job->exited |= UINT64_C(1) << stage;
	return true;
}

static bool
check_processes(struct reader *r)
{
	uint16_t n;

	(void)rd_u32(r);
	(void)rd_u8(r);
	n = rd_u16(r);
	for (uint16_t i = 0; i < n && !r->bad; i++) {
		for (int k = 0; k < 4; k++)
			(void)rd_u32(r);
		(void)rd_u16(r);
		for (int k = 0; k < 3; k++)
			(void)rd_u64(r);
		(void)rd_str(r);
	}
	return rd_done(r);
}

static bool
check_started(struct job *job, struct reader *r)
{
	uint8_t n;

	(void)rd_u32(r);
	(void)rd_u64(r);
	(void)rd_u8(r);
	n = rd_u8(r);
	for (uint8_t i = 0; i < n; i++)
		(void)rd_u32(r);
	if (job->begun || n != job->nstages)
		return false;
	job->begun = true;
	if (!job->terminating) {
		uint64_t now = boot_ms();

		job->watch_at = 0;
		if (job->deadline_at != 0)
			job_expect(job, (job->deadline_at > now ? job->deadline_at - now : 0) + server.slack_ms);
	}
	return rd_done(r);
}

static bool
check_failed(struct job *job, struct reader *r)
{
	uint8_t stage = rd_u8(r);

	(void)rd_u8(r);
	(void)rd_u32(r);
	(void)rd_u8(r);
	(void)rd_str(r);
	job->begun = true;
	/* It is to end what it had started. */
	if (!job->given_up)
		job_expect(job, server.kill_ms + 2u * server.slack_ms);
	return rd_done(r) && stage < job->nstages;
}

/* The deadline stands still, or goes on with so much left. */
static bool
check_paused(struct job *job, struct reader *r)
{
	uint64_t left = rd_u64(r);

	if (!rd_done(r) || !job->foreground || left > 3 * DEADLINE_MAX)
		return false;
	job->paused = left == 0;
	if (job->terminating)
		return true;
	job->watch_at = 0;
	if (left != 0) {
		job->deadline_at = boot_ms() + left;
		job_expect(job, left + server.slack_ms);
	}
	return true;
}

/*
 * A supervisor runs as the same user as what it started, which may have got at
 * it: its frames are checked like the owner's, and it speaks of its own job.
 * Returns whether the frame is one that the owner may get.
 */
bool
said_is_good(struct job *job, uint16_t kind, struct reader *r)
{
	if (rd_u32(r) != job->id || job->state != JOB_LIVE)
		return false;
	switch (kind) {
	case F_STARTED:
		return check_started(job, r);
	case F_FAILED:
		return check_failed(job, r);
	case F_EXIT:
		return check_exit(job, r);
	case F_STOPPED:
	case F_CONTINUED: {
		uint8_t stage = rd_u8(r), terminal;

		(void)rd_u32(r);
		terminal = rd_u8(r);
		/* For a job that never had the terminal it must not stop the owner. */
		return rd_done(r) && stage < job->nstages && (terminal == 0 || (terminal == 1 && job->foreground));
	}
	case F_PAUSED:
		return check_paused(job, r);
	case F_DEADLINE:
		job->deadline_at = 0;
		job_expect(job, (uint64_t)job->grace_ms + server.kill_ms + 2u * server.slack_ms);
		return rd_done(r);
	case F_TERMINATING:
		job->terminating = true;
		job_expect(job, (uint64_t)job->grace_ms + server.kill_ms + 2u * server.slack_ms);
		return rd_done(r);
	case F_LEFT:
	case F_PROCESSES:
		return check_processes(r);
	case F_UNKILLABLE:
		job->given_up = true;
		job->watch_at = 0;
		return check_processes(r);
	case F_RESULT:
		(void)rd_u32(r);
		(void)rd_u32(r);
		return rd_done(r);
	case F_EMPTY:
		/* First, as a job that is done is not ended for what else its supervisor says. */
		if (!rd_done(r))
			return false;
		job->state = JOB_DONE;
		job->watch_at = 0;
		return true;
	default:
		return false;
	}
}

/*
 * Losing it does no harm, and these may come without bound while the owner does not read. A stop from the terminal is
 * not among them: it waits for the owner's answer, so there is one at a time.
 */
bool
said_may_be_dropped(uint16_t kind, const uint8_t *end)
{
	return kind == F_CONTINUED || kind == F_PROCESSES || (kind == F_STOPPED && end[-1] == 0);
}
