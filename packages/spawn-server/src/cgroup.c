#define _GNU_SOURCE
#include "server.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PREFIX "effect-process-"

/* clone3(2); musl has no header for it. */
struct clone_args3 {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};
#define CLONE_INTO_CGROUP3 UINT64_C(0x200000000)

/*
 * From then on Linux (6.18) also kills whoever is cloned into it: it compares how often the cgroup was killed with how
 * often that of the parent was. Who moves there by cgroup.procs lives.
 */
static bool was_killed;

static int
write_at(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	(void)close(fd);
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

/* The sanitizer knows of forks by libc's function only, and of none by clone3. */
static pid_t
plain_fork(void)
{
#if defined(SANITIZED)
	return fork();
#else
	/* Not fork(3): no handlers of ours, and nothing of libc that is used afterwards knows the pid. */
	return (pid_t)syscall(SYS_clone, (unsigned long)SIGCHLD, 0, 0, 0, 0);
#endif
}

static pid_t
fork_and_move(int cgroup_fd)
{
	pid_t pid = plain_fork();

	/* "0" is the writer: cgroups(7). Whatever it says, the job matters more than the backstop. */
	if (pid == 0)
		(void)write_at(cgroup_fd, "cgroup.procs", "0");
	return pid;
}

pid_t
fork_into(int cgroup_fd)
{
	struct clone_args3 args = { .flags = CLONE_INTO_CGROUP3, .exit_signal = SIGCHLD, .cgroup = (uint64_t)cgroup_fd };
	pid_t pid;

	if (cgroup_fd < 0)
		return plain_fork();
	if (was_killed)
		return fork_and_move(cgroup_fd);
#if defined(SANITIZED)
	(void)args;
	pid = -1;
	errno = ENOSYS;
#else
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
#endif
	if (pid >= 0 || errno == EAGAIN || errno == ENOMEM)
		return pid;
	/* A sandbox that knows no clone3; or the cgroup was removed under us, frozen, or is full. */
	return fork_and_move(cgroup_fd);
}

/*
 * Where cgroup v2 is mounted and which one is ours: proc_pid_mountinfo(5),
 * cgroups(7). A mount shows a part of the tree from its root on, as in a
 * container, and our own path counts from the top.
 */
static int
find_own(char *out, size_t cap)
{
	char line[1024], root[256] = "", mount[256] = "", own[256] = "";
	FILE *f = fopen("/proc/self/mountinfo", "re");
	const char *below = own;
	size_t len;
	int n;

	if (f == NULL)
		return -1;
	while (fgets(line, sizeof line, f) != NULL) {
		if (strstr(line, " - cgroup2 ") != NULL && sscanf(line, "%*s %*s %*s %255s %255s", root, mount) == 2)
			break;
		mount[0] = '\0';
	}
	(void)fclose(f);
	f = fopen("/proc/self/cgroup", "re");
	if (f == NULL)
		return -1;
	while (fgets(line, sizeof line, f) != NULL) {
		if (strncmp(line, "0::", 3) == 0 && sscanf(line + 3, "%255s", own) == 1)
			break;
	}
	(void)fclose(f);
	if (mount[0] == '\0' || own[0] != '/')
		return -1;
	len = strlen(root);
	if (len > 1 && strncmp(own, root, len) == 0 && (own[len] == '/' || own[len] == '\0'))
		below = own + len;
	n = snprintf(out, cap, "%s%s", mount, below);
	if (n < 0 || (size_t)n >= cap)
		return -1;
	if (n > 1 && out[n - 1] == '/')
		out[n - 1] = '\0';
	return 0;
}

/*
 * Those whose server and owner were both killed: nobody else is left to remove
 * them. The name tells pid and start time, and rmdir(2) takes empty ones only.
 */
static void
remove_stale(const char *parent)
{
	DIR *dir = opendir(parent);
	struct dirent *entry;

	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL) {
		struct proc p = { .pid = 0 };
		unsigned long long start;
		int pid;

		if (sscanf(entry->d_name, PREFIX "%d-%llu", &pid, &start) != 2)
			continue;
		p.pid = pid;
		p.start = start;
		if (!proc_is_there(&p))
			(void)unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
	}
	(void)closedir(dir);
}

/* A directory can be made where no process may be put, and then it would be a promise without anything behind it. */
static bool
takes_processes(int fd)
{
	siginfo_t info;
	pid_t pid;

	if (faccessat(fd, "cgroup.kill", W_OK, 0) < 0)
		return false;
	pid = plain_fork();
	if (pid == 0)
		_exit(write_at(fd, "cgroup.procs", "0") < 0 ? 1 : 0);
	if (pid < 0)
		return false;
	return waitid(P_PID, (id_t)pid, &info, WEXITED) == 0 && info.si_code == CLD_EXITED && info.si_status == 0;
}

int
cgroup_make(char *path, size_t cap)
{
	struct proc self;
	size_t len;
	int fd, n;

	path[0] = '\0';
	if (find_own(path, cap) < 0 || proc_stat(getpid(), &self) < 0)
		goto none;
	remove_stale(path);
	len = strlen(path);
	n = snprintf(path + len, cap - len, "/" PREFIX "%d-%llu", (int)getpid(), (unsigned long long)self.start);
	if (n < 0 || (size_t)n >= cap - len || mkdir(path, 0755) < 0)
		goto none;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* Without cgroup.kill (Linux 5.14) it would be good for nothing. */
	if (fd >= 0 && takes_processes(fd))
		return fd;
	if (fd >= 0)
		(void)close(fd);
	(void)rmdir(path);
none:
	path[0] = '\0';
	return -1;
}

void
cgroup_kill(int cgroup_fd)
{
	was_killed = true;
	(void)write_at(cgroup_fd, "cgroup.kill", "1");
}

void
cgroup_end(int cgroup_fd, const char *path, uint32_t within_ms)
{
	uint64_t until = now_ms() + within_ms;

	if (cgroup_fd < 0)
		return;
	while (rmdir(path) < 0 && errno == EBUSY && now_ms() < until) {
		struct timespec t = { 0, 5000000 };

		/* Every supervisor has ended: whoever is still in it got past them all. */
		cgroup_kill(cgroup_fd);
		(void)nanosleep(&t, NULL);
	}
}
