#define _GNU_SOURCE
#include "stage.h"

#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <unistd.h>

#define STACK_SIZE (24u << 10)
#define CLOSE_RANGE_MARK 4 /* CLOSE_RANGE_CLOEXEC, see close_range(2) */
#define DEFAULT_PATH "/usr/local/bin:/bin:/usr/bin"

/* AddressSanitizer keeps state of its own per thread and stack, which a child in our memory would corrupt. */
#if defined(SANITIZED) || !HAVE_RAW_SYSCALLS
#define SHARE_MEMORY 0
#else
#define SHARE_MEMORY 1
#endif

struct child {
	const struct start *start;
	const struct stage *stage;
	pid_t pgid;
	uint8_t index;
};

static struct child children[MAX_STAGES];
#if SHARE_MEMORY
static _Alignas(4096) uint8_t stacks[MAX_STAGES][STACK_SIZE];
#endif

/*
 * From here to start_child everything runs in a child that may share our
 * memory and runs beside us: raw system calls only, as errno and every lock of
 * libc are the supervisor's.
 */
__attribute__((noreturn)) static void
fail(const struct child *c, enum step step, long negative_errno, const char *path, bool exists)
{
	struct stage_error e = { .error = (int32_t)-negative_errno, .stage = c->index, .step = (uint8_t)step, .exists = exists };
	size_t len = 0;
	struct iovec iov[2];

	while (path[len] != '\0' && len < STAGE_ERROR_PATH_MAX)
		len++;
	e.path_len = (uint16_t)len;
	iov[0] = (struct iovec){ &e, sizeof e };
	iov[1] = (struct iovec){ (void *)(uintptr_t)path, len };
	/* Below PIPE_BUF, so one piece; if it fails the supervisor still sees us end without having begun. */
	(void)raw3(SYS_writev, c->start->status_fd, iov, 2);
	for (;;)
		(void)raw1(SYS_exit_group, 127);
}

static long
open_file(const struct redirect *d)
{
	static const int flags[] = {
		[FILE_READ] = O_RDONLY,
		[FILE_WRITE] = O_WRONLY | O_CREAT | O_TRUNC,
		[FILE_APPEND] = O_WRONLY | O_CREAT | O_APPEND,
		[FILE_READ_WRITE] = O_RDWR | O_CREAT,
	};
	long fd;

	/* May block for as long as it likes, on a FIFO or a dead network file system: the supervisor goes on. */
	do
		fd = raw4(SYS_openat, AT_FDCWD, d->path, flags[d->arg] | O_CLOEXEC, 0666);
	while (fd == -EINTR);
	return fd;
}

static long
source_of(const struct child *c, const struct redirect *d)
{
	const struct start *s = c->start;
	long fd;

	switch (d->kind) {
	case R_NULL:
		return s->null_fd;
	case R_READ:
		return s->read_end[d->arg];
	case R_WRITE:
		return s->write_end[d->arg];
	case R_TERMINAL:
		return s->terminal;
	case R_FILE:
		fd = open_file(d);
		if (fd < 0 || fd >= s->base)
			return fd;
		/* Out of the way of the numbers that are given out below. */
		return raw3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, s->base);
	default:
		return -EBADF;
	}
}

static void
redirect(const struct child *c)
{
	const struct stage *s = c->stage;
	long inherited[3] = { 0, 1, 2 };

	/* An inherited descriptor may be moved to a number that another takes: keep a copy of each that moves. */
	for (uint16_t i = 0; i < s->nredirects; i++) {
		const struct redirect *d = &s->redirects[i];

		if (d->kind != R_INHERIT || d->fd == d->arg || inherited[d->arg] > 2)
			continue;
		inherited[d->arg] = raw3(SYS_fcntl, d->arg, F_DUPFD_CLOEXEC, c->start->base);
		if (inherited[d->arg] < 0)
			fail(c, STEP_OPEN, inherited[d->arg], "", false);
	}
	for (uint16_t i = 0; i < s->nredirects; i++) {
		const struct redirect *d = &s->redirects[i];
		const char *path = d->kind == R_FILE ? d->path : "";
		long fd, done;

		if (d->kind == R_DUP || (d->kind == R_INHERIT && d->fd == d->arg))
			continue;
		fd = d->kind == R_INHERIT ? inherited[d->arg] : source_of(c, d);
		if (fd < 0)
			fail(c, STEP_OPEN, fd, path, false);
		done = raw3(SYS_dup3, fd, d->fd, 0);
		if (done < 0)
			fail(c, STEP_OPEN, done, path, false);
	}
	for (uint16_t i = 0; i < s->nredirects; i++) {
		const struct redirect *d = &s->redirects[i];
		long done;

		if (d->kind != R_DUP || d->fd == d->arg)
			continue;
		done = raw3(SYS_dup3, d->arg, d->fd, 0);
		if (done < 0)
			fail(c, STEP_OPEN, done, "", false);
	}
}

static void
limit(const struct child *c)
{
	const struct stage *s = c->stage;
	long done = 0;

	if (c->start->open_files != NULL)
		done = raw4(SYS_prlimit64, 0, RLIMIT_NOFILE, c->start->open_files, NULL);
	for (uint8_t i = 0; done >= 0 && i < s->nlimits; i++) {
		/* The kernel's struct rlimit64, whatever libc's rlim_t is. */
		uint64_t value[2] = { s->limits[i].soft, s->limits[i].hard };

		done = raw4(SYS_prlimit64, 0, s->limits[i].resource, value, NULL);
	}
	if (done >= 0 && (s->set & SET_NICE) != 0)
		done = raw3(SYS_setpriority, PRIO_PROCESS, 0, s->nice);
	if (done < 0)
		fail(c, STEP_LIMITS, done, "", false);
}

static void
become_user(const struct child *c)
{
	const struct stage *s = c->stage;
	long done = 0;

	if ((s->set & SET_GROUPS) != 0)
		done = raw2(SYS_setgroups, s->ngroups, s->groups);
	if (done >= 0 && (s->set & SET_GID) != 0)
		done = raw3(SYS_setresgid, s->gid, s->gid, s->gid);
	if (done >= 0 && (s->set & SET_UID) != 0)
		done = raw3(SYS_setresuid, s->uid, s->uid, s->uid);
	if (done < 0)
		fail(c, STEP_USER, done, "", false);
}

static const char *
path_variable(char *const *envp)
{
	for (; *envp != NULL; envp++) {
		const char *e = *envp;

		if (e[0] == 'P' && e[1] == 'A' && e[2] == 'T' && e[3] == 'H' && e[4] == '=')
			return e + 5;
	}
	return DEFAULT_PATH;
}

/* The file is there although execve(2) said ENOENT: what is missing is the interpreter that it names. */
static bool
is_there(const char *path)
{
	return raw3(SYS_faccessat, AT_FDCWD, path, F_OK) == 0;
}

static void
try_exec(const struct child *c, const char *path, long *kept)
{
	long error = raw3(SYS_execve, path, c->stage->argv, c->stage->envp);

	switch (error) {
	case -EACCES:
		/* Not executable, a directory, or behind one we may not search: a later entry may have it, as execvp(3) looks. */
		*kept = error;
		return;
	case -ENOENT:
	case -ENOTDIR:
	case -ESTALE:
	case -ENODEV:
	case -ETIMEDOUT:
		return;
	default:
		/* ENOEXEC too: running it as a script of sh would hide what is wrong with it. */
		fail(c, STEP_EXEC, error, path, true);
	}
}

/* One entry of PATH, which may be empty: the working directory. Returns false when it does not fit. */
static bool
join(char *out, const char *dir, size_t len, const char *file)
{
	size_t n = 0;

	if (len >= PATH_MAX - NAME_MAX - 2)
		return false;
	while (n < len) {
		out[n] = dir[n];
		n++;
	}
	if (len > 0)
		out[n++] = '/';
	for (; *file != '\0'; file++) {
		if (n >= PATH_MAX - 1)
			return false;
		out[n++] = *file;
	}
	out[n] = '\0';
	return true;
}

/* The next entry of PATH with the file in it, of those that fit. Returns false when there is none. */
static bool
next_candidate(const char **path, const char *file, char *out)
{
	bool fits = false;

	while (!fits && *path != NULL) {
		size_t len = 0;

		while ((*path)[len] != '\0' && (*path)[len] != ':')
			len++;
		fits = join(out, *path, len, file);
		*path = (*path)[len] == '\0' ? NULL : *path + len + 1;
	}
	return fits;
}

__attribute__((noreturn)) static void
execute(const struct child *c)
{
	const char *file = c->stage->file;
	const char *path = path_variable(c->stage->envp);
	long kept = -ENOENT;
	char candidate[PATH_MAX];
	size_t file_len = 0;

	for (const char *s = file; *s != '\0'; s++) {
		file_len++;
		if (*s == '/') {
			long error = raw3(SYS_execve, file, c->stage->argv, c->stage->envp);

			fail(c, STEP_EXEC, error, file, is_there(file));
		}
	}
	if (file_len == 0)
		fail(c, STEP_EXEC, -ENOENT, file, false);
	if (file_len > NAME_MAX)
		fail(c, STEP_EXEC, -ENAMETOOLONG, file, false);
	for (const char *at = path; next_candidate(&at, file, candidate);)
		try_exec(c, candidate, &kept);
	/* Only now: most commands are found, and each look costs them a call for every entry before theirs. */
	for (const char *at = path; kept == -ENOENT && next_candidate(&at, file, candidate);) {
		if (is_there(candidate))
			fail(c, STEP_EXEC, -ENOENT, candidate, true);
	}
	fail(c, STEP_EXEC, kept, file, false);
}

/*
 * Until the leader has made the group the terminal's foreground, which was the
 * supervisor's: who reads before that is stopped. Nobody else can do it, as the
 * leader may by then be a shell that has given the foreground to another group.
 */
static void
await_leader(const struct child *c)
{
	static const long pause[2] = { 0, 100000 }; /* the kernel's struct timespec, whatever libc's is */
	pid_t foreground = 0;

	while (raw3(SYS_ioctl, c->start->terminal, TIOCGPGRP, &foreground) >= 0 && foreground == c->start->supervisor)
		(void)raw2(SYS_nanosleep, pause, NULL);
}

static int
start_child(void *arg)
{
	const struct child *c = arg;
	uint64_t none = 0;
	long done;

	done = raw2(SYS_setpgid, 0, c->pgid);
	if (done < 0)
		fail(c, STEP_FORK, done, "", false);
	/* Here and not only by the supervisor, lest the program reads before it may; SIGTTOU is still blocked. */
	if (c->index == 0 && c->start->tty >= 0) {
		int group = (int)raw0(SYS_getpid);

		(void)raw3(SYS_ioctl, c->start->tty, TIOCSPGRP, &group);
	}
	if (c->index > 0 && c->start->terminal >= 0)
		await_leader(c);
	/*
	 * All 64 signals in one mask, which libc would not let us, and before anything that may block: a FIFO nobody
	 * opens must be left on SIGTERM. Dispositions have been default since the server began.
	 */
	(void)raw4(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
	/* Before the files are made: who keeps a program's files from others means its output, too. */
	if ((c->stage->set & SET_UMASK) != 0)
		(void)raw1(SYS_umask, c->stage->umask);
	redirect(c);
	limit(c);
	become_user(c);
	/* After the credentials, whose change clears it; and the supervisor may have died before it was set. */
	done = raw2(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
	if (done < 0 || raw0(SYS_getppid) != c->start->supervisor)
		fail(c, STEP_FORK, -ESRCH, "", false);
	if (c->stage->cwd[0] != '\0') {
		done = raw1(SYS_chdir, c->stage->cwd);
		if (done < 0)
			fail(c, STEP_CHDIR, done, c->stage->cwd, false);
	}
	/* All of it is O_CLOEXEC already; this holds if a descriptor is ever added that is not. Linux before 5.11 refuses. */
	(void)raw3(SYS_close_range, c->start->base, ~0u, CLOSE_RANGE_MARK);
	execute(c);
}

int
stage_start(const struct start *start, uint8_t index, pid_t pgid, pid_t *pid)
{
	struct child *c = &children[index];
	pid_t p;

	*c = (struct child){ start, &start->plan->stages[index], pgid, index };
#if SHARE_MEMORY
	/* A child with other credentials must not have our memory: whoever may trace it would have it too. */
	if ((c->stage->set & (SET_UID | SET_GID | SET_GROUPS)) == 0) {
		/* The kernel stores the pid before the child runs, in a page that the server sees: see struct slot. */
		p = clone(start_child, stacks[index] + STACK_SIZE, CLONE_VM | CLONE_PARENT_SETTID | SIGCHLD, c, pid);
		return p < 0 ? -1 : 0;
	}
#endif
	p = (pid_t)raw5(SYS_clone, CLONE_PARENT_SETTID | SIGCHLD, 0, pid, 0, 0);
	if (p == 0)
		_exit(start_child(c));
	if (p < 0) {
		errno = (int)-p;
		return -1;
	}
	return 0;
}

void
stage_forget_stacks(void)
{
#if SHARE_MEMORY
	(void)madvise(stacks, sizeof stacks[0], MADV_DONTNEED);
#endif
}
