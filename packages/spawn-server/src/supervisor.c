#define _GNU_SOURCE
#include "handover.h"
#include "relay.h"
#include "report.h"
#include "stage.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PENDING_MS 100u /* an execve that is kept waiting for longer is reported as begun */
#define RETRY_MS 500u /* between rounds against what could not be killed */
#define MANY 256u /* own children from which on waiting is batched */

/* The raw call, as libc's leaves out the usage; WNOWAIT works with it. See waitid(2). */
static int
wait_one(pid_t pid, siginfo_t *info, int options, struct rusage *usage)
{
	memset(info, 0, sizeof *info);
	return (int)syscall(SYS_waitid, P_PID, pid, info, options, usage);
}

/* On its way to execve(2), which closes the status pipe. What it will have as its descriptors it need not have yet. */
static bool
is_starting(const struct waited *s)
{
	struct stat ours, its;

	return job.status >= 0 && fstat(job.status, &ours) == 0 && proc_stat_fd(s->pid, job.stage_status, &its) == 0
		&& ours.st_dev == its.st_dev && ours.st_ino == its.st_ino;
}

/* Whether a stage on its way to execve(2) waits for nothing but the processor: then it is known soon whether it begins. */
static bool
is_any_starved(void)
{
	struct proc p;

	for (uint8_t i = 0; i < job.plan->nstages; i++) {
		const struct waited *s = &job.stages[i];

		if (!s->ended && is_starting(s) && proc_stat(s->pid, &p) == 0 && p.state == 'R')
			return true;
	}
	return false;
}

/* Whether a stage has, or will have, a pipe as its stdin. One that is exiting has none, before it can be waited for. */
static bool
reads_on(const struct waited *s)
{
	struct stat st;

	if (s->ended)
		return false;
	if (is_starting(s))
		return true;
	return proc_stat_fd(s->pid, STDIN_FILENO, &st) == 0 ? S_ISFIFO(st.st_mode) : errno == EACCES;
}

static void
wait_stage(uint8_t index)
{
	struct waited *s = &job.stages[index];
	siginfo_t info;

	for (;;) {
		if (wait_one(s->pid, &info, WEXITED | WSTOPPED | WCONTINUED | WNOHANG | WNOWAIT, &s->usage) < 0) {
			/* Taken from us by nobody we know of; still it is over. */
			if (errno != ECHILD)
				return;
			info.si_pid = s->pid;
			info.si_code = CLD_EXITED;
		}
		if (info.si_pid == 0)
			return;
		if (info.si_code == CLD_EXITED || info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED)
			break;
		if (wait_one(s->pid, &info, WSTOPPED | WCONTINUED | WNOHANG, NULL) < 0 || info.si_pid == 0)
			return;
		s->stopped = info.si_code != CLD_CONTINUED;
		say_stop(index, info.si_code, info.si_status, s->stopped && foreground_stopped(info.si_status));
	}
	s->code = info.si_code;
	s->status = info.si_status;
	s->ended = true;
	/*
	 * The kernel closes a reader's descriptors, and some readers do so themselves, a while before there is a status: its
	 * writer may have died of that and be found first. It is what ended first that counts, so the writer is said later.
	 */
	if (s->code == CLD_KILLED && s->status == SIGPIPE && index + 1 < job.plan->nstages)
		s->turn = reads_on(s + 1) ? BEFORE_NEXT : AFTER_NEXT;
	job.ended++;
	if (job.ended == job.plan->nstages) {
		foreground_ended();
		relay_stages_ended();
	}
	/* The leader's zombie stays: it keeps the number of the group from being given to anyone else. */
	if (index > 0)
		(void)wait_one(s->pid, &info, WEXITED | WNOHANG, NULL);
}

static bool
is_live_stage(pid_t pid)
{
	for (uint8_t i = 0; i < job.plan->nstages; i++) {
		if (job.stages[i].pid == pid && !job.stages[i].ended)
			return true;
	}
	return false;
}

static void on_status(void);

/* Returns true when nothing is left but zombies, the leader's among them. */
static bool
reap(void)
{
	siginfo_t info;

	/*
	 * Of a writer that died after its reader the reader is looked at later, and so found dead too; said the other way
	 * round, the reader's end comes first.
	 */
	for (uint8_t i = 0; i < job.plan->nstages; i++) {
		if (!job.stages[i].ended && job.stages[i].pid > 0)
			wait_stage(i);
	}
	/* After the stages, as each may have begun, or failed to, and ended while we looked: STARTED comes before all else. */
	if (job.status >= 0)
		on_status();
	say_exits();
	/*
	 * The kernel's own word, also where /proc hides somebody, and without a look into it: without WEXITED a zombie does
	 * not count as a child, so ECHILD says that only zombies are left, which say_empty takes.
	 */
	if (job.ended == job.plan->nstages && waitid(P_ALL, 0, &info, WSTOPPED | WNOHANG | WNOWAIT | __WALL) < 0 && errno == ECHILD)
		return true;
	if (proc_own_children(&job.own) < 0)
		return false;
	/*
	 * One by one: with P_ALL the leader's zombie, which comes first, would be all we ever get with WNOWAIT, and be
	 * reaped without it.
	 */
	for (size_t i = 0; i < job.own.n; i++) {
		pid_t pid = job.own.v[i].pid;

		if ((pid != job.stages[0].pid || !job.stages[0].ended) && !is_live_stage(pid))
			(void)wait_one(pid, &info, WEXITED | WNOHANG | __WALL, NULL);
	}
	/* Every wake-up costs a call for each child; ten thousand that end one by one must not cost their square. */
	if (job.own.n > MANY)
		job.reap_at = now_ms() + 10;
	return false;
}

static void
say_empty(void)
{
	siginfo_t info;
	pid_t leader = job.stages[0].pid;

	relay_end();
	/* In this order: if we are killed here, the server must not take a reused number for the group's. */
	job.slot->leader = 0;
	if (leader > 0)
		(void)wait_one(leader, &info, WEXITED | WNOHANG, NULL);
	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | __WALL) == 0 && info.si_pid != 0)
		continue;
	say(F_EMPTY);
}

/* Here, and only here, it is worth waiting for a server that is behind. */
static _Noreturn void
leave(void)
{
	for (int i = 0; i < 50 && job.out.len > 0; i++)
		make_room();
	_exit(0);
}

static _Noreturn void
finish(void)
{
	say_empty();
	leave();
}

/* Nothing was out of the ordinary, and nothing is left of the job that a next one would meet. */
static bool
may_go_on(void)
{
	return job.phase == RUNNING && job.begun && !job.failed && job.status < 0 && job.socket >= 0
		&& (job.plan->flags & (JOB_FOREGROUND | JOB_TERMINAL)) == 0
		&& job.own.cap <= MANY && job.tree.now.cap <= MANY && job.tree.seen.cap == 0;
}

static void
kill_round(void)
{
	uint64_t now = now_ms();

	tree_kill(&job.tree, job.phase == GIVEN_UP ? now + RETRY_MS / 2 : job.give_up_at);
	if (reap())
		finish();
	now = now_ms();
	if (job.phase == KILLING && now >= job.give_up_at) {
		job.phase = GIVEN_UP;
		if (tree_refresh(&job.tree) > 0) {
			tree_mark_denied(&job.tree);
			say_processes(F_UNKILLABLE, 0);
		}
	}
	if (job.phase == GIVEN_UP) {
		/* Whoever could be told of a later end is gone: what we leave goes to init. */
		if (job.socket < 0)
			_exit(1);
		job.round_at = now + RETRY_MS;
		return;
	}
	job.round_at = now + job.backoff;
	job.backoff = job.backoff >= 16 ? 20 : job.backoff * 2;
}

void
kill_now(void)
{
	if (job.phase == KILLING || job.phase == GIVEN_UP)
		return;
	job.phase = KILLING;
	job.grace_at = 0;
	job.give_up_at = now_ms() + job.kill_ms;
	job.backoff = 1;
	kill_round();
}

void
terminate(int signo, uint32_t grace_ms)
{
	if (job.phase == GRACE) {
		uint64_t at = now_ms() + grace_ms;

		if (at < job.grace_at)
			job.grace_at = at;
		return;
	}
	if (job.phase != RUNNING)
		return;
	say(F_TERMINATING);
	/* What outlived every stage has leaked; it is named before it is ended. */
	if (job.ended == job.plan->nstages && tree_refresh(&job.tree) > 0)
		say_processes(F_LEFT, 0);
	flush();
	if (signo == SIGKILL) {
		kill_now();
		return;
	}
	job.phase = GRACE;
	/* Set before the walk, which may take long. */
	job.grace_at = now_ms() + grace_ms;
	(void)tree_signal(&job.tree, signo, true);
	if (grace_ms == 0)
		kill_now();
}

static void
on_status(void)
{
	_Alignas(struct stage_error) uint8_t buf[sizeof(struct stage_error) + STAGE_ERROR_PATH_MAX];
	struct stage_error e;
	ssize_t n;

	do
		n = read(job.status, buf, sizeof buf);
	while (n < 0 && errno == EINTR);
	/* Who looks through /proc may have the other end open as well, but nobody is left who would write to it. */
	if (n < 0 && errno == EAGAIN && job.ended < job.plan->nstages)
		return;
	if (n < (ssize_t)sizeof e) {
		(void)close(job.status);
		job.status = -1;
		if (!job.begun)
			say_started(false);
		say_exits();
		stage_forget_stacks();
		return;
	}
	if (job.failed)
		return;
	memcpy(&e, buf, sizeof e);
	if (e.path_len > (size_t)n - sizeof e)
		e.path_len = (uint16_t)((size_t)n - sizeof e);
	say_failed(e.stage, e.step, e.error, e.exists != 0, (const char *)buf + sizeof e, e.path_len);
	kill_now();
}

static void
on_signals(void)
{
	struct signalfd_siginfo info[4];

	while (read(job.signals, info, sizeof info) == (ssize_t)sizeof info)
		continue;
	if (!reap())
		return;
	if (!may_go_on())
		finish();
	job.over = true;
}

static int
next_timeout(void)
{
	uint64_t at = UINT64_MAX, now;

	if (job.pending_at != 0 && job.pending_at < at)
		at = job.pending_at;
	if (job.phase == GRACE && job.grace_at < at)
		at = job.grace_at;
	if ((job.phase == KILLING || job.phase == GIVEN_UP) && job.round_at < at)
		at = job.round_at;
	if (job.reap_at != 0 && job.reap_at < at)
		at = job.reap_at;
	if (at == UINT64_MAX)
		return -1;
	now = now_ms();
	return at <= now ? 0 : at - now > 60000 ? 60000 : (int)(at - now);
}

static void
on_time(void)
{
	uint64_t now = now_ms();

	if (job.pending_at != 0 && now >= job.pending_at) {
		if (now < job.pending_by && is_any_starved()) {
			job.pending_at = now + PENDING_MS;
		} else {
			say_started(true);
			say_exits();
		}
	}
	if (job.reap_at != 0 && now >= job.reap_at) {
		job.reap_at = 0;
		on_signals();
	}
	if (job.phase == GRACE && now >= job.grace_at)
		kill_now();
	else if ((job.phase == KILLING || job.phase == GIVEN_UP) && now >= job.round_at)
		kill_round();
}

/* Returns when the job is over and another may follow. */
static void
loop(void)
{
	while (!job.over) {
		struct pollfd p[4 + RELAY_FDS] = {
			{ job.status, POLLIN, 0 },
			{ job.reap_at != 0 ? -1 : job.signals, POLLIN, 0 },
			{ job.socket, (short)(job.out.len > 0 ? POLLIN | POLLOUT : POLLIN), 0 },
			{ job.phase == RUNNING ? job.deadline : -1, POLLIN, 0 },
		};
		nfds_t relayed = relay_wants(p + 4);
		int timeout = next_timeout();

		if (poll(p, 4 + relayed, timeout) < 0 && errno != EINTR)
			_exit(1);
		/* The outcome of the start before the exits, so that STARTED precedes them. */
		if (p[0].revents != 0)
			on_status();
		if (p[1].revents != 0)
			on_signals();
		if (job.over)
			break;
		if (p[2].revents != 0 && job.socket >= 0)
			on_socket();
		if (relayed > 0)
			relay_run(p + 4);
		if (p[3].revents != 0 && job.phase == RUNNING) {
			/* The owner hears of it only when it has the job: this is the answer to a spawn that hangs. */
			if (!job.begun && !job.failed)
				say_started(true);
			say(F_DEADLINE);
			terminate(job.plan->kill_signal, job.plan->grace_ms);
		}
		if (timeout >= 0)
			on_time();
		/* All that a turn has found in one write: a short command wakes the server and the owner once. */
		flush();
	}
}

static void
start_stages(struct supervisor_setup *setup)
{
	/* Static: a stage in our memory reads it until its execve(2), which may be long after we have returned. */
	static struct start start;
	int status[2];

	start = (struct start){ setup->plan, setup->read_end, setup->write_end, setup->open_files, -1, -1, -1, -1,
		(int)setup->plan->max_fd + 1, getpid() };
	if (keep_own(setup, start.base) < 0) {
		say_failed(0, STEP_OPEN, errno, false, "", 0);
		return;
	}
	/* Only now, as it may have been moved. */
	start.null_fd = setup->null_fd;
	job.socket = setup->socket;
	if ((setup->plan->flags & JOB_TERMINAL) != 0) {
		start.tty = start.terminal = relay_open(setup, start.base);
		if (start.terminal < 0) {
			say_failed(0, STEP_OPEN, errno, false, "/dev/ptmx", strlen("/dev/ptmx"));
			return;
		}
	}
	if (pipe2(status, O_CLOEXEC | O_NONBLOCK) < 0) {
		say_failed(0, STEP_FORK, errno, false, "", 0);
		return;
	}
	job.tty = setup->tty;
	job.owner_group = setup->owner_group;
	/* Started in the background it gets the terminal when the owner does: see foreground_resume. */
	if (job.tty >= 0 && foreground_may_take())
		start.tty = job.tty;
	else
		job.away = true;
	job.status = status[0];
	start.status_fd = status[1];
	if (status[1] < start.base)
		start.status_fd = fcntl(status[1], F_DUPFD_CLOEXEC, start.base);
	if (start.status_fd < 0) {
		say_failed(0, STEP_OPEN, errno, false, "", 0);
		return;
	}
	job.stage_status = start.status_fd;
	for (uint8_t i = 0; i < setup->plan->nstages && !job.failed; i++) {
		/* The leader's pid goes to shared memory by the kernel's hand, see struct slot. */
		pid_t *place = i == 0 ? (pid_t *)&setup->slot->leader : &job.stages[i].pid;

		if (stage_start(&start, i, job.tree.pgid, place) < 0) {
			say_failed(i, STEP_FORK, errno, false, "", 0);
			break;
		}
		job.stages[i].pid = *place;
		if (i == 0)
			job.tree.pgid = job.stages[0].pid;
		/* Here too, so that it holds whoever comes first; EACCES: it has done so itself and is past its execve(2). */
		(void)setpgid(job.stages[i].pid, job.tree.pgid);
	}
	(void)close(status[1]);
	if (start.status_fd != status[1])
		(void)close(start.status_fd);
	let_go(setup);
	/* What we do not hold nobody waits for: the owner's terminal and pipes. */
	for (int fd = 0; fd <= 2; fd++)
		(void)dup2(setup->null_fd, fd);
	(void)close(setup->null_fd);
}

static void
supervise(struct supervisor_setup *setup)
{
	sigset_t child;
	uint64_t now;

	job.plan = setup->plan;
	job.slot = setup->slot;
	report_to(setup->socket);
	job.status = job.deadline = job.signals = job.tty = -1;
	job.kill_ms = setup->kill_ms;
	job.began = boot_ms() * (uint64_t)sysconf(_SC_CLK_TCK) / 1000u;
	job.owner = setup->owner;
	start_stages(setup);
	now = now_ms();
	job.pending_at = now + PENDING_MS;
	/* The server expects to hear of it within the whole of that bound. */
	job.pending_by = now + job.kill_ms / 4 * 3;
	if (sigemptyset(&child) < 0 || sigaddset(&child, SIGCHLD) < 0)
		_exit(1);
	job.signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (job.signals < 0 && !job.failed)
		say_failed(0, STEP_FORK, errno, false, "", 0);
	if (setup->deadline_at_ms != 0 && !job.failed) {
		job.deadline_at = setup->deadline_at_ms;
		job.deadline = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
		if (job.deadline < 0)
			say_failed(0, STEP_FORK, errno, false, "", 0);
		else
			arm_deadline(job.deadline_at);
	}
	if (job.failed) {
		job.pending_at = 0;
		/* Without a leader there is nothing to wait for. */
		if (job.stages[0].pid <= 0)
			finish();
		for (uint8_t i = 0; i < job.plan->nstages; i++) {
			/* Never started: nothing to wait for. */
			if (job.stages[i].pid <= 0) {
				job.stages[i].ended = true;
				job.ended++;
			}
		}
		kill_now();
	}
	loop();
}

/* As if there had never been a job; what stays is the memory of lists. */
static void
forget_job(struct supervisor_setup *setup)
{
	struct proclist own = job.own, now = job.tree.now;

	setup->socket = job.socket;
	(void)close(job.signals);
	if (job.deadline >= 0)
		(void)close(job.deadline);
	memset(job.stages, 0, job.plan->nstages * sizeof job.stages[0]);
	memset(&job, 0, offsetof(struct supervised, stages));
	job.own = own;
	job.tree.now = now;
}

_Noreturn void
supervisor_main(struct supervisor_setup *setup)
{
	/* Not in the server's group, and the one to whom orphans of the job come. */
	if (((setup->plan->flags & JOB_TERMINAL) == 0 && setpgid(0, 0) < 0) || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		_exit(1);
	(void)prctl(PR_SET_NAME, SUPERVISOR_NAME);
	for (;;) {
		supervise(setup);
		say_empty();
		say(F_PARKED);
		flush();
		if (job.out.len > 0)
			leave();
		forget_job(setup);
		if (handover_take(setup) < 0)
			_exit(0);
	}
}
