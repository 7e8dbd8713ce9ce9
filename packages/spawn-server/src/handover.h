/*
 * A further job for a supervisor whose last one has ended by itself: neither a
 * process is forked for it, nor one ended after it.
 */
#ifndef EP_HANDOVER_H
#define EP_HANDOVER_H

#include "supervisor.h"

/* Whether the job can be handed over: it fits into one packet, and needs nothing that only a fork passes on. */
bool handover_suits(const struct plan *plan, size_t body_len);
/*
 * Sends the body of a SPAWN frame and the descriptors in setup. place is the
 * job's index, by which both know its slot. Returns 0, or -1 with errno.
 */
int handover_give(int socket, const struct supervisor_setup *setup, uint32_t place, const uint8_t *body, size_t len);
/* Waits for the next job, none of the foreground, and puts it into setup. Returns -1 when there will be none. */
int handover_take(struct supervisor_setup *setup);

#endif
