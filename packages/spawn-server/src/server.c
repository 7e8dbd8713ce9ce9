#define _GNU_SOURCE
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define OUT_MAX (64u << 20)
#define OUT_HIGH (1u << 20) /* above it the owner is not listened to until it has read */
#define IN_MAX (FRAME_MAX + FRAME_HEADER)
#define ARENA_MAX (2u * FRAME_MAX + (1u << 20))
#define BIG (256u << 10)
#define READ_AT_ONCE (64u << 10) /* small, as every page that is touched here is copied by a fork */
#define FRAMES_AT_ONCE 16 /* then all others have their turn: two thousand requests may come in one go */

struct server server;

static struct {
	uint8_t *buf;
	size_t start;
	size_t end;
	bool more; /* complete frames may be left */
} in;
static struct arena arena;
static struct plan plan;
static uint32_t control_events;
static int exit_code;

bool
out_is_full(void)
{
	return server.out.len > OUT_HIGH;
}

static void
terminate_all(void)
{
	uint8_t frame[32];

	for (uint32_t i = 0; i < server.njobs; i++) {
		struct writer w = { frame, 0, sizeof frame, false };
		struct job *job = &server.jobs[i];
		size_t mark;

		job_opened(job);
		if (job->state == JOB_LIVE && !job->terminating) {
			mark = wr_begin(&w, F_TERMINATE);
			wr_u32(&w, job->id);
			wr_u8(&w, 0);
			wr_u32(&w, job->grace_ms);
			wr_end(&w, mark);
			(void)job_command(job, w.buf, w.len);
			if (!job->given_up)
				job_expect(job, server.slack_ms);
		}
	}
	for (uint32_t i = server.njobs; i-- > 0;)
		job_free_if_over(&server.jobs[i]);
}

static void
owner_gone(void)
{
	if (server.control < 0)
		return;
	(void)close(server.control);
	server.control = -1;
	server.out.len = 0;
	for (int i = 0; i < 2; i++)
		end_close(&server.hello_ends[i]);
	parked_end_all();
	terminate_all();
}

static void
flush_out(void)
{
	size_t sent = 0;

	if (server.out.full) {
		/* 64 MiB that nobody reads: the owner is as good as gone. */
		exit_code = 1;
		owner_gone();
	}
	while (server.control >= 0 && sent < server.out.len) {
		ssize_t n = send(server.control, server.out.buf + sent, server.out.len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0) {
			sent += (size_t)n;
		} else if (errno == EAGAIN) {
			break;
		} else if (errno != EINTR) {
			owner_gone();
			return;
		}
	}
	if (server.control < 0)
		sent = server.out.len;
	if (sent > 0) {
		memmove(server.out.buf, server.out.buf + sent, server.out.len - sent);
		server.out.len -= sent;
	}
}

static void
update_interest(void)
{
	uint32_t want = (out_is_full() ? 0u : EPOLLIN) | (server.out.len > 0 ? EPOLLOUT : 0u);
	struct epoll_event event = { .events = want, .data.u64 = ON_CONTROL };

	if (server.control < 0 || want == control_events)
		return;
	if (epoll_ctl(server.epoll, EPOLL_CTL_MOD, server.control, &event) == 0)
		control_events = want;
}

void
die_soon(const char *message)
{
	size_t mark = wr_begin(&server.out, F_ERROR);

	wr_str(&server.out, message, strlen(message));
	wr_end(&server.out, mark);
	(void)fprintf(stderr, "effect-process spawn server: %s\n", message);
	exit_code = 1;
	flush_out();
	owner_gone();
}

static void
say_result(uint32_t id, uint32_t token, int error)
{
	size_t mark = wr_begin(&server.out, F_RESULT);

	wr_u32(&server.out, id);
	wr_u32(&server.out, token);
	wr_u32(&server.out, (uint32_t)error);
	wr_end(&server.out, mark);
}

static void
on_opened(uint32_t id)
{
	struct job *job;

	if (id == 0) {
		for (int i = 0; i < 2; i++)
			end_close(&server.hello_ends[i]);
		return;
	}
	job = job_find(id);
	if (job != NULL) {
		job_opened(job);
		job_free_if_over(job);
	}
}

/* Frames about a job that ended meanwhile are no error: they crossed its EMPTY. */
static bool
on_job_frame(uint16_t kind, struct reader *r, const uint8_t *frame, size_t len)
{
	uint32_t id = rd_u32(r), token = 0, grace = 0;
	uint8_t signo = 0;
	uint64_t ms = 0;
	struct job *job;

	if (kind == F_SIGNAL || kind == F_EXTEND || kind == F_LIST || kind == F_RESIZE)
		token = rd_u32(r);
	if (kind == F_SIGNAL || kind == F_TERMINATE)
		signo = rd_u8(r);
	if (kind == F_SIGNAL && rd_u8(r) > 1)
		return false;
	if (kind == F_TERMINATE)
		grace = rd_u32(r);
	if (kind == F_EXTEND)
		ms = rd_u64(r);
	/* Columns and rows, neither of which is 0. */
	if (kind == F_RESIZE && (rd_u16(r) == 0 || rd_u16(r) == 0))
		return false;
	if (!rd_done(r) || signo > 64)
		return false;
	job = job_find(id);
	if (job == NULL || job->state != JOB_LIVE || job->supervisor == 0) {
		if (token != 0)
			say_result(id, token, ESRCH);
		return true;
	}
	if (kind == F_TERMINATE || kind == F_KILL) {
		if (kind == F_KILL || !job->terminating)
			job->grace_ms = grace;
		if (!job->given_up)
			job_expect(job, server.slack_ms + (job->terminating ? (uint64_t)job->grace_ms + server.kill_ms + server.slack_ms : 0));
	}
	if (kind == F_EXTEND && job->deadline_at != 0 && !job->terminating) {
		uint64_t now = boot_ms();

		job->deadline_at = later(job->deadline_at, ms);
		if (!job->paused)
			job_expect(job, (job->deadline_at > now ? job->deadline_at - now : 0) + server.slack_ms);
	}
	if (kind == F_RESUME)
		job_keep_modes(job);
	/* It answers with PAUSED, which says what is left. */
	if (kind == F_RESUME && job->paused && !job->terminating)
		job_expect(job, server.slack_ms);
	if (job_command(job, frame, len) < 0 && token != 0)
		say_result(id, token, errno);
	return true;
}

static bool
on_grow(struct reader *r)
{
	uint32_t id = rd_u32(r), token = rd_u32(r), which = rd_u32(r), descriptor = rd_u32(r), size = rd_u32(r);
	struct job *job;

	if (!rd_done(r) || which >= MAX_OWNER_ENDS || size > PIPE_SIZE_MAX)
		return false;
	job = job_find(id);
	say_result(id, token, job == NULL || job->state != JOB_LIVE ? ESRCH : end_grow(job, (uint16_t)which, descriptor, size));
	return true;
}

static bool
on_frame(uint16_t kind, struct reader *r, const uint8_t *frame, size_t len)
{
	uint32_t n;

	switch (kind) {
	case F_SPAWN: {
		const uint8_t *body = r->p;

		if (plan_parse(r, &arena, &plan) < 0 || job_find(plan.id) != NULL)
			return false;
		n = 0;
		for (uint16_t i = 0; i < plan.npipes; i++)
			n += plan.pipes[i].owner != 0;
		if (n > MAX_OWNER_ENDS)
			return false;
		job_start(&plan, body, (size_t)(r->end - body));
		if (arena.used > BIG)
			(void)madvise(arena.base, arena.cap, MADV_DONTNEED);
		return true;
	}
	case F_OPENED:
		n = rd_u32(r);
		if (!rd_done(r))
			return false;
		on_opened(n);
		return true;
	case F_PING: {
		size_t mark;

		n = rd_u32(r);
		if (!rd_done(r))
			return false;
		mark = wr_begin(&server.out, F_PONG);
		wr_u32(&server.out, n);
		wr_end(&server.out, mark);
		return true;
	}
	case F_GROW:
		return on_grow(r);
	case F_SHUTDOWN:
		if (!rd_done(r))
			return false;
		owner_gone();
		return true;
	case F_SIGNAL:
	case F_TERMINATE:
	case F_KILL:
	case F_RESUME:
	case F_EXTEND:
	case F_LIST:
	case F_RESIZE:
		return on_job_frame(kind, r, frame, len);
	default:
		return false;
	}
}

static void
on_frames(void)
{
	in.more = false;
	for (int n = 0;; n++) {
		struct reader r = { in.buf + in.start, in.buf + in.end, false }, body;
		uint8_t *frame = r.p;
		uint16_t kind = 0;
		int got;

		if (server.control < 0)
			return;
		if (n == FRAMES_AT_ONCE || out_is_full()) {
			in.more = true;
			return;
		}
		got = rd_frame(&r, FRAME_MAX, &kind, &body);
		if (got == 0)
			break;
		in.start = (size_t)(r.p - in.buf);
		if (got < 0) {
			die_soon("a frame of impossible length");
		} else if (!server.greeted) {
			if (kind == F_HELLO)
				welcome(&body);
			else
				die_soon("the first frame must be HELLO");
		} else if (!on_frame(kind, &body, frame, (size_t)(r.p - frame))) {
			char message[64];

			(void)snprintf(message, sizeof message, "malformed frame of kind %u", (unsigned)kind);
			die_soon(message);
		}
	}
	if (in.start > 0) {
		memmove(in.buf, in.buf + in.start, in.end - in.start);
		if (in.start > BIG && in.end - in.start < BIG)
			(void)madvise(in.buf + BIG, IN_MAX - BIG, MADV_DONTNEED);
		in.end -= in.start;
		in.start = 0;
	}
}

static void
on_control(void)
{
	size_t room;
	ssize_t n;

	/* What is here comes first; the socket stays readable. */
	if (server.control < 0 || out_is_full() || in.more)
		return;
	if (in.end == IN_MAX) {
		die_soon("a frame of impossible length");
		return;
	}
	room = IN_MAX - in.end;
	do
		n = recv(server.control, in.buf + in.end, room < READ_AT_ONCE ? room : READ_AT_ONCE, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		owner_gone();
		return;
	}
	in.end += (size_t)n;
	on_frames();
}

static void
on_signals(void)
{
	struct signalfd_siginfo info;

	while (read(server.signals, &info, sizeof info) == (ssize_t)sizeof info) {
		if (info.ssi_signo != SIGCHLD)
			owner_gone();
	}
	server.reap_again = true;
}

static int
next_timeout(void)
{
	uint64_t at = UINT64_MAX, now = now_ms();

	if (server.reap_again || (in.more && server.control >= 0 && !out_is_full()))
		return 0;
	if (server.watch_at != 0)
		at = server.watch_at;
	if (server.orphans_since != 0 && server.round_at < at)
		at = server.round_at;
	if (at == UINT64_MAX)
		return -1;
	return at <= now ? 0 : at - now > 60000 ? 60000 : (int)(at - now);
}

/* Not copied by fork(2): the supervisors have no use for it, and would be charged for each page that we write. */
static void *
own_memory(size_t size, bool for_children)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	if (!for_children)
		(void)madvise(p, size, MADV_DONTFORK);
	return p;
}

static int
set_up(void)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = ON_CONTROL };
	sigset_t signals;

	server.out = (struct writer){ own_memory(OUT_MAX, false), 0, OUT_MAX, false };
	server.jobs = own_memory(MAX_JOBS * sizeof *server.jobs, false);
	server.ends = own_memory((size_t)MAX_JOBS * MAX_OWNER_ENDS * sizeof *server.ends, false);
	server.slots = mmap(NULL, MAX_JOBS * sizeof *server.slots, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	in.buf = own_memory(IN_MAX, true);
	arena = (struct arena){ own_memory(ARENA_MAX, true), ARENA_MAX, 0 };
	if (server.out.buf == NULL || server.jobs == NULL || server.ends == NULL || server.slots == MAP_FAILED
		|| in.buf == NULL || arena.base == NULL)
		return -1;
	server.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (sigemptyset(&signals) < 0 || sigaddset(&signals, SIGCHLD) < 0 || sigaddset(&signals, SIGTERM) < 0
		|| sigaddset(&signals, SIGINT) < 0 || sigaddset(&signals, SIGHUP) < 0)
		return -1;
	server.signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	for (int i = 0; i < SPARE; i++)
		server.spare[i] = fcntl(server.null_fd, F_DUPFD_CLOEXEC, 3);
	if (server.epoll < 0 || server.signals < 0)
		return -1;
	if (epoll_ctl(server.epoll, EPOLL_CTL_ADD, server.control, &event) < 0)
		return -1;
	control_events = EPOLLIN;
	event.data.u64 = ON_SIGNALS;
	return epoll_ctl(server.epoll, EPOLL_CTL_ADD, server.signals, &event);
}

_Noreturn void
server_run(void)
{
	server.arena = &arena;
	server.tty = server.cgroup = server.done = server.hello_ends[0].fd = server.hello_ends[1].fd = -1;
	if (set_up() < 0) {
		perror("effect-process spawn server: setting up");
		_exit(1);
	}
	for (;;) {
		struct epoll_event events[64];
		int n = epoll_wait(server.epoll, events, 64, next_timeout());
		bool signalled = false;

		if (n < 0 && errno != EINTR)
			_exit(1);
		for (int i = 0; i < n; i++) {
			uint64_t who = events[i].data.u64;

			if (who == ON_CONTROL)
				on_control();
			else if (who == ON_SIGNALS)
				signalled = true;
			else if (who >= ON_PARKED)
				parked_on_socket((pid_t)(who - ON_PARKED));
			else
				job_on_socket((uint32_t)(who - ON_JOBS), (events[i].events & EPOLLHUP) != 0);
		}
		/* What the owner waits for goes out before the dead are seen to. */
		if (signalled) {
			flush_out();
			on_signals();
		}
		if (server.reap_again)
			reap_children();
		jobs_watch();
		orphans_round();
		flush_out();
		/* Frames that waited for others, or for the owner to read. */
		if (in.more && server.control >= 0 && !out_is_full())
			on_frames();
		flush_out();
		update_interest();
		if (server.control < 0 && all_over()) {
			cgroup_end(server.cgroup, server.cgroup_path, server.kill_ms);
			pipes_end();
			_exit(exit_code);
		}
	}
}
