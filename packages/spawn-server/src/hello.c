/* The greeting: what the owner asks for, and what there is. */
#define _GNU_SOURCE
#include "server.h"

#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { HELLO_CGROUP = 1, HELLO_FIFOS = 2, HELLO_BY_PARENT = 4 };
enum { FEATURE_CHILDREN = 1, FEATURE_CGROUP = 2 };

void
welcome(struct reader *r)
{
	uint8_t nonce[16];
	const char *fifos = NULL;
	int probe[2], done[2];
	uint32_t version = rd_u32(r), flags, features;
	bool good;
	size_t mark;

	server.kill_ms = rd_u32(r);
	server.slack_ms = rd_u32(r);
	flags = rd_u32(r);
	if ((flags & HELLO_FIFOS) != 0)
		fifos = rd_str(r);
	good = rd_done(r) && flags <= (HELLO_CGROUP | HELLO_FIFOS | HELLO_BY_PARENT);
	good = good && server.kill_ms > 0 && server.kill_ms <= 600000 && server.slack_ms <= 600000;
	if (!good || (fifos != NULL && pipes_in(fifos) < 0)) {
		die_soon("malformed HELLO");
		return;
	}
	if (version != EP_VERSION) {
		die_soon("the owner speaks another version of the protocol");
		return;
	}
	if (end_make(probe, 0, &server.hello_ends[0]) < 0 || end_make(done, 0, &server.hello_ends[1]) < 0
		|| getrandom(nonce, sizeof nonce, 0) != (ssize_t)sizeof nonce
		|| write(probe[1], nonce, sizeof nonce) != (ssize_t)sizeof nonce) {
		die_soon("cannot make the first pipes");
		return;
	}
	(void)close(probe[1]);
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
	wr_u32(&server.out, server.hello_ends[0].number);
	wr_u32(&server.out, server.hello_ends[1].number);
	wr_bytes(&server.out, nonce, sizeof nonce);
	wr_str(&server.out, server.cgroup_path, strlen(server.cgroup_path));
	wr_end(&server.out, mark);
}
