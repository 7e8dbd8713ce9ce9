#define _GNU_SOURCE
#include "procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LIST_MAX (1u << 20)
#define CMDLINE_MAX 200
#define PF_EXITING 4u /* of the kernel's sched.h; the column is `flags` in proc_pid_stat(5) */

struct dirent64 {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

/* Large, because the kernel walks the list from its head again for every read: 10,000 children took 177 ms in small ones. */
static char file_buf[65536];
static bool has_children_files = true;

static ssize_t
read_retry(int fd, void *buf, size_t len)
{
	ssize_t n;

	do
		n = read(fd, buf, len);
	while (n < 0 && errno == EINTR);
	return n;
}

ssize_t
proc_read(const char *path, char *into, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;
	int saved;

	if (fd < 0)
		return -1;
	n = read_retry(fd, into, size);
	saved = errno;
	(void)close(fd);
	errno = saved;
	return n;
}

/* As a string. */
static ssize_t
read_small(const char *path, char *buf, size_t cap)
{
	ssize_t n = proc_read(path, buf, cap - 1);

	if (n >= 0)
		buf[n] = '\0';
	return n;
}

/* Two numbers at most go into a path below /proc. */
__attribute__((format(printf, 3, 4))) static int
path_of(char *buf, size_t cap, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(buf, cap, format, args);
	va_end(args);
	return n < 0 || (size_t)n >= cap ? -1 : 0;
}

static int
parse_stat(char *text, struct proc *p)
{
	/* The name may hold spaces and parentheses: the last one ends it. */
	char *s = strrchr(text, ')');
	uint64_t field[53] = { 0 };
	int n = 4;

	if (s == NULL || s[1] != ' ' || s[2] == '\0')
		return -1;
	p->state = s[2];
	s += 3;
	while (n < 53 && *s == ' ') {
		char *end;

		field[n++] = strtoull(s, &end, 10);
		if (end == s)
			break;
		s = end;
	}
	if (n < 25)
		return -1;
	p->ppid = (pid_t)field[4];
	p->pgid = (pid_t)field[5];
	p->sid = (pid_t)field[6];
	p->exiting = (field[9] & PF_EXITING) != 0;
	p->cpu = field[14] + field[15];
	p->threads = (uint32_t)field[20];
	p->start = field[22];
	p->rss = field[24];
	return 0;
}

int
proc_stat_fd(pid_t pid, int fd, struct stat *st)
{
	char path[64];

	if (path_of(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd) < 0) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return stat(path, st);
}

int
proc_stat(pid_t pid, struct proc *p)
{
	char path[64], text[1024];

	if (path_of(path, sizeof path, "/proc/%d/stat", (int)pid) < 0)
		return -1;
	if (read_small(path, text, sizeof text) <= 0)
		return -1;
	p->pid = pid;
	p->flags = 0;
	return parse_stat(text, p);
}

bool
proc_is_there(const struct proc *p)
{
	struct proc now;

	return p->pid > 0 && proc_stat(p->pid, &now) == 0 && now.start == p->start && now.state != 'Z' && now.state != 'X'
		&& !now.exiting;
}

static bool
state_quiet(char state, bool d_is_quiet)
{
	return state == 'T' || state == 't' || state == 'Z' || state == 'X' || (state == 'D' && d_is_quiet);
}

/* Calls each with the numeric names in a directory until it returns non-zero, and returns that; -1 when it cannot be read. */
static int
each_number(const char *path, int (*each)(pid_t n, void *arg), void *arg)
{
	_Alignas(8) char buf[4096];
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = 0;
	long n = 0;

	if (fd < 0)
		return -1;
	while (result == 0 && (n = syscall(SYS_getdents64, fd, buf, sizeof buf)) > 0) {
		for (long at = 0; at < n && result == 0;) {
			const struct dirent64 *d = (const struct dirent64 *)(const void *)(buf + at);

			if (d->name[0] >= '1' && d->name[0] <= '9')
				result = each((pid_t)strtol(d->name, NULL, 10), arg);
			at += d->reclen;
		}
	}
	(void)close(fd);
	return n < 0 ? -1 : result;
}

static int
is_live_member(pid_t pid, void *arg)
{
	const pid_t *pgid = arg;
	struct proc p;

	if (proc_stat(pid, &p) < 0 || p.pgid != *pgid)
		return 0;
	/* A main thread that has exited shows Z while others run. */
	return (p.state == 'Z' || p.state == 'X') && p.threads <= 1 ? 0 : 1;
}

bool
proc_group_lives(pid_t pgid)
{
	/* Where /proc cannot be read nobody is taken to be dead. */
	return each_number("/proc", is_live_member, &pgid) != 0;
}

struct quiet_arg {
	pid_t pid;
	bool d_is_quiet;
};

static int
thread_is_busy(pid_t tid, void *arg)
{
	const struct quiet_arg *q = arg;
	struct proc t;
	char path[64], text[1024];

	if (path_of(path, sizeof path, "/proc/%d/task/%d/stat", (int)q->pid, (int)tid) < 0)
		return 0;
	if (read_small(path, text, sizeof text) <= 0 || parse_stat(text, &t) < 0)
		return 0;
	return state_quiet(t.state, q->d_is_quiet) ? 0 : 1;
}

bool
proc_quiet(const struct proc *p, bool d_is_quiet)
{
	struct quiet_arg q = { p->pid, d_is_quiet };
	char path[64];

	if (p->threads <= 1)
		return state_quiet(p->state, d_is_quiet);
	if (path_of(path, sizeof path, "/proc/%d/task", (int)p->pid) < 0)
		return false;
	return each_number(path, thread_is_busy, &q) <= 0;
}

static int
reserve(struct proclist *list, size_t want)
{
	size_t cap = list->cap == 0 ? 64 : list->cap;
	void *v;

	if (want <= list->cap)
		return 0;
	if (want > LIST_MAX)
		return -1;
	while (cap < want)
		cap *= 2;
	if (list->v == NULL)
		v = mmap(NULL, cap * sizeof *list->v, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	else
		v = mremap(list->v, list->cap * sizeof *list->v, cap * sizeof *list->v, MREMAP_MAYMOVE);
	if (v == MAP_FAILED)
		return -1;
	list->v = v;
	list->cap = cap;
	return 0;
}

int
proclist_add(struct proclist *list, const struct proc *p)
{
	if (reserve(list, list->n + 1) < 0)
		return -1;
	list->v[list->n++] = *p;
	return 0;
}

struct proc *
proclist_find(const struct proclist *list, pid_t pid)
{
	size_t low = 0, high = list->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (list->v[mid].pid == pid)
			return &list->v[mid];
		if (list->v[mid].pid < pid)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static int
add_pid(struct proclist *list, pid_t pid, pid_t parent)
{
	struct proc p = { .pid = pid, .ppid = parent, .state = '?' };

	return proclist_add(list, &p);
}

/* Appends the pids in a children file; returns -1 when it cannot be read. */
static int
add_children(struct proclist *list, const char *path, pid_t parent)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	pid_t pid = 0;
	ssize_t n;

	if (fd < 0)
		return -1;
	/* A number may be cut by the end of the buffer, so pid is carried over. */
	while ((n = read_retry(fd, file_buf, sizeof file_buf)) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			if (file_buf[i] >= '0' && file_buf[i] <= '9') {
				pid = pid * 10 + (file_buf[i] - '0');
			} else if (pid != 0) {
				/* Out of memory for more: who is known is not nobody, and the rest is found in the next round. */
				if (add_pid(list, pid, parent) < 0) {
					(void)close(fd);
					return 0;
				}
				pid = 0;
			}
		}
	}
	(void)close(fd);
	return n < 0 ? -1 : 0;
}

struct task_arg {
	struct proclist *list;
	pid_t pid;
};

static int
add_task_children(pid_t tid, void *arg)
{
	const struct task_arg *t = arg;
	char path[64];

	if (path_of(path, sizeof path, "/proc/%d/task/%d/children", (int)t->pid, (int)tid) == 0)
		(void)add_children(t->list, path, t->pid);
	return 0;
}

static int
add_children_of(struct proclist *list, const struct proc *p)
{
	struct task_arg t = { list, p->pid };
	char path[64];

	/* A child hangs on the thread that forked it. */
	if (p->threads <= 1)
		return add_task_children(p->pid, &t);
	if (path_of(path, sizeof path, "/proc/%d/task", (int)p->pid) < 0)
		return -1;
	return each_number(path, add_task_children, &t);
}

static int
by_pid(const void *a, const void *b)
{
	const struct proc *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

static void
sort_unique(struct proclist *list)
{
	size_t n = 0;

	if (list->n < 2)
		return;
	qsort(list->v, list->n, sizeof *list->v, by_pid);
	for (size_t i = 0; i < list->n; i++) {
		if (n == 0 || list->v[n - 1].pid != list->v[i].pid)
			list->v[n++] = list->v[i];
	}
	list->n = n;
}

static int
add_any(pid_t pid, void *arg)
{
	struct proclist *list = arg;
	struct proc p;

	if (proc_stat(pid, &p) == 0)
		return proclist_add(list, &p) < 0 ? 1 : 0;
	return 0;
}

/* Without the children files: every process's parent, and then what hangs below us. O(n) passes, each over all. */
static int
walk_by_parent(struct proclist *list, skip_fn skip)
{
	pid_t self = getpid();
	size_t n = 0;
	bool more = true;

	list->n = 0;
	if (each_number("/proc", add_any, list) < 0)
		return -1;
	sort_unique(list);
	for (size_t i = 0; i < list->n; i++)
		list->v[i].flags = 0;
	while (more) {
		more = false;
		for (size_t i = 0; i < list->n; i++) {
			struct proc *p = &list->v[i];
			const struct proc *parent;

			if (p->flags != 0 || p->pid == self)
				continue;
			parent = proclist_find(list, p->ppid);
			if (p->ppid == self ? skip == NULL || !skip(p->pid) : parent != NULL && parent->flags != 0) {
				p->flags = 1;
				more = true;
			}
		}
	}
	for (size_t i = 0; i < list->n; i++) {
		if (list->v[i].flags != 0) {
			list->v[n] = list->v[i];
			list->v[n++].flags = 0;
		}
	}
	list->n = n;
	return 0;
}

int
proc_own_children(struct proclist *list)
{
	pid_t self = getpid();
	size_t n = 0;

	list->n = 0;
	if (has_children_files)
		return add_children(list, "/proc/thread-self/children", self);
	if (walk_by_parent(list, NULL) < 0)
		return -1;
	for (size_t i = 0; i < list->n; i++) {
		if (list->v[i].ppid == self)
			list->v[n++] = list->v[i];
	}
	list->n = n;
	return 0;
}

bool
proc_probe_children(bool wanted)
{
	char c;

	has_children_files = wanted && read_small("/proc/thread-self/children", &c, sizeof c) >= 0;
	return has_children_files;
}

int
proc_walk(struct proclist *list, skip_fn skip, visit_fn visit, void *arg)
{
	size_t n = 0;

	if (!has_children_files) {
		if (walk_by_parent(list, skip) < 0)
			return -1;
		for (size_t i = 0; visit != NULL && i < list->n; i++)
			visit(&list->v[i], arg);
		return 0;
	}
	if (proc_own_children(list) < 0)
		return -1;
	for (size_t i = 0; skip != NULL && i < list->n; i++) {
		if (!skip(list->v[i].pid))
			list->v[n++] = list->v[i];
	}
	if (skip != NULL)
		list->n = n;
	/* The list grows while it is read: breadth first. */
	for (size_t i = 0; i < list->n; i++) {
		struct proc p;

		/* Hidden from us (hidepid) or gone: its pid is kept with state '?', its children come to us when it ends. */
		if (proc_stat(list->v[i].pid, &p) < 0) {
			if (visit != NULL)
				visit(&list->v[i], arg);
			continue;
		}
		if (visit != NULL)
			visit(&p, arg);
		list->v[i] = p;
		if (p.state != 'Z' || p.threads > 1)
			(void)add_children_of(list, &p);
	}
	sort_unique(list);
	return 0;
}

static size_t
command_line(pid_t pid, char *buf, size_t cap)
{
	char path[64], text[1024];
	char *open_paren, *close_paren;
	ssize_t n;

	if (path_of(path, sizeof path, "/proc/%d/cmdline", (int)pid) < 0)
		return 0;
	n = read_small(path, buf, cap);
	if (n > 0) {
		for (ssize_t i = 0; i < n; i++) {
			if (buf[i] == '\0')
				buf[i] = ' ';
		}
		while (n > 0 && buf[n - 1] == ' ')
			n--;
		return (size_t)n;
	}
	/* A zombie has no command line any more; its name remains, as ps(1) shows it. */
	if (path_of(path, sizeof path, "/proc/%d/stat", (int)pid) < 0 || read_small(path, text, sizeof text) <= 0)
		return 0;
	open_paren = strchr(text, '(');
	close_paren = strrchr(text, ')');
	if (open_paren == NULL || close_paren == NULL || close_paren < open_paren || (size_t)(close_paren - open_paren) + 1 >= cap)
		return 0;
	memcpy(buf, open_paren, (size_t)(close_paren - open_paren) + 1);
	return (size_t)(close_paren - open_paren) + 1;
}

size_t
wr_processes(struct writer *w, const struct proclist *list, size_t *from)
{
	char command[CMDLINE_MAX];
	size_t at = w->len;
	uint16_t n = 0;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t tick = 1000000u / (uint64_t)sysconf(_SC_CLK_TCK);

	wr_u16(w, 0);
	for (; *from < list->n; (*from)++) {
		const struct proc *p = &list->v[*from];

		if (n == UINT16_MAX || w->cap - w->len < 64 + sizeof command)
			break;
		wr_u32(w, (uint32_t)p->pid);
		wr_u32(w, (uint32_t)p->ppid);
		wr_u32(w, (uint32_t)p->pgid);
		wr_u32(w, (uint32_t)p->sid);
		wr_u8(w, (uint8_t)p->state);
		wr_u8(w, p->flags & P_DENIED);
		wr_u64(w, p->start);
		wr_u64(w, p->rss * page);
		wr_u64(w, p->cpu * tick);
		wr_str(w, command, command_line(p->pid, command, sizeof command));
		n++;
	}
	wr_patch_u16(w, at, n);
	return list->n - *from;
}
