#define _GNU_SOURCE
#include "term.h"

#include <fcntl.h>
#include <unistd.h>

int
term_open(void)
{
	return open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
}

bool
term_has_foreground(int tty, pid_t pgid)
{
	return tty >= 0 && tcgetpgrp(tty) == pgid;
}

bool
term_give(int tty, pid_t pgid, const struct termios *modes)
{
	/* SIGTTOU, which a background group gets for either call, is blocked since the server began. */
	if (tty < 0 || tcsetpgrp(tty, pgid) < 0)
		return false;
	/* At once: TCSADRAIN would wait for as long as somebody keeps the output stopped (Ctrl-S), and a deadline with it. */
	if (modes != NULL)
		(void)tcsetattr(tty, TCSANOW, modes);
	return true;
}
