/* The terminal's foreground group and modes. See tcsetpgrp(3), termios(3). */
#ifndef EP_TERM_H
#define EP_TERM_H

#include <stdbool.h>
#include <sys/types.h>
#include <termios.h>

/* The controlling terminal, or -1. */
int term_open(void);
bool term_has_foreground(int tty, pid_t pgid);
/*
 * Gives the terminal from a job to pgid and sets the modes, if any. Only while the foreground is
 * still the job's or nobody's: who else has taken it keeps it. Returns whether it was given.
 */
bool term_give(int tty, pid_t job, pid_t pgid, const struct termios *modes);

#endif
