/* The clocks that bounds and deadlines run on, in ms. See clock_gettime(2). */
#ifndef EP_CLOCK_H
#define EP_CLOCK_H

#include <stdint.h>

#define DEADLINE_MAX (UINT64_C(1) << 50) /* ms: a time after which nobody asks, and sums of it fit */

/* CLOCK_MONOTONIC: bounds. Stands still while the machine sleeps. */
uint64_t now_ms(void);
/* CLOCK_BOOTTIME: deadlines. Goes on while it sleeps. */
uint64_t boot_ms(void);
/* at + ms, and no later than never. */
uint64_t later(uint64_t at, uint64_t ms);

#endif
