#define _GNU_SOURCE
#include "report.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct supervised job;
static uint8_t out_buf[PACKET_MAX];

void
report_to(int socket)
{
	job.socket = socket;
	job.out = (struct writer){ out_buf, 0, sizeof out_buf, false };
}

void
flush(void)
{
	ssize_t n;

	if (job.socket < 0 || job.out.len == 0) {
		job.out.len = 0;
		return;
	}
	do
		n = send(job.socket, job.out.buf, job.out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	/* Full: kept, and more is added to it; what a job has to say is bounded and far below the buffer. */
	if (n < 0 && (errno == EAGAIN || errno == ENOBUFS))
		return;
	job.out.len = 0;
	job.out.full = false;
}

/* Lists can be long: wait a little for the server rather than lose them. */
void
make_room(void)
{
	struct pollfd p = { job.socket, POLLOUT, 0 };

	flush();
	if (job.out.len > 0 && job.socket >= 0) {
		(void)poll(&p, 1, 100);
		flush();
	}
}

static size_t
begin(enum frame_kind kind)
{
	size_t mark = wr_begin(&job.out, kind);

	wr_u32(&job.out, job.plan->id);
	return mark;
}

void
say(enum frame_kind kind)
{
	wr_end(&job.out, begin(kind));
}

void
say_result(uint32_t token, int error)
{
	size_t mark = begin(F_RESULT);

	wr_u32(&job.out, token);
	wr_u32(&job.out, (uint32_t)error);
	wr_end(&job.out, mark);
}

void
say_processes(enum frame_kind kind, uint32_t token)
{
	size_t from = 0, left;

	do {
		size_t mark, last;

		make_room();
		mark = begin(kind);
		wr_u32(&job.out, token);
		last = job.out.len;
		wr_u8(&job.out, 1);
		left = wr_processes(&job.out, &job.tree.now, &from);
		if (left > 0 && last < job.out.len)
			job.out.buf[last] = 0;
		wr_end(&job.out, mark);
	} while (left > 0 && job.out.len <= PACKET_MAX / 2 + PACKET_MAX / 4 && job.socket >= 0);
	flush();
}

void
say_started(bool pending)
{
	size_t mark = begin(F_STARTED);

	wr_u32(&job.out, (uint32_t)getpid());
	wr_u64(&job.out, job.began);
	wr_u8(&job.out, pending ? 1 : 0);
	wr_u8(&job.out, job.plan->nstages);
	for (uint8_t i = 0; i < job.plan->nstages; i++)
		wr_u32(&job.out, (uint32_t)job.stages[i].pid);
	wr_end(&job.out, mark);
	job.begun = true;
	job.pending_at = 0;
}

void
say_failed(uint8_t stage, uint8_t step, int error, bool exists, const char *path, size_t len)
{
	size_t mark = begin(F_FAILED);

	wr_u8(&job.out, stage);
	wr_u8(&job.out, step);
	wr_u32(&job.out, (uint32_t)error);
	wr_u8(&job.out, exists ? 1 : 0);
	wr_str(&job.out, path, len);
	wr_end(&job.out, mark);
	job.failed = true;
	job.begun = true;
	job.pending_at = 0;
}

static uint64_t
micros(struct timeval t)
{
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_usec;
}

static void
say_exit(uint8_t index)
{
	struct waited *s = &job.stages[index];
	const struct rusage *u = &s->usage;
	size_t mark;

	if (s->reported || !job.begun || job.failed)
		return;
	s->reported = true;
	mark = begin(F_EXIT);
	wr_u8(&job.out, index);
	wr_u8(&job.out, s->code == CLD_EXITED ? 0 : 1);
	wr_u8(&job.out, s->code == CLD_DUMPED ? 1 : 0);
	wr_u32(&job.out, (uint32_t)s->status);
	wr_u64(&job.out, micros(u->ru_utime));
	wr_u64(&job.out, micros(u->ru_stime));
	wr_u64(&job.out, (uint64_t)u->ru_maxrss * 1024u);
	wr_u64(&job.out, (uint64_t)u->ru_minflt);
	wr_u64(&job.out, (uint64_t)u->ru_majflt);
	wr_u64(&job.out, (uint64_t)u->ru_nvcsw);
	wr_u64(&job.out, (uint64_t)u->ru_nivcsw);
	wr_end(&job.out, mark);
}

void
say_exits(void)
{
	for (uint8_t i = job.plan->nstages; i-- > 0;) {
		uint8_t first = i;

		if (!job.stages[i].ended || (job.stages[i].turn == AFTER_NEXT && !job.stages[i + 1].reported))
			continue;
		while (first > 0 && job.stages[first - 1].turn == BEFORE_NEXT)
			first--;
		for (; first <= i; first++)
			say_exit(first);
	}
}

void
say_stop(uint8_t index, int code, int status, bool terminal)
{
	size_t mark = begin(code == CLD_CONTINUED ? F_CONTINUED : F_STOPPED);

	wr_u8(&job.out, index);
	wr_u32(&job.out, (uint32_t)status);
	wr_u8(&job.out, terminal ? 1 : 0);
	wr_end(&job.out, mark);
}

void
say_paused(uint64_t left_ms)
{
	size_t mark = begin(F_PAUSED);

	wr_u64(&job.out, left_ms);
	wr_end(&job.out, mark);
}
