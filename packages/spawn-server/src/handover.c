#define _GNU_SOURCE
#include "handover.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define HEAD_SIZE (FRAME_HEADER + 12u) /* u32 place, u64 deadline; the body of SPAWN follows */
#define MOST_PIPES 64
#define MOST_FDS (2 * MOST_PIPES + 3) /* below SCM_MAX_FD, see unix(7) */

union control {
	struct cmsghdr align;
	char space[CMSG_SPACE(MOST_FDS * sizeof(int))];
};

bool
handover_suits(const struct plan *plan, size_t body_len)
{
	return (plan->flags & (JOB_FOREGROUND | JOB_TERMINAL)) == 0 && plan->npipes <= MOST_PIPES && body_len <= PACKET_MAX - HEAD_SIZE;
}

int
handover_give(int socket, const struct supervisor_setup *setup, uint32_t place, const uint8_t *body, size_t len)
{
	uint8_t head[HEAD_SIZE];
	struct writer w = { head, 0, sizeof head, false };
	struct iovec iov[2] = { { head, sizeof head }, { (void *)(uintptr_t)body, len } };
	union control control;
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };
	int fds[MOST_FDS];
	size_t n = 0;
	ssize_t sent;

	for (uint16_t i = 0; i < setup->plan->npipes; i++) {
		if (setup->read_end[i] >= 0)
			fds[n++] = setup->read_end[i];
		if (setup->write_end[i] >= 0)
			fds[n++] = setup->write_end[i];
	}
	if (plan_inherits(setup->plan)) {
		for (int fd = 0; fd <= 2; fd++)
			fds[n++] = fd;
	}
	wr_u32(&w, (uint32_t)(sizeof head - FRAME_HEADER + len));
	wr_u16(&w, F_RUN);
	wr_u16(&w, 0);
	wr_u32(&w, place);
	wr_u64(&w, setup->deadline_at_ms);
	if (n > 0) {
		struct cmsghdr *c = &control.align;

		memset(&control, 0, sizeof control);
		message.msg_control = control.space;
		message.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	do
		sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -1 : 0;
}

/* One packet and what came with it. Returns its length, 0 at the end of the lifeline, -1 where there is none or it was cut. */
static ssize_t
take_packet(int socket, uint8_t *buf, size_t cap, int *fds, size_t *nfds)
{
	struct iovec iov = { buf, cap };
	union control control;
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space,
		.msg_controllen = sizeof control.space };
	ssize_t n;

	*nfds = 0;
	do
		n = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || count > MOST_FDS - *nfds)
			continue;
		memcpy(fds + *nfds, CMSG_DATA(c), count * sizeof(int));
		*nfds += count;
	}
	if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0)
		return n;
	/* Too few descriptors left for them, say: the job is lost, and so are we. */
	return 0;
}

/* Puts the descriptors where a forked supervisor would have them. */
static int
place_fds(struct supervisor_setup *setup, const int *fds, size_t n)
{
	const struct plan *plan = setup->plan;
	size_t used = 0;

	for (uint16_t i = 0; i < plan->npipes; i++) {
		setup->read_end[i] = setup->write_end[i] = -1;
		if (plan->pipes[i].owner != 1)
			setup->read_end[i] = used < n ? fds[used++] : -1;
		if (plan->pipes[i].owner != 2)
			setup->write_end[i] = used < n ? fds[used++] : -1;
	}
	if (plan_inherits(plan)) {
		for (int fd = 0; fd <= 2 && used < n; fd++, used++) {
			if (dup2(fds[used], fd) < 0)
				return -1;
			(void)close(fds[used]);
		}
	}
	return used == n ? 0 : -1;
}

int
handover_take(struct supervisor_setup *setup)
{
	static uint8_t packet[PACKET_MAX]; /* the plan points into it */
	static struct plan plan;
	struct pollfd p = { setup->socket, POLLIN, 0 };

	/* For who looks at the process table. */
	(void)prctl(PR_SET_NAME, PARKED_NAME);
	for (;;) {
		int fds[MOST_FDS];
		struct reader r, body;
		uint16_t kind = 0;
		uint32_t place;
		size_t nfds;
		ssize_t n;

		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			return -1;
		n = take_packet(setup->socket, packet, sizeof packet, fds, &nfds);
		if (n < 0 && (errno == EAGAIN || errno == ECONNRESET))
			continue;
		if (n <= 0)
			return -1;
		r = (struct reader){ packet, packet + n, false };
		/* What else comes was about the last job, and crossed its EMPTY. */
		if (rd_frame(&r, sizeof packet, &kind, &body) != 1 || kind != F_RUN)
			continue;
		place = rd_u32(&body);
		setup->deadline_at_ms = rd_u64(&body);
		if (place >= MAX_JOBS || plan_parse(&body, setup->arena, &plan) < 0)
			return -1;
		setup->plan = &plan;
		setup->slot = &setup->slots[place];
		setup->null_fd = fcntl(0, F_DUPFD_CLOEXEC, 3);
		if (setup->null_fd < 0 || place_fds(setup, fds, nfds) < 0)
			return -1;
		(void)prctl(PR_SET_NAME, SUPERVISOR_NAME);
		return 0;
	}
}
