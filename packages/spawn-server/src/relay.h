/* A job's pseudo-terminal, and the pipes that join it to the owner, who could not open its master through /proc. */
#ifndef EP_RELAY_H
#define EP_RELAY_H

#include "supervisor.h"

#include <poll.h>

#define RELAY_FDS 3

/*
 * Makes this process, which leads no group yet, the leader of a session with a
 * terminal of its own. Takes its pipes out of the setup. Returns the terminal,
 * at or above base, or -1 with errno set.
 */
int relay_open(struct supervisor_setup *setup, int base);
/* What to wait for; how many of p are set: none where there is no terminal, or no more. */
nfds_t relay_wants(struct pollfd p[RELAY_FDS]);
void relay_run(const struct pollfd p[RELAY_FDS]);
/* Returns 0 or an errno. */
int relay_resize(uint16_t columns, uint16_t rows);
/* From now on the output ends when nobody holds the terminal. */
void relay_stages_ended(void);
/* Nobody is left: hands all that was shown to the owner's pipe. */
void relay_end(void);

#endif
