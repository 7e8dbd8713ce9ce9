#define _GNU_SOURCE
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* clone3(2); musl has no header for it. */
struct clone_args3 {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};
#define CLONE_INTO_CGROUP3 UINT64_C(0x200000000)

pid_t
fork_into(int cgroup_fd)
{
#if defined(__SANITIZE_ADDRESS__)
	(void)cgroup_fd;
	return fork();
#else
	if (cgroup_fd >= 0) {
		struct clone_args3 args = { .flags = CLONE_INTO_CGROUP3, .exit_signal = SIGCHLD, .cgroup = (uint64_t)cgroup_fd };
		pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);

		/* Removed under us, frozen, or full: the job matters more than the backstop. */
		if (pid >= 0 || errno == EAGAIN || errno == ENOMEM)
			return pid;
	}
	/* Not fork(3): no handlers of ours, and nothing of libc that is used afterwards knows the pid. */
	return (pid_t)syscall(SYS_clone, (unsigned long)SIGCHLD, 0, 0, 0, 0);
#endif
}

/* Where cgroup v2 is mounted and which one is ours: proc_pid_mountinfo(5), cgroups(7). */
static int
find_own(char *out, size_t cap)
{
	char line[1024], mount[256] = "", own[256] = "";
	FILE *f = fopen("/proc/self/mountinfo", "re");
	int n;

	if (f == NULL)
		return -1;
	while (fgets(line, sizeof line, f) != NULL) {
		char point[256];

		if (strstr(line, " - cgroup2 ") != NULL && sscanf(line, "%*s %*s %*s %*s %255s", point) == 1) {
			(void)snprintf(mount, sizeof mount, "%s", point);
			break;
		}
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
	n = snprintf(out, cap, "%s%s%seffect-process-%d", mount, own, own[1] == '\0' ? "" : "/", (int)getpid());
	return n < 0 || (size_t)n >= cap ? -1 : 0;
}

int
cgroup_make(char *path, size_t cap)
{
	char kill_file[600];
	int fd, n;

	path[0] = '\0';
	if (find_own(path, cap) < 0 || mkdir(path, 0755) < 0) {
		path[0] = '\0';
		return -1;
	}
	n = snprintf(kill_file, sizeof kill_file, "%s/cgroup.kill", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* Without cgroup.kill (Linux 5.14) it would be good for nothing. */
	if (fd < 0 || n < 0 || (size_t)n >= sizeof kill_file || access(kill_file, W_OK) < 0) {
		if (fd >= 0)
			(void)close(fd);
		(void)rmdir(path);
		path[0] = '\0';
		return -1;
	}
	return fd;
}

void
cgroup_remove(const char *path)
{
	if (path[0] != '\0')
		(void)rmdir(path);
}
