/* What a supervisor knows of its job, and what it says about it. */
#ifndef EP_REPORT_H
#define EP_REPORT_H

#include "supervisor.h"
#include "sweep.h"
#include "term.h"

enum phase { RUNNING, GRACE, KILLING, GIVEN_UP };

/* Of a stage that has ended, as against the end of the next one. */
enum turn { WHENEVER, BEFORE_NEXT, AFTER_NEXT };

struct waited {
	pid_t pid;
	int code; /* CLD_* */
	int status;
	bool ended;
	bool reported;
	bool stopped;
	enum turn turn; /* when its end is said, see wait_stage */
	struct rusage usage;
};

struct supervised {
	const struct plan *plan;
	struct slot *slot;
	struct tree tree;
	struct proclist own;
	struct writer out;
	enum phase phase;
	int socket; /* -1: the server is gone */
	int signals;
	int status;
	int stage_status; /* the other end, by the number that it has in a stage until its execve(2) */
	int deadline;
	uint64_t began; /* in clock ticks since boot, not before our start time, and before anybody's who gets our pid later */
	uint64_t deadline_at; /* CLOCK_BOOTTIME */
	uint64_t pending_at; /* the rest CLOCK_MONOTONIC, 0: not set */
	uint64_t pending_by; /* the latest, however busy the machine */
	uint64_t grace_at;
	uint64_t give_up_at;
	uint64_t round_at;
	uint64_t reap_at;
	uint32_t backoff;
	uint32_t kill_ms;
	uint8_t ended;
	bool over; /* it has ended by itself, and the supervisor takes another */
	bool begun; /* STARTED was sent */
	bool failed;
	bool away; /* it is to have the terminal, but the owner has it, or has it not either */
	bool has_modes; /* it has had the terminal: modes_of_job are as it left it */
	bool paused; /* the deadline: the owner is stopped together with the job */
	int tty; /* -1: not ours to give */
	pid_t owner_group;
	const struct proc *owner;
	uint64_t deadline_left; /* while paused */
	struct termios modes_before;
	struct termios modes_of_job;
	struct waited stages[MAX_STAGES];
};

extern struct supervised job;

/* Sends what has been said since; each wake-up of the supervisor ends with it, so one packet tells all. */
void flush(void);
void say(enum frame_kind kind);
void say_result(uint32_t token, int error);
void say_processes(enum frame_kind kind, uint32_t token);
void say_started(bool pending);
void say_failed(uint8_t stage, uint8_t step, int error, bool exists, const char *path, size_t len);
/*
 * Of all stages that have ended and are not reported, the last one first; but before its reader a writer that was found to have
 * died of SIGPIPE while that read on.
 */
void say_exits(void);
void say_stop(uint8_t index, int code, int status, bool terminal);
/* How much is left of the deadline; 0: it is paused. */
void say_paused(uint64_t left_ms);
/* Waits a little for a server that is behind. */
void make_room(void);
/* Before anything is said. */
void report_to(int socket);

/* supervisor.c: the end of a job. Begun once; after that it can only come sooner. */
void terminate(int signo, uint32_t grace_ms);
void kill_now(void);

/* commands.c: what the server asks for, and the end of the lifeline. */
void on_socket(void);

/* foreground.c: a job that has the terminal. */
/* A stage was stopped. Returns whether the owner has got the terminal for that, and is to stop as well. */
bool foreground_stopped(int signo);
void foreground_resume(void);
/* The owner is in the foreground, and the modes of now are kept for it. */
bool foreground_may_take(void);
void foreground_ended(void);
/* CLOCK_BOOTTIME in ms; 0: not at all. */
void arm_deadline(uint64_t at);

#endif
