#define _GNU_SOURCE
#include "relay.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#if !defined(TIOCGPTPEER)
#define TIOCGPTPEER _IO('T', 0x41) /* Linux 4.13 */
#endif

#define TYPED_MAX 4096u /* what a line of input can have at the most */
#define SHOWN_MAX (16u << 10)
#define GROWN_MAX (1u << 20) /* what pipe-max-size is where nobody changed it */
#define DRAIN_MS 100 /* for an owner that reads, where its pipe cannot be made larger */
#define DRAIN_ROUNDS 64 /* what a terminal and its pipe hold at the most; others than the job may write without end */

struct queue {
	uint8_t *buf;
	size_t at;
	size_t end;
};

/* Not touched, and so no memory, in a supervisor whose job has no terminal. */
static uint8_t typed_buf[TYPED_MAX + 2], shown_buf[SHOWN_MAX];

static struct {
	int master; /* -1: there is none, or no more */
	int terminal; /* held while a stage lives: without anybody who holds it, it would seem to have ended */
	int input; /* -1: nothing more will be typed */
	int output; /* -1: what is shown is dropped */
	struct queue typed; /* from the owner, for the job */
	struct queue shown;
	int last; /* what was typed last; -1: nothing was */
	bool ended; /* the terminal has nothing more to show */
} relay = { -1, -1, -1, -1, { typed_buf, 0, 0 }, { shown_buf, 0, 0 }, -1, false };

static void
end(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static bool
is_empty(const struct queue *q)
{
	return q->at == q->end;
}

static void
clear(struct queue *q)
{
	q->at = q->end = 0;
}

/* The other side of the master, from Linux 4.13 on also where /dev/pts is another one's. */
static int
open_terminal(int master)
{
	char path[32];
	int number, n, fd = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd >= 0 || (errno != ENOTTY && errno != EINVAL))
		return fd;
	if (ioctl(master, TIOCGPTN, &number) < 0)
		return -1;
	n = snprintf(path, sizeof path, "/dev/pts/%d", number);
	if (n < 0 || (size_t)n >= sizeof path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
}

static int
set_up(const struct plan *plan)
{
	const struct stage *leader = &plan->stages[0];
	struct termios modes;
	int resized = relay_resize(plan->terminal.columns, plan->terminal.rows);

	if (resized != 0) {
		errno = resized;
		return -1;
	}
	/* So that erasing a character erases all of its bytes; the rest is as the kernel gives it. */
	if (tcgetattr(relay.terminal, &modes) < 0)
		return -1;
	modes.c_iflag |= IUTF8;
	if (tcsetattr(relay.terminal, TCSANOW, &modes) < 0)
		return -1;
	/* As login(1) does: who is another user opens it by its name. */
	if ((leader->set & SET_UID) != 0 && fchown(relay.terminal, leader->uid, (gid_t)-1) < 0)
		return -1;
	return ioctl(relay.terminal, TIOCSCTTY, 0);
}

static int
take(int *end_of_pipe)
{
	int fd = *end_of_pipe, flags = fcntl(fd, F_GETFL);

	*end_of_pipe = -1;
	/* The owner's end is another description: nothing changes there. */
	if (flags >= 0)
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	return fd;
}

int
relay_open(struct supervisor_setup *setup, int base)
{
	const struct plan *plan = setup->plan;
	int unlocked = 0, fd, error;

	if (plan->terminal.input != NO_PIPE)
		relay.input = take(&setup->read_end[plan->terminal.input]);
	if (plan->terminal.output != NO_PIPE)
		relay.output = take(&setup->write_end[plan->terminal.output]);
	/*
	 * We lead the session and not the program, so that the job is a group in it as below a shell: its end hangs up
	 * nobody before it is known who was left, and its other stages are of the same session.
	 */
	if (setsid() < 0)
		return -1;
	relay.master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (relay.master < 0)
		return -1;
	if (ioctl(relay.master, TIOCSPTLCK, &unlocked) == 0)
		relay.terminal = open_terminal(relay.master);
	if (relay.terminal >= 0 && relay.terminal < base) {
		fd = fcntl(relay.terminal, F_DUPFD_CLOEXEC, base);
		error = errno;
		(void)close(relay.terminal);
		errno = error;
		relay.terminal = fd;
	}
	return relay.terminal < 0 || set_up(plan) < 0 ? -1 : relay.terminal;
}

int
relay_resize(uint16_t columns, uint16_t rows)
{
	struct winsize size = { .ws_row = rows, .ws_col = columns };

	if (relay.master < 0)
		return ENOTTY;
	/* The kernel tells the foreground group by SIGWINCH. */
	return ioctl(relay.master, TIOCSWINSZ, &size) < 0 ? errno : 0;
}

static void
end_input(void)
{
	end(&relay.input);
	clear(&relay.typed);
}

static void
end_terminal(void)
{
	end_input();
	end(&relay.output);
	clear(&relay.shown);
	end(&relay.terminal);
	end(&relay.master);
}

/* Nobody looks at the terminal any more: as when its window is closed. */
static void
hang_up(void)
{
	pid_t group = job.tree.pgid, foreground = tcgetpgrp(relay.master);

	/* Whoever is in the foreground is told by the kernel, which cannot take a number for another's. */
	if (relay.terminal < 0 || ioctl(relay.terminal, TIOCNOTTY) < 0)
		foreground = -1;
	/* As a shell is that has another job in the foreground. Our own group: its leader is kept. */
	if (group > 0 && group != foreground) {
		(void)kill(-group, SIGHUP);
		(void)kill(-group, SIGCONT);
	}
	end_terminal();
}

/* Returns whether there may be more. */
static bool
fill_shown(void)
{
	while (relay.shown.end < SHOWN_MAX) {
		ssize_t n = read(relay.master, relay.shown.buf + relay.shown.end, SHOWN_MAX - relay.shown.end);

		if (n > 0) {
			relay.shown.end += (size_t)n;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		/* EIO: nobody holds the terminal. After a pause there may be more otherwise. */
		if (n == 0 || errno != EAGAIN)
			relay.ended = true;
		return false;
	}
	return true;
}

/* Returns false when the pipe is full. */
static bool
write_shown(void)
{
	struct queue *q = &relay.shown;

	while (!is_empty(q) && relay.output >= 0) {
		ssize_t n = write(relay.output, q->buf + q->at, q->end - q->at);

		if (n >= 0) {
			q->at += (size_t)n;
		} else if (errno == EAGAIN) {
			return false;
		} else if (errno != EINTR) {
			/* EPIPE: its reader has gone. */
			hang_up();
			return true;
		}
	}
	clear(q);
	return true;
}

/* What was read is all written before more is read: the pipe is what holds a program back. */
static void
show(void)
{
	if (relay.master >= 0 && is_empty(&relay.shown) && !relay.ended)
		(void)fill_shown();
	if (write_shown() && relay.ended)
		end_terminal();
}

static void
type(void)
{
	struct queue *q = &relay.typed;

	while (!is_empty(q)) {
		ssize_t n = write(relay.master, q->buf + q->at, q->end - q->at);

		if (n >= 0) {
			q->at += (size_t)n;
		} else if (errno == EAGAIN) {
			return;
		} else if (errno != EINTR) {
			end_input();
			return;
		}
	}
	clear(q);
}

/*
 * The end of the owner's input is typed as a person does it: once at the
 * beginning of a line, else twice, as the first one only hands over what there is.
 */
static void
type_end(void)
{
	struct termios modes;
	uint8_t key;
	bool begun;

	if (tcgetattr(relay.master, &modes) < 0)
		return;
	key = modes.c_cc[VEOF];
	if (key == _POSIX_VDISABLE)
		return;
	begun = relay.last >= 0 && relay.last != '\n' && relay.last != '\r' && relay.last != key;
	relay.typed.buf[relay.typed.end++] = key;
	if ((modes.c_lflag & ICANON) != 0 && begun)
		relay.typed.buf[relay.typed.end++] = key;
}

static void
fill_typed(void)
{
	struct queue *q = &relay.typed;
	ssize_t n;

	do
		n = read(relay.input, q->buf, TYPED_MAX);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0) {
		q->end = (size_t)n;
		relay.last = q->buf[n - 1];
	} else {
		end(&relay.input);
		type_end();
	}
	type();
}

nfds_t
relay_wants(struct pollfd p[RELAY_FDS])
{
	short wanted = 0;

	if (relay.master < 0)
		return 0;
	if (!is_empty(&relay.typed))
		wanted |= POLLOUT;
	if (is_empty(&relay.shown))
		wanted |= POLLIN;
	/* POLLHUP comes unasked: only who is about to read what is left may hear of it again and again. */
	p[0] = (struct pollfd){ wanted == 0 ? -1 : relay.master, wanted, 0 };
	p[1] = (struct pollfd){ is_empty(&relay.typed) ? relay.input : -1, POLLIN, 0 };
	p[2] = (struct pollfd){ is_empty(&relay.shown) ? -1 : relay.output, POLLOUT, 0 };
	return RELAY_FDS;
}

void
relay_run(const struct pollfd p[RELAY_FDS])
{
	/* Nobody holds the terminal, so nobody will read what is typed. */
	if ((p[0].revents & POLLHUP) != 0)
		end_input();
	if (p[1].revents != 0 && relay.input >= 0)
		fill_typed();
	else if ((p[0].revents & POLLOUT) != 0)
		type();
	if (p[2].revents != 0 || (p[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
		show();
}

void
relay_stages_ended(void)
{
	end(&relay.terminal);
}

static bool
grow(void)
{
	int size = fcntl(relay.output, F_GETPIPE_SZ);

	return size > 0 && size < (int)GROWN_MAX && fcntl(relay.output, F_SETPIPE_SZ, 2 * size) > size;
}

void
relay_end(void)
{
	int rounds = 0;
	bool waited = false;

	end_input();
	end(&relay.terminal);
	/* It is the pipe that keeps what a slow reader has not taken, and we are about to go: where it is full it is made larger. */
	while (relay.master >= 0 && rounds++ < DRAIN_ROUNDS) {
		bool more = !relay.ended && (!is_empty(&relay.shown) || fill_shown());

		if (!write_shown() && !grow()) {
			struct pollfd p = { relay.output, POLLOUT, 0 };

			if (waited || poll(&p, 1, DRAIN_MS) <= 0)
				break;
			waited = true;
		}
		if (!more && is_empty(&relay.shown))
			break;
	}
	end_terminal();
}
