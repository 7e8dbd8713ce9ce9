/*
 * The parser of frames against changed frames. With clang's libFuzzer as it is;
 * with -DSTANDALONE a seeded generator of its own: fuzz SECONDS [SEED].
 */
#include "../src/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t memory[1 << 20];
	struct arena arena = { memory, sizeof memory, 0 };
	struct plan plan;
	struct reader r, body;
	uint16_t kind;
	/* A copy of exactly its size, so that one byte too far is seen. */
	uint8_t *copy = malloc(size > 0 ? size : 1);

	if (copy == NULL)
		return 0;
	if (size > 0)
		memcpy(copy, data, size);
	r = (struct reader){ copy, copy + size, false };
	while (rd_frame(&r, 65536, &kind, &body) == 1) {
		if (plan_parse(&body, &arena, &plan) < 0)
			continue;
		for (uint8_t i = 0; i < plan.nstages; i++) {
			for (char **s = plan.stages[i].argv; *s != NULL; s++)
				(void)strlen(*s);
			for (char **s = plan.stages[i].envp; *s != NULL; s++)
				(void)strlen(*s);
			(void)strlen(plan.stages[i].cwd);
		}
	}
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
sample(uint8_t *buf, size_t cap)
{
	struct writer w = { buf, 0, cap, false };
	uint32_t stages = 1 + next() % 3, pipes = next() % 4;
	size_t mark = wr_begin(&w, F_SPAWN);

	wr_u32(&w, 1 + next() % 9);
	wr_u64(&w, next());
	wr_u32(&w, 5000);
	wr_u32(&w, next() % 2);
	wr_u8(&w, 15);
	wr_u8(&w, (uint8_t)stages);
	wr_u16(&w, (uint16_t)pipes);
	for (uint32_t i = 0; i < pipes; i++) {
		wr_u8(&w, (uint8_t)(next() % 3));
		wr_u32(&w, 0);
	}
	for (uint32_t i = 0; i < stages; i++) {
		uint32_t n = next() % 5;

		wr_str(&w, "echo", 4);
		wr_u32(&w, n);
		for (uint32_t k = 0; k < n; k++)
			wr_str(&w, "argument", next() % 9);
		wr_u8(&w, i > 0 && next() % 2 == 0);
		if (buf[w.len - 1] == 0) {
			wr_u32(&w, 1);
			wr_str(&w, "PATH=/bin", 9);
		}
		wr_str(&w, "/tmp", next() % 5);
		for (int k = 0; k < 5; k++)
			wr_u32(&w, k == 0 ? next() % 32 : next());
		n = next() % 3;
		wr_u16(&w, (uint16_t)n);
		for (uint32_t k = 0; k < n; k++)
			wr_u32(&w, next());
		wr_u8(&w, 1);
		wr_u8(&w, (uint8_t)(next() % 16));
		wr_u64(&w, next());
		wr_u64(&w, next());
		n = next() % 4;
		wr_u16(&w, (uint16_t)n);
		for (uint32_t k = 0; k < n; k++) {
			uint8_t kind = (uint8_t)(next() % 6);

			wr_u32(&w, next() % 12);
			wr_u8(&w, kind);
			wr_u32(&w, next() % 4);
			if (kind == R_FILE)
				wr_str(&w, "/dev/null", 9);
		}
	}
	wr_end(&w, mark);
	return w.len;
}

int
main(int argc, char **argv)
{
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 10);
	uint8_t buf[8192];
	uint64_t runs = 0;

	state = argc > 2 ? (uint32_t)atoi(argv[2]) : 1u;
	if (state == 0)
		state = 1;
	while (time(NULL) < end) {
		for (int i = 0; i < 1000; i++, runs++) {
			size_t len = sample(buf, sizeof buf);
			uint32_t changes = next() % 6;

			for (uint32_t k = 0; k < changes; k++)
				buf[next() % len] = (uint8_t)(next() % 3 == 0 ? 255 : next());
			/* The length right, so that the body is reached, and now and then cut or wrong. */
			if (next() % 8 != 0) {
				uint32_t body = (uint32_t)(len - FRAME_HEADER);

				for (int k = 0; k < 4; k++)
					buf[k] = (uint8_t)(body >> (8 * k));
				buf[6] = buf[7] = 0;
			} else {
				len = next() % len;
			}
			(void)LLVMFuzzerTestOneInput(buf, len);
		}
	}
	printf("%llu frames, seed from %s\n", (unsigned long long)runs, argc > 2 ? argv[2] : "1");
	return 0;
}
#endif
