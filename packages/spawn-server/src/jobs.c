#define _GNU_SOURCE
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static struct supervisor_setup setup;
static uint8_t packet[PACKET_MAX];

struct job *
job_find(uint32_t id)
{
	for (uint32_t i = 0; i < server.njobs; i++) {
		if (server.jobs[i].state != JOB_FREE && server.jobs[i].id == id)
			return &server.jobs[i];
	}
	return NULL;
}

static struct job *
job_new(uint32_t id)
{
	uint32_t i = 0;

	while (i < server.njobs && server.jobs[i].state != JOB_FREE)
		i++;
	if (i >= MAX_JOBS)
		return NULL;
	if (i == server.njobs)
		server.njobs++;
	server.jobs[i] = (struct job){ .id = id, .socket = -1, .state = JOB_LIVE, .slot = &server.slots[i],
		.ends = &server.ends[(size_t)i * MAX_OWNER_ENDS] };
	server.slots[i].leader = 0;
	server.live++;
	return &server.jobs[i];
}

void
job_opened(struct job *job)
{
	for (uint16_t i = 0; i < job->nmade; i++)
		end_close(&job->ends[i]);
	job->held = false;
}

/* The place is free once the supervisor is reaped and the owner has its ends: until then the numbers must not be reused. */
void
job_free_if_over(struct job *job)
{
	if (job->state != JOB_DONE || job->supervisor != 0 || job->held)
		return;
	job_shrunk(job);
	job->state = JOB_FREE;
	server.live--;
	while (server.njobs > 0 && server.jobs[server.njobs - 1].state == JOB_FREE)
		server.njobs--;
}

static void
say_failed(uint32_t id, int error)
{
	size_t mark = wr_begin(&server.out, F_FAILED);

	wr_u32(&server.out, id);
	wr_u8(&server.out, 0);
	wr_u8(&server.out, STEP_FORK);
	wr_u32(&server.out, (uint32_t)error);
	wr_u8(&server.out, 0);
	wr_str(&server.out, "", 0);
	wr_end(&server.out, mark);
	mark = wr_begin(&server.out, F_EMPTY);
	wr_u32(&server.out, id);
	wr_end(&server.out, mark);
}

static int
make_pipe(struct job *job, const struct pipe_plan *plan, int *read_end, int *write_end)
{
	int fd[2];

	*read_end = *write_end = -1;
	if (plan->owner == 0) {
		if (pipe2(fd, O_CLOEXEC) < 0)
			return -1;
		*read_end = fd[0];
		*write_end = fd[1];
	} else {
		int side = plan->owner == 1 ? 0 : 1;

		if (end_make(fd, side, &job->ends[job->nmade]) < 0)
			return -1;
		job->nmade++;
		job->held = true;
		*(side == 0 ? write_end : read_end) = fd[1 - side];
	}
	/* A wish: pipe-user-pages-soft may be spent, and the pipe works at any size. */
	if (plan->size != 0)
		(void)fcntl(fd[0], F_SETPIPE_SZ, (int)plan->size);
	else if (plan->owner == 0)
		between_grow(job, fd[0]);
	return 0;
}

static void
close_stage_ends(uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		if (setup.read_end[i] >= 0)
			(void)close(setup.read_end[i]);
		if (setup.write_end[i] >= 0)
			(void)close(setup.write_end[i]);
	}
}

static void
say_pipes(const struct job *job)
{
	size_t mark = wr_begin(&server.out, F_PIPES);

	wr_u32(&server.out, job->id);
	wr_u16(&server.out, job->nmade);
	for (uint16_t i = 0; i < job->nmade; i++)
		wr_u32(&server.out, job->ends[i].number);
	wr_end(&server.out, mark);
}

/* In advance, whenever a job may take the terminal: if its supervisor is lost, it is us who give it back. */
void
job_keep_modes(const struct job *job)
{
	if (job->foreground && term_has_foreground(server.tty, server.owner_group))
		server.has_modes = tcgetattr(server.tty, &server.modes) == 0;
}

static void
set_up(const struct job *job, const struct plan *plan)
{
	setup.plan = plan;
	setup.slot = job->slot;
	setup.slots = server.slots;
	setup.arena = server.arena;
	setup.open_files = server.raised ? &server.open_files : NULL;
	setup.deadline_at_ms = job->deadline_at;
	setup.kill_ms = server.kill_ms;
	setup.null_fd = server.null_fd;
	setup.done = server.done;
	setup.tty = job->foreground ? server.tty : -1;
	setup.owner_group = server.owner_group;
	setup.owner = &server.owner;
}

static int
fork_supervisor(struct job *job)
{
	int sockets[2];
	struct epoll_event event = { .events = EPOLLIN };
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets) < 0)
		return -1;
	event.data.u64 = ON_JOBS + (uint64_t)(job - server.jobs);
	if (epoll_ctl(server.epoll, EPOLL_CTL_ADD, sockets[0], &event) < 0)
		goto failed;
	setup.socket = sockets[1];
	pid = fork_into(server.cgroup);
	/* The child has no job table: not even to store into, see own_memory. */
	if (pid == 0)
		supervisor_main(&setup);
	if (pid < 0)
		goto failed;
	job->supervisor = pid;
	(void)close(sockets[1]);
	job->socket = sockets[0];
	return 0;
failed: {
	int saved = errno;

	(void)close(sockets[0]);
	(void)close(sockets[1]);
	errno = saved;
	return -1;
}
}

void
job_start(struct plan *plan, const uint8_t *body, size_t len)
{
	struct job *job = job_new(plan->id);
	uint16_t made = 0;
	int error;

	if (job == NULL) {
		say_failed(plan->id, EAGAIN);
		return;
	}
	job->nstages = plan->nstages;
	job->grace_ms = plan->grace_ms;
	job->deadline_at = plan->deadline_ms == 0 ? 0 : boot_ms() + plan->deadline_ms;
	if ((plan->flags & JOB_FOREGROUND) != 0) {
		/* What it inherits must be the terminal: a job that reads a file leaves the keyboard to the owner. */
		if (server.tty < 0 && isatty(0))
			server.tty = term_open();
		job->foreground = server.tty >= 0;
		job_keep_modes(job);
	}
	/* Within it the outcome of the start, or that it is pending; then the deadline, if there is one: see check_started. */
	job_expect(job, (plan->deadline_ms != 0 && plan->deadline_ms < server.kill_ms ? plan->deadline_ms : server.kill_ms)
		+ server.slack_ms);
	for (; made < plan->npipes; made++) {
		if (make_pipe(job, &plan->pipes[made], &setup.read_end[made], &setup.write_end[made]) < 0)
			break;
	}
	error = errno;
	set_up(job, plan);
	if (made == plan->npipes && (parked_take(job, &setup, body, len) || fork_supervisor(job) == 0)) {
		close_stage_ends(made);
		say_pipes(job);
		return;
	}
	if (made == plan->npipes)
		error = errno;
	/* Out of descriptors, processes or memory: this job is refused and everything else goes on. */
	close_stage_ends(made);
	job_opened(job);
	say_failed(plan->id, error);
	job->state = JOB_DONE;
	job_free_if_over(job);
}

/* The supervisor must have said something by then, see jobs_watch. */
void
job_expect(struct job *job, uint64_t within_ms)
{
	uint64_t at = now_ms() + within_ms;

	job->nudged = 0;
	job->watch_at = at;
	if (server.watch_at == 0 || at < server.watch_at)
		server.watch_at = at;
}

/* Hands a frame to the job's supervisor. If it does not take it, the watch on it is armed already or the caller is told. */
int
job_command(struct job *job, const uint8_t *frame, size_t len)
{
	ssize_t n;

	if (job->socket < 0) {
		errno = ESRCH;
		return -1;
	}
	do
		n = send(job->socket, frame, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -1 : 0;
}

/* One packet, as the next would wake us anyway; all of them where nothing will. */
void
job_on_socket(uint32_t index, bool all)
{
	struct job *job;

	if (index >= server.njobs)
		return;
	job = &server.jobs[index];
	while (job->socket >= 0) {
		ssize_t n = recv(job->socket, packet, sizeof packet, MSG_DONTWAIT);
		struct reader r = { packet, packet + (n > 0 ? n : 0), false };
		bool good = true, over = false;

		/* ECONNRESET: it has ended with a frame of ours unread; that comes once, and before what it said last. */
		if (n < 0 && (errno == EINTR || errno == ECONNRESET))
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		while (good && r.p < r.end) {
			uint8_t *frame = r.p;
			struct reader body;
			uint16_t kind;

			good = rd_frame(&r, PACKET_MAX, &kind, &body) == 1;
			/* The last that is said of a job that is over, and for us alone. */
			if (good && kind == F_PARKED && job->state == JOB_DONE && rd_u32(&body) == job->id && rd_done(&body)) {
				over = r.p == r.end;
				good = over;
				break;
			}
			good = good && said_is_good(job, kind, &body);
			if (good && kind != F_PAUSED && !(out_is_full() && said_may_be_dropped(kind, r.p)))
				wr_bytes(&server.out, frame, (size_t)(r.p - frame));
		}
		if (over && parked_add(job)) {
			job_free_if_over(job);
			return;
		}
		if (n > 0 && good && !over) {
			if (!all)
				return;
			continue;
		}
		/* Its end, or it has gone mad: then it is ended, and reap_children sees to its job. */
		(void)close(job->socket);
		job->socket = -1;
		if (job->state != JOB_DONE && job->supervisor > 0)
			(void)kill(job->supervisor, SIGKILL);
	}
}
