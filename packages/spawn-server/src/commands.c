#define _GNU_SOURCE
#include "relay.h"
#include "report.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static uint8_t in_buf[4096];

static int
signal_job(int signo, bool leader_only)
{
	struct waited *leader = &job.stages[0];
	struct proc p;
	bool sent = false;

	if (leader_only) {
		if (leader->ended) {
			errno = ESRCH;
			return -1;
		}
		return kill(leader->pid, signo);
	}
	/* kill(2) is content with the leader's zombie, the caller is not. */
	if (leader->ended) {
		bool member = false;

		(void)tree_refresh(&job.tree);
		for (size_t i = 0; i < job.tree.now.n; i++)
			member = member || (job.tree.now.v[i].pgid == job.tree.pgid && job.tree.now.v[i].state != 'Z');
		if (!member) {
			errno = ESRCH;
			return -1;
		}
		return kill(-job.tree.pgid, signo);
	}
	/* A leader may have left its own group. */
	if (proc_stat(leader->pid, &p) == 0 && p.pgid != job.tree.pgid) {
		if (kill(leader->pid, signo) < 0)
			return -1;
		sent = true;
	}
	if (kill(-job.tree.pgid, signo) < 0)
		return sent && errno == ESRCH ? 0 : -1;
	return 0;
}

static int
extend_deadline(uint64_t ms)
{
	if (job.deadline < 0)
		return 0;
	if (job.phase != RUNNING)
		return ESRCH;
	job.deadline_at = later(job.deadline_at, ms);
	job.deadline_left = later(job.deadline_left, ms);
	if (!job.paused)
		arm_deadline(job.deadline_at);
	return 0;
}

static void
on_command(uint16_t kind, struct reader *body)
{
	uint32_t token;

	if (rd_u32(body) != job.plan->id)
		return;
	switch (kind) {
	case F_TERMINATE: {
		int signo = rd_u8(body);

		terminate(signo == 0 ? job.plan->kill_signal : signo, rd_u32(body));
		return;
	}
	case F_KILL:
		if (job.phase == RUNNING)
			terminate(SIGKILL, 0);
		else
			kill_now();
		return;
	case F_SIGNAL: {
		int signo;

		token = rd_u32(body);
		signo = rd_u8(body);
		say_result(token, signal_job(signo, rd_u8(body) == 1) < 0 ? errno : 0);
		return;
	}
	case F_RESUME:
		foreground_resume();
		return;
	case F_RESIZE: {
		uint16_t columns;

		token = rd_u32(body);
		columns = rd_u16(body);
		say_result(token, relay_resize(columns, rd_u16(body)));
		return;
	}
	case F_EXTEND:
		token = rd_u32(body);
		say_result(token, extend_deadline(rd_u64(body)));
		return;
	case F_LIST:
		token = rd_u32(body);
		(void)tree_refresh(&job.tree);
		say_processes(F_PROCESSES, token);
		return;
	default:
		return;
	}
}

void
on_socket(void)
{
	for (;;) {
		ssize_t n = recv(job.socket, in_buf, sizeof in_buf, MSG_DONTWAIT);
		struct reader r, body;
		uint16_t kind;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			/* The lifeline: the server is gone, and so is the one who wanted the job. */
			(void)close(job.socket);
			job.socket = -1;
			terminate(job.plan->kill_signal, job.plan->grace_ms);
			return;
		}
		r = (struct reader){ in_buf, in_buf + n, false };
		while (rd_frame(&r, sizeof in_buf, &kind, &body) == 1)
			on_command(kind, &body);
	}
}
