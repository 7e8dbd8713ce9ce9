#define _GNU_SOURCE
#include "clock.h"

#include <time.h>

static uint64_t
read_ms(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t) < 0)
		return 0;
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

uint64_t
now_ms(void)
{
	return read_ms(CLOCK_MONOTONIC);
}

uint64_t
boot_ms(void)
{
	return read_ms(CLOCK_BOOTTIME);
}

uint64_t
later(uint64_t at, uint64_t ms)
{
	if (ms > DEADLINE_MAX || at > 2 * DEADLINE_MAX)
		return 2 * DEADLINE_MAX;
	return at + ms;
}
