/* The controlling terminal: who has the foreground, and its modes. See tcsetpgrp(3), termios(3). */
#ifndef EP_TERM_H
#define EP_TERM_H

#include <stdbool.h>
#include <sys/types.h>
#include <termios.h>

/* The controlling terminal, or -1 where there is none. */
int term_open(void);
/* Whether pgid is the foreground group. */
bool term_has_foreground(int tty, pid_t pgid);
/* Makes pgid the foreground group and, where there are any, sets the modes. Never waits for the terminal. */
bool term_give(int tty, pid_t pgid, const struct termios *modes);

#endif
