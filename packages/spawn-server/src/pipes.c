#define _GNU_SOURCE
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096u
#define BETWEEN (256u << 10) /* a pipe between stages: nobody is there who could find it full, and see that it pays */

/* Where the owner cannot reach our descriptors: "" if it can. */
static char directory[FIFO_DIRECTORY_MAX];
static uint32_t next_fifo;

/* Bytes beyond the default that pipes were grown by, and how many that may be. */
static uint64_t grown, allowance;

static int
fifo_path(char *path, size_t cap, uint32_t number)
{
	int n = snprintf(path, cap, "%s/%u", directory, (unsigned)number);

	return n > 0 && (size_t)n < cap ? 0 : -1;
}

int
pipes_in(const char *path)
{
	if (path[0] != '/' || strlen(path) >= sizeof directory)
		return -1;
	memcpy(directory, path, strlen(path) + 1);
	return 0;
}

static void
fifo_unlink(uint32_t number)
{
	char path[FIFO_DIRECTORY_MAX + 16];

	if (fifo_path(path, sizeof path, number) == 0)
		(void)unlink(path);
}

/*
 * A pipe with a name. The reading end is opened first and without waiting, so
 * that the writing one finds a reader; from then on both are as pipe2(2) gives them.
 */
static int
fifo_make(int fd[2], uint32_t number)
{
	char path[FIFO_DIRECTORY_MAX + 16];
	int saved;

	if (fifo_path(path, sizeof path, number) < 0 || mkfifo(path, 0600) < 0)
		return -1;
	fd[0] = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	fd[1] = fd[0] < 0 ? -1 : open(path, O_WRONLY | O_CLOEXEC);
	if (fd[1] >= 0 && fcntl(fd[0], F_SETFL, 0) == 0)
		return 0;
	saved = errno;
	if (fd[1] >= 0)
		(void)close(fd[1]);
	if (fd[0] >= 0)
		(void)close(fd[0]);
	(void)unlink(path);
	errno = saved;
	return -1;
}

int
end_make(int fd[2], int side, struct owner_end *end)
{
	struct stat st;

	*end = (struct owner_end){ .fd = -1, .other = -1 };
	fd[0] = fd[1] = -1;
	if (directory[0] == '\0') {
		if (pipe2(fd, O_CLOEXEC) < 0)
			return -1;
		end->number = (uint32_t)fd[side];
	} else {
		if (fifo_make(fd, next_fifo) < 0)
			return -1;
		end->other = fcntl(fd[1 - side], F_DUPFD_CLOEXEC, 3);
		if (end->other < 0) {
			int saved = errno;

			(void)close(fd[0]);
			(void)close(fd[1]);
			fifo_unlink(next_fifo);
			errno = saved;
			return -1;
		}
		end->number = next_fifo++;
	}
	end->fd = fd[side];
	/* By it the pipe is known again, see end_grow. */
	end->inode = fstat(end->fd, &st) == 0 ? st.st_ino : 0;
	return 0;
}

void
end_close(struct owner_end *end)
{
	if (end->fd < 0)
		return;
	(void)close(end->fd);
	end->fd = -1;
	if (end->other < 0)
		return;
	(void)close(end->other);
	end->other = -1;
	fifo_unlink(end->number);
}

/*
 * Half of what the kernel allows a user before it gives new pipes two pages each: programs that are none of ours draw
 * on the same. 0 there means no bound.
 */
static uint64_t
find_allowance(void)
{
	char text[32];
	ssize_t n = proc_read("/proc/sys/fs/pipe-user-pages-soft", text, sizeof text - 1);
	unsigned long long pages = 16384;

	if (n > 0) {
		text[n] = '\0';
		pages = strtoull(text, NULL, 10);
	}
	return pages == 0 || pages > UINT32_MAX ? UINT64_MAX : (uint64_t)pages * PAGE / 2;
}

/* Within the allowance. Returns 0 or an errno. */
static int
grow(struct job *job, int fd, uint32_t size)
{
	int now = fcntl(fd, F_GETPIPE_SZ);
	uint64_t more;

	if (allowance == 0)
		allowance = find_allowance();
	if (now < 0)
		return errno;
	if ((uint32_t)now >= size)
		return 0;
	more = size - (uint32_t)now;
	if (grown > allowance || more > allowance - grown)
		return EPERM;
	if (fcntl(fd, F_SETPIPE_SZ, (int)size) < 0)
		return errno;
	grown += more;
	job->grown += more;
	return 0;
}

void
between_grow(struct job *job, int fd)
{
	(void)grow(job, fd, BETWEEN);
}

/*
 * F_SETPIPE_SZ wants a descriptor of the pipe and ours are closed by now, so the
 * owner's is opened again for a moment. Its number may have been given to
 * something else meanwhile: only the pipe that we made is touched.
 */
int
end_grow(struct job *job, uint16_t which, uint32_t descriptor, uint32_t size)
{
	char path[48];
	struct stat st;
	int fd, error, n;

	if (which >= job->nmade || job->ends[which].inode == 0)
		return EINVAL;
	n = snprintf(path, sizeof path, "/proc/%ld/fd/%u", (long)getppid(), (unsigned)descriptor);
	if (n < 0 || (size_t)n >= sizeof path)
		return EINVAL;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno;
	if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode) || st.st_ino != job->ends[which].inode)
		error = EBADF;
	else
		error = grow(job, fd, size);
	(void)close(fd);
	return error;
}

void
job_shrunk(struct job *job)
{
	grown -= job->grown;
	job->grown = 0;
}

void
pipes_end(void)
{
	if (directory[0] != '\0')
		(void)rmdir(directory);
}
