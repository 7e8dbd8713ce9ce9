/* A spawn request, checked: what the supervisor and the stages work from. */
#ifndef EP_PLAN_H
#define EP_PLAN_H

#include "clock.h"
#include "wire.h"

#include <sys/types.h>

#define MAX_STAGES 64
#define MAX_PIPES 192
#define MAX_FD 65535

enum redirect_kind {
	R_INHERIT = 0, /* the server's own descriptor: arg is 0, 1 or 2 */
	R_NULL = 1,
	R_READ = 2, /* the reading end of pipe arg */
	R_WRITE = 3, /* the writing end of pipe arg */
	R_FILE = 4, /* path, opened as arg says */
	R_DUP = 5, /* what the child's descriptor arg is */
	R_TERMINAL = 6, /* the job's pseudo-terminal */
};

enum file_mode { FILE_READ = 0, FILE_WRITE = 1, FILE_APPEND = 2, FILE_READ_WRITE = 3 };

enum setting { SET_UMASK = 1, SET_NICE = 2, SET_UID = 4, SET_GID = 8, SET_GROUPS = 16 };

enum job_flag { JOB_FOREGROUND = 1, JOB_TERMINAL = 2 };

struct redirect {
	uint32_t fd;
	uint32_t arg;
	char *path;
	uint8_t kind;
};

struct limit {
	uint64_t soft;
	uint64_t hard;
	uint8_t resource;
};

struct stage {
	char *file;
	char **argv;
	char **envp;
	char *cwd; /* "": the server's */
	struct redirect *redirects;
	struct limit *limits;
	gid_t *groups;
	uint32_t set; /* enum setting */
	uint32_t umask;
	int32_t nice;
	uint32_t uid;
	uint32_t gid;
	uint16_t nredirects;
	uint16_t ngroups;
	uint8_t nlimits;
};

struct pipe_plan {
	uint32_t size; /* F_SETPIPE_SZ; 0: as it comes */
	uint8_t owner; /* 0: between stages, 1: the owner reads, 2: the owner writes */
};

#define NO_PIPE 0xffffu

/* A pseudo-terminal for the job, and the pipes that it is relayed through. */
struct terminal_plan {
	uint16_t columns; /* 0: there is none */
	uint16_t rows;
	uint16_t input; /* what the owner writes there is typed; NO_PIPE: nothing is */
	uint16_t output; /* the owner reads there what is shown; NO_PIPE: it is dropped */
};

struct plan {
	uint64_t deadline_ms; /* 0: none */
	struct stage *stages;
	uint32_t id;
	uint32_t grace_ms;
	uint32_t flags; /* enum job_flag */
	uint32_t max_fd; /* highest descriptor that a stage asks for, at least 2 */
	uint16_t npipes;
	uint8_t nstages;
	uint8_t kill_signal;
	struct terminal_plan terminal;
	struct pipe_plan pipes[MAX_PIPES];
};

/* Memory that is given back all at once. */
struct arena {
	uint8_t *base;
	size_t cap;
	size_t used;
};

/*
 * Checks the body of a SPAWN frame. Strings stay where they are in the frame,
 * arrays of pointers come from the arena. Returns 0, or -1 when it is malformed.
 */
int plan_parse(struct reader *body, struct arena *arena, struct plan *plan);
/* Whether a stage has one of our own descriptors 0 to 2, by name or as it names nothing else. */
bool plan_inherits(const struct plan *plan);

#endif
