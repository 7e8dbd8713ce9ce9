/*
 * The parsers of frames against changed frames: the owner's requests and what a supervisor says. With clang's libFuzzer as
 * it is; with -DSTANDALONE a seeded generator of its own: fuzz SECONDS [SEED].
 */
#include "../src/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct server server;

/* What said.c needs of the server. */
void
job_expect(struct job *job, uint64_t within_ms)
{
	job->watch_at = within_ms;
}

static void
owner_frames(struct reader r)
{
	static uint8_t memory[1 << 20];
	struct arena arena = { memory, sizeof memory, 0 };
	static struct plan plan;
	struct reader body;
	uint16_t kind;

	while (rd_frame(&r, 65536, &kind, &body) == 1) {
		if (plan_parse(&body, &arena, &plan) < 0)
			continue;
		if (plan.terminal.input != NO_PIPE && plan.pipes[plan.terminal.input].owner != 2)
			abort();
		if (plan.terminal.output != NO_PIPE && plan.pipes[plan.terminal.output].owner != 1)
			abort();
		for (uint8_t i = 0; i < plan.nstages; i++) {
			for (char **s = plan.stages[i].argv; *s != NULL; s++)
				(void)strlen(*s);
			for (char **s = plan.stages[i].envp; *s != NULL; s++)
				(void)strlen(*s);
			(void)strlen(plan.stages[i].cwd);
			for (uint16_t k = 0; k < plan.stages[i].nredirects; k++) {
				const struct redirect *d = &plan.stages[i].redirects[k];

				if (d->kind == R_FILE)
					(void)strlen(d->path);
				if ((d->kind == R_READ || d->kind == R_WRITE) && d->arg >= plan.npipes)
					abort();
				/* The relay has these to itself, and whoever names the terminal has one. */
				if ((d->kind == R_READ && d->arg == plan.terminal.input) || (d->kind == R_WRITE && d->arg == plan.terminal.output))
					abort();
				if (d->kind == R_TERMINAL && (plan.flags & JOB_TERMINAL) == 0)
					abort();
			}
		}
	}
}

static void
supervisor_frames(struct reader r)
{
	struct job job = { .id = 1, .state = JOB_LIVE, .nstages = 3, .foreground = true };
	struct reader body;
	uint16_t kind;

	server.kill_ms = 1000;
	server.slack_ms = 250;
	while (rd_frame(&r, PACKET_MAX, &kind, &body) == 1 && said_is_good(&job, kind, &body)) {
		(void)said_may_be_dropped(kind, r.p);
		/* Nothing that the owner is not to get, and no stage that is not there. */
		if (kind < F_WELCOME || kind == F_PIPES || kind == F_LOST || job.exited >> job.nstages != 0)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of exactly its size, so that one byte too far is seen. */
	uint8_t *copy;
	struct reader r;

	if (size == 0)
		return 0;
	copy = malloc(size);
	if (copy == NULL)
		return 0;
	memcpy(copy, data, size);
	r = (struct reader){ copy + 1, copy + size, false };
	if (copy[0] % 2 == 0)
		owner_frames(r);
	else
		supervisor_frames(r);
	free(copy);
	return 0;
}

#ifdef STANDALONE
static uint32_t state;

static uint32_t
next(void)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

static size_t
sample_request(struct writer *w)
{
	uint32_t stages = 1 + next() % 3, pipes = next() % 4, flags = next() % 3;
	size_t mark = wr_begin(w, F_SPAWN);

	wr_u32(w, 1 + next() % 9);
	wr_u64(w, next());
	wr_u32(w, 5000);
	wr_u32(w, flags);
	wr_u8(w, 15);
	wr_u8(w, (uint8_t)stages);
	wr_u16(w, (uint16_t)pipes);
	for (uint32_t i = 0; i < pipes; i++) {
		wr_u8(w, (uint8_t)(next() % 3));
		wr_u32(w, 0);
	}
	if (flags == JOB_TERMINAL) {
		wr_u16(w, 80);
		wr_u16(w, (uint16_t)(next() % 50));
		for (int k = 0; k < 2; k++)
			wr_u16(w, next() % 2 == 0 ? NO_PIPE : (uint16_t)(next() % 4));
	}
	for (uint32_t i = 0; i < stages; i++) {
		uint32_t n = next() % 5;

		wr_str(w, "echo", 4);
		wr_u32(w, n);
		for (uint32_t k = 0; k < n; k++)
			wr_str(w, "argument", next() % 9);
		wr_u8(w, i > 0 && next() % 2 == 0);
		if (w->buf[w->len - 1] == 0) {
			wr_u32(w, 1);
			wr_str(w, "PATH=/bin", 9);
		}
		wr_str(w, "/tmp", next() % 5);
		for (int k = 0; k < 5; k++)
			wr_u32(w, k == 0 ? next() % 32 : next());
		n = next() % 3;
		wr_u16(w, (uint16_t)n);
		for (uint32_t k = 0; k < n; k++)
			wr_u32(w, next());
		wr_u8(w, 1);
		wr_u8(w, (uint8_t)(next() % 16));
		wr_u64(w, next());
		wr_u64(w, next());
		n = next() % 4;
		wr_u16(w, (uint16_t)n);
		for (uint32_t k = 0; k < n; k++) {
			uint8_t kind = (uint8_t)(next() % 7);

			wr_u32(w, next() % 12);
			wr_u8(w, kind);
			wr_u32(w, next() % 4);
			if (kind == R_FILE)
				wr_str(w, "/dev/null", 9);
		}
	}
	wr_end(w, mark);
	return mark;
}

static void
sample_rows(struct writer *w)
{
	uint32_t n = next() % 4;

	wr_u32(w, 0);
	wr_u8(w, 1);
	wr_u16(w, (uint16_t)n);
	for (uint32_t i = 0; i < n; i++) {
		for (int k = 0; k < 4; k++)
			wr_u32(w, next());
		wr_u16(w, 'R');
		for (int k = 0; k < 3; k++)
			wr_u64(w, next());
		wr_str(w, "sleep 100", next() % 10);
	}
}

/* One of what a supervisor says; returns where it begins. */
static size_t
sample_said(struct writer *w)
{
	static const uint16_t kinds[] = { F_STARTED, F_FAILED, F_EXIT, F_STOPPED, F_CONTINUED, F_DEADLINE, F_LEFT, F_EMPTY,
		F_UNKILLABLE, F_PROCESSES, F_RESULT, F_TERMINATING, F_PAUSED };
	enum frame_kind kind = kinds[next() % (sizeof kinds / sizeof *kinds)];
	size_t mark = wr_begin(w, kind);

	wr_u32(w, 1);
	switch (kind) {
	case F_STARTED:
		wr_u32(w, next());
		wr_u64(w, next());
		wr_u8(w, 0);
		wr_u8(w, 3);
		for (int i = 0; i < 3; i++)
			wr_u32(w, next());
		break;
	case F_FAILED:
		wr_u8(w, (uint8_t)(next() % 3));
		wr_u8(w, STEP_EXEC);
		wr_u32(w, 2);
		wr_u8(w, 0);
		wr_str(w, "/nonexistent", next() % 13);
		break;
	case F_EXIT:
		wr_u8(w, (uint8_t)(next() % 3));
		wr_u16(w, 0);
		wr_u32(w, next() % 256);
		for (int i = 0; i < 7; i++)
			wr_u64(w, next());
		break;
	case F_STOPPED:
	case F_CONTINUED:
		wr_u8(w, (uint8_t)(next() % 3));
		wr_u32(w, 20);
		wr_u8(w, (uint8_t)(next() % 2));
		break;
	case F_LEFT:
	case F_UNKILLABLE:
	case F_PROCESSES:
		sample_rows(w);
		break;
	case F_RESULT:
		wr_u64(w, next());
		break;
	case F_PAUSED:
		wr_u64(w, next() % 3);
		break;
	default:
		break;
	}
	wr_end(w, mark);
	return mark;
}

int
main(int argc, char **argv)
{
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 60);
	uint8_t buf[8192];
	uint64_t runs[2] = { 0, 0 };

	state = argc > 2 ? (uint32_t)atoi(argv[2]) : 1u;
	if (state == 0)
		state = 1;
	while (time(NULL) < end) {
		for (int i = 0; i < 1000; i++) {
			struct writer w = { buf, 0, sizeof buf, false };
			uint32_t changes = next() % 6, said = next() % 2, frames = said == 0 ? 1 : 1 + next() % 4;
			size_t mark = 0, len;

			wr_u8(&w, (uint8_t)said);
			while (frames-- > 0)
				mark = said == 0 ? sample_request(&w) : sample_said(&w);
			len = w.len;
			for (uint32_t k = 0; k < changes; k++)
				buf[1 + next() % (len - 1)] = (uint8_t)(next() % 3 == 0 ? 255 : next());
			/* The last one's length right, so that its body is reached, and now and then cut or wrong. */
			if (next() % 8 != 0) {
				uint32_t body = (uint32_t)(len - mark - FRAME_HEADER);

				for (int k = 0; k < 4; k++)
					buf[mark + (size_t)k] = (uint8_t)(body >> (8 * k));
				buf[mark + 6] = buf[mark + 7] = 0;
			} else {
				len = 1 + next() % len;
			}
			(void)LLVMFuzzerTestOneInput(buf, len);
			runs[said]++;
		}
	}
	printf("%llu requests, %llu packets of supervisors, seed %s: no finding\n", (unsigned long long)runs[0],
		(unsigned long long)runs[1], argc > 2 ? argv[2] : "1");
	return 0;
}
#endif
