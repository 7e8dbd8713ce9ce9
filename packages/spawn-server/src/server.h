/* The process that forks on behalf of the owner. */
#ifndef EP_SERVER_H
#define EP_SERVER_H

#include "plan.h"
#include "supervisor.h"
#include "sweep.h"
#include "term.h"

#define SERVER_NAME "ep-server"
#define MAX_OWNER_ENDS 96
#define SPARE 3
#define FIFO_DIRECTORY_MAX 256
#define PIPE_SIZE_MAX (1u << 30)

/* What an event of epoll(7) is about. */
#define ON_CONTROL UINT64_C(0)
#define ON_SIGNALS UINT64_C(1)
#define ON_JOBS UINT64_C(2) /* and the job's index */
#define ON_PARKED (UINT64_C(1) << 32) /* and the supervisor's pid */

enum job_state { JOB_FREE = 0, JOB_LIVE, JOB_DONE };

enum lost_reason { LOST_DIED = 1, LOST_HUNG = 2 };

/* An end of a pipe that is the owner's, held until it says that it has opened it. */
struct owner_end {
	uint64_t inode;
	uint32_t number; /* by which the owner finds it: our descriptor, or the name of a FIFO */
	int fd; /* -1: closed */
	int other; /* of a FIFO, the other end: one that is opened when nobody has that fails or never tells its end */
};

struct job {
	uint64_t exited; /* a bit for each stage whose end was reported */
	uint64_t deadline_at; /* CLOCK_BOOTTIME ms; 0: none */
	uint64_t watch_at; /* CLOCK_MONOTONIC ms: when the supervisor must have said something; 0: no need */
	uint64_t lost_at; /* CLOCK_MONOTONIC ms */
	struct slot *slot;
	uint32_t id;
	uint32_t grace_ms;
	uint64_t cpu; /* the supervisor's, when it was nudged */
	pid_t supervisor; /* 0: reaped */
	int socket; /* -1: closed */
	uint8_t state; /* enum job_state: done is when EMPTY was passed on */
	uint8_t nstages;
	uint8_t lost; /* enum lost_reason */
	bool begun;
	uint8_t nudged; /* how often it was late and has been sent SIGCONT */
	bool terminating;
	bool foreground; /* it has, or had, the terminal */
	bool paused; /* its deadline: stopped from the terminal, together with the owner */
	bool given_up; /* it reported what it could not kill */
	bool held; /* the owner has not opened its ends yet */
	uint16_t nmade; /* of ends */
	uint64_t grown; /* bytes, see end_grow */
	struct owner_end *ends; /* MAX_OWNER_ENDS; apart, as jobs are searched through by id */
};

struct server {
	struct writer out; /* to the owner */
	struct job *jobs;
	struct owner_end *ends; /* of all jobs */
	struct slot *slots;
	struct arena *arena; /* of the plan that is being started */
	uint32_t njobs; /* jobs in use are below this index */
	uint32_t live; /* not JOB_FREE */
	struct tree orphans;
	uint64_t orphans_since; /* CLOCK_MONOTONIC ms of the latest loss; 0: there are none */
	uint64_t round_at;
	uint64_t round_until;
	uint64_t watch_at; /* the earliest of all jobs' */
	uint32_t backoff;
	uint32_t kill_ms;
	uint32_t slack_ms;
	int control; /* -1: the owner is gone */
	int epoll;
	int signals;
	int null_fd;
	int spare[SPARE]; /* so that /proc can be read when jobs have used up all descriptors */
	int cgroup; /* directory that supervisors are cloned into; -1: none */
	int tty; /* the controlling terminal, opened for the first job that wants it; -1: not yet or none */
	struct proc owner; /* its pid and start time */
	pid_t owner_group;
	struct termios modes; /* before the latest job in the foreground */
	bool has_modes;
	int done; /* writing end of the pipe that every supervisor holds */
	struct owner_end hello_ends[2]; /* probe and done pipe, until the owner has opened them */
	bool greeted;
	bool reap_again; /* children that have ended may be left to be waited for */
	bool raised;
	struct rlimit open_files; /* as inherited */
	char cgroup_path[512];
};

extern struct server server;

/* jobs.c */
struct job *job_find(uint32_t id);
/* body is that of the SPAWN frame which the plan is of. */
void job_start(struct plan *plan, const uint8_t *body, size_t len);
void job_opened(struct job *job);
int job_command(struct job *job, const uint8_t *frame, size_t len);
void job_keep_modes(const struct job *job);
void job_expect(struct job *job, uint64_t within_ms);
void job_on_socket(uint32_t index, bool all);
void job_free_if_over(struct job *job);
/* parked.c: supervisors whose job has ended by itself, kept for another one */
/* Takes the job's supervisor, unless there are enough. */
bool parked_add(struct job *job);
/* Hands the job to one. Returns false when a supervisor must be forked. */
bool parked_take(struct job *job, const struct supervisor_setup *setup, const uint8_t *body, size_t len);
void parked_on_socket(pid_t pid);
bool parked_has(pid_t pid);
/* Into an array that has room for MAX_JOBS besides. */
size_t parked_pids(pid_t *pids);
/* It is dead, or has a job again. Returns whether it was parked. */
bool parked_ended(pid_t pid);
void parked_end_all(void);
/* pipes.c */
/* From now on pipes have names, in this directory: the owner cannot open descriptors of ours. */
int pipes_in(const char *path);
/* A pipe, and in *end the owner's side of it: fd[side]. Returns -1 with errno set. */
int end_make(int fd[2], int side, struct owner_end *end);
void end_close(struct owner_end *end);
/* Makes the pipe hold size bytes. Returns 0 or an errno: EPERM when the allowance is spent. */
int end_grow(struct job *job, uint16_t which, uint32_t descriptor, uint32_t size);
/* A pipe between two stages holds more than usual, if it may: programs that write little at a time wait less for each other. */
void between_grow(struct job *job, int fd);
void job_shrunk(struct job *job);
void pipes_end(void);
/* said.c: the frames of supervisors, checked; what they tell is kept */
bool said_is_good(struct job *job, uint16_t kind, struct reader *r);
bool said_may_be_dropped(uint16_t kind, const uint8_t *end);
/* orphans.c */
void reap_children(void);
void jobs_watch(void);
void orphans_round(void);
bool all_over(void);
/* hello.c */
void welcome(struct reader *r);
/* server.c */
_Noreturn void server_run(void);
void die_soon(const char *message);
bool out_is_full(void);
/* cgroup.c */
/* A cgroup for supervisors and what is below them, proven to take a process; -1: none can be made here. */
int cgroup_make(char *path, size_t cap);
/* SIGKILL to all that is in it, in one step that nothing escapes and no credentials forbid. */
void cgroup_kill(int cgroup_fd);
/* Ends what is in it and removes it, within the time given. */
void cgroup_end(int cgroup_fd, const char *path, uint32_t within_ms);
pid_t fork_into(int cgroup_fd);

#endif
