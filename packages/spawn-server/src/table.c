/*
 * The whole process table is some 20 us of the kernel's time for each process, in making up the files of /proc. So the owner
 * of a large system has us read it, in several processes at once. The texts go out as the kernel wrote them: the owner
 * knows already how they are laid out.
 */
#define _GNU_SOURCE
#include "table.h"

#include "procfs.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* As much as a pipe holds. */
#define OUTPUT_SIZE 65536
#define STAT_SIZE 4096
/* Of arguments, which a process may make as long as it likes: see procfs.ts. */
#define WORDS_SIZE (128u << 10)

/* What goes before the two texts of a process. One with pid 0 ends the table. */
struct head {
	uint32_t pid;
	uint32_t uid;
	uint32_t stat_size;
	uint32_t words_size;
};

static char output[OUTPUT_SIZE], words[WORDS_SIZE];
static size_t filled;

static int
write_all(const char *from, size_t size)
{
	while (size > 0) {
		ssize_t n = write(STDOUT_FILENO, from, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		from += n;
		size -= (size_t)n;
	}
	return 0;
}

static int
flush(void)
{
	size_t size = filled;

	filled = 0;
	return write_all(output, size);
}

static int
put(const void *from, size_t size)
{
	if (size > OUTPUT_SIZE - filled && flush() < 0)
		return -1;
	if (size > OUTPUT_SIZE)
		return write_all(from, size);
	memcpy(output + filled, from, size);
	filled += size;
	return 0;
}

/* Returns -1 when nobody reads any more. A process that has gone is left out. */
static int
put_process(const char *name, unsigned long pid)
{
	char path[64], stat_text[STAT_SIZE];
	struct stat directory;
	struct head head;
	ssize_t stat_size, words_size;

	if (snprintf(path, sizeof path, "/proc/%.20s", name) < 0)
		return 0;
	/* Not fstat(2) of a file below it: those belong to root where the program may not be read by its user. */
	if (stat(path, &directory) < 0)
		return 0;
	if (snprintf(path, sizeof path, "/proc/%.20s/stat", name) < 0)
		return 0;
	stat_size = proc_read(path, stat_text, sizeof stat_text);
	if (stat_size <= 0)
		return 0;
	if (snprintf(path, sizeof path, "/proc/%.20s/cmdline", name) < 0)
		return 0;
	words_size = proc_read(path, words, sizeof words);
	head.pid = (uint32_t)pid;
	head.uid = directory.st_uid;
	head.stat_size = (uint32_t)stat_size;
	head.words_size = words_size < 0 ? 0 : (uint32_t)words_size;
	if (put(&head, sizeof head) < 0 || put(stat_text, head.stat_size) < 0 || put(words, head.words_size) < 0)
		return -1;
	return 0;
}

int
table_write(unsigned part, unsigned parts)
{
	const struct head end = { 0, 0, 0, 0 };
	DIR *all = opendir("/proc");
	const struct dirent *entry;
	int failed = all == NULL;

	while (!failed && (entry = readdir(all)) != NULL) {
		unsigned long pid;
		char *rest;

		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		pid = strtoul(entry->d_name, &rest, 10);
		if (*rest == '\0' && pid % parts == part && pid != (unsigned long)getpid())
			failed = put_process(entry->d_name, pid) < 0;
	}
	failed = failed || put(&end, sizeof end) < 0 || flush() < 0;
	if (all != NULL)
		(void)closedir(all);
	return failed ? 1 : 0;
}
