/* The greeting: what the owner asks for, and what there is. */
#define _GNU_SOURCE
#include "server.h"

#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { HELLO_CGROUP = 1, HELLO_BY_PARENT = 2 };
enum { FEATURE_CHILDREN = 1, FEATURE_CGROUP = 2 };

static int
make_hello_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC) < 0) {
		ends[0] = ends[1] = -1;
		return -1;
	}
	return 0;
}

void
welcome(struct reader *r)
{
	uint8_t nonce[16];
	int probe[2], done[2];
	uint32_t version = rd_u32(r), flags, features;
	size_t mark;

	server.kill_ms = rd_u32(r);
	server.slack_ms = rd_u32(r);
	flags = rd_u32(r);
	if (!rd_done(r) || flags > (HELLO_CGROUP | HELLO_BY_PARENT) || server.kill_ms == 0 || server.kill_ms > 600000 || server.slack_ms > 600000) {
		die_soon("malformed HELLO");
		return;
	}
	if (version != EP_VERSION) {
		die_soon("the owner speaks another version of the protocol");
		return;
	}
	if (make_hello_pipe(probe) < 0 || make_hello_pipe(done) < 0
		|| getrandom(nonce, sizeof nonce, 0) != (ssize_t)sizeof nonce
		|| write(probe[1], nonce, sizeof nonce) != (ssize_t)sizeof nonce) {
		die_soon("cannot make the first pipes");
		return;
	}
	(void)close(probe[1]);
	server.hello_ends[0] = probe[0];
	server.hello_ends[1] = done[0];
	server.done = done[1];
	features = proc_probe_children((flags & HELLO_BY_PARENT) == 0) ? FEATURE_CHILDREN : 0;
	if ((flags & HELLO_CGROUP) != 0)
		server.cgroup = cgroup_make(server.cgroup_path, sizeof server.cgroup_path);
	if (server.cgroup >= 0)
		features |= FEATURE_CGROUP;
	server.greeted = true;
	mark = wr_begin(&server.out, F_WELCOME);
	wr_u32(&server.out, EP_VERSION);
	wr_u32(&server.out, (uint32_t)getpid());
	wr_u32(&server.out, features);
	wr_u32(&server.out, (uint32_t)probe[0]);
	wr_u32(&server.out, (uint32_t)done[0]);
	wr_bytes(&server.out, nonce, sizeof nonce);
	wr_str(&server.out, server.cgroup_path, strlen(server.cgroup_path));
	wr_end(&server.out, mark);
}
