/* Frames: reading and writing them. PROTOCOL.md is the reference. */
#ifndef EP_WIRE_H
#define EP_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EP_VERSION 1u
#define FRAME_HEADER 8u
#define FRAME_MAX (8u << 20) /* body, owner to server: above what execve(2) takes */
#define PACKET_MAX (48u << 10) /* one packet between server and supervisor */

enum frame_kind {
	/* owner to server */
	F_HELLO = 1,
	F_SPAWN = 2,
	F_OPENED = 3,
	F_SIGNAL = 4,
	F_TERMINATE = 5,
	F_KILL = 6,
	F_EXTEND = 7,
	F_LIST = 8,
	F_PING = 9,
	F_SHUTDOWN = 10,
	F_RESUME = 11,
	F_GROW = 12,
	F_RESIZE = 13,
	/* server to owner; those marked (s) come from the supervisor as they are */
	F_WELCOME = 129,
	F_PIPES = 130,
	F_STARTED = 131, /* s */
	F_FAILED = 132, /* s */
	F_EXIT = 133, /* s */
	F_STOPPED = 134, /* s */
	F_CONTINUED = 135, /* s */
	F_DEADLINE = 136, /* s */
	F_LEFT = 137, /* s */
	F_EMPTY = 138, /* s */
	F_UNKILLABLE = 139, /* s */
	F_LOST = 140,
	F_PROCESSES = 141, /* s */
	F_RESULT = 142, /* s */
	F_PONG = 143,
	F_ERROR = 144,
	F_TERMINATING = 145, /* s */
	/* supervisor to server, and no further */
	F_PAUSED = 146,
	F_PARKED = 147,
	/* server to a parked supervisor */
	F_RUN = 148,
};

/* Where a spawn failed; the numbers are in PROTOCOL.md. */
enum step {
	STEP_FORK = 1,
	STEP_OPEN = 2,
	STEP_LIMITS = 3,
	STEP_USER = 4,
	STEP_CHDIR = 5,
	STEP_EXEC = 6,
};

struct reader {
	uint8_t *p;
	uint8_t *end;
	bool bad; /* sticky: once a field did not fit, every later one reads as 0 */
};

uint8_t rd_u8(struct reader *r);
uint16_t rd_u16(struct reader *r);
uint32_t rd_u32(struct reader *r);
uint64_t rd_u64(struct reader *r);
/* A string inside the frame: no NUL within, NUL after it. */
char *rd_str(struct reader *r);
bool rd_done(const struct reader *r);

struct writer {
	uint8_t *buf;
	size_t len;
	size_t cap;
	bool full; /* sticky: something did not fit and was left out */
};

void wr_u8(struct writer *w, uint8_t v);
void wr_u16(struct writer *w, uint16_t v);
void wr_u32(struct writer *w, uint32_t v);
void wr_u64(struct writer *w, uint64_t v);
void wr_bytes(struct writer *w, const void *bytes, size_t len);
void wr_str(struct writer *w, const char *s, size_t len);
/* A frame is begun, filled and ended; begin gives the place to hand to end. */
size_t wr_begin(struct writer *w, enum frame_kind kind);
void wr_end(struct writer *w, size_t mark);
void wr_patch_u16(struct writer *w, size_t at, uint16_t v);

/*
 * Takes the next frame off r. Returns 1 with *kind and *body set, 0 when it is
 * not complete yet, -1 when its header is malformed.
 */
int rd_frame(struct reader *r, uint32_t max, uint16_t *kind, struct reader *body);

#endif
