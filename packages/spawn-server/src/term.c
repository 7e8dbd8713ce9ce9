#define _GNU_SOURCE
#include "term.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
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
term_give(int tty, pid_t job, pid_t pgid, const struct termios *modes)
{
	pid_t now = tty < 0 ? -1 : tcgetpgrp(tty);

	if (now < 0)
		return false;
	/* SIGTTOU, which a background group gets for either call, is blocked since the server began. */
	if (now != job && now != pgid && (kill(-now, 0) == 0 || errno != ESRCH))
		return false;
	if (now != pgid && tcsetpgrp(tty, pgid) < 0)
		return false;
	if (modes != NULL)
		(void)tcsetattr(tty, TCSADRAIN, modes);
	return true;
}
