#include "wire.h"

#include <string.h>

/* Bytes are put together one by one: the fields are not aligned, and the wire is little-endian on every machine. */
static uint64_t
take(struct reader *r, size_t n)
{
	uint64_t v = 0;

	if (r->bad || (size_t)(r->end - r->p) < n) {
		r->bad = true;
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)r->p[i] << (8 * i);
	r->p += n;
	return v;
}

uint8_t
rd_u8(struct reader *r)
{
	return (uint8_t)take(r, 1);
}

uint16_t
rd_u16(struct reader *r)
{
	return (uint16_t)take(r, 2);
}

uint32_t
rd_u32(struct reader *r)
{
	return (uint32_t)take(r, 4);
}

uint64_t
rd_u64(struct reader *r)
{
	return take(r, 8);
}

char *
rd_str(struct reader *r)
{
	static char empty[1];
	uint32_t len = rd_u32(r);
	char *s;

	/* The NUL that follows is not counted in len, hence >= and not >. */
	if (r->bad || len >= (size_t)(r->end - r->p)) {
		r->bad = true;
		return empty;
	}
	s = (char *)r->p;
	if (s[len] != '\0' || memchr(s, '\0', len) != NULL) {
		r->bad = true;
		return empty;
	}
	r->p += (size_t)len + 1;
	return s;
}

bool
rd_done(const struct reader *r)
{
	return !r->bad && r->p == r->end;
}

int
rd_frame(struct reader *r, uint32_t max, uint16_t *kind, struct reader *body)
{
	struct reader head = { r->p, r->end, false };
	uint32_t len;
	uint16_t reserved;

	if ((size_t)(r->end - r->p) < FRAME_HEADER)
		return 0;
	len = rd_u32(&head);
	*kind = rd_u16(&head);
	reserved = rd_u16(&head);
	if (len > max || reserved != 0)
		return -1;
	if ((size_t)(r->end - head.p) < len)
		return 0;
	body->p = head.p;
	body->end = head.p + len;
	body->bad = false;
	r->p = body->end;
	return 1;
}

static void
put(struct writer *w, uint64_t v, size_t n)
{
	if (w->full || w->cap - w->len < n) {
		w->full = true;
		return;
	}
	for (size_t i = 0; i < n; i++)
		w->buf[w->len + i] = (uint8_t)(v >> (8 * i));
	w->len += n;
}

void
wr_u8(struct writer *w, uint8_t v)
{
	put(w, v, 1);
}

void
wr_u16(struct writer *w, uint16_t v)
{
	put(w, v, 2);
}

void
wr_u32(struct writer *w, uint32_t v)
{
	put(w, v, 4);
}

void
wr_u64(struct writer *w, uint64_t v)
{
	put(w, v, 8);
}

void
wr_bytes(struct writer *w, const void *bytes, size_t len)
{
	if (w->full || w->cap - w->len < len) {
		w->full = true;
		return;
	}
	if (len > 0)
		memcpy(w->buf + w->len, bytes, len);
	w->len += len;
}

void
wr_str(struct writer *w, const char *s, size_t len)
{
	wr_u32(w, (uint32_t)len);
	wr_bytes(w, s, len);
	wr_u8(w, 0);
}

size_t
wr_begin(struct writer *w, enum frame_kind kind)
{
	size_t mark = w->len;

	wr_u32(w, 0);
	wr_u16(w, (uint16_t)kind);
	wr_u16(w, 0);
	return mark;
}

void
wr_end(struct writer *w, size_t mark)
{
	size_t len;

	if (w->full) {
		w->len = mark;
		return;
	}
	len = w->len - mark - FRAME_HEADER;
	for (size_t i = 0; i < 4; i++)
		w->buf[mark + i] = (uint8_t)(len >> (8 * i));
}

void
wr_patch_u16(struct writer *w, size_t at, uint16_t v)
{
	if (w->full || at + 2 > w->len)
		return;
	w->buf[at] = (uint8_t)v;
	w->buf[at + 1] = (uint8_t)(v >> 8);
}
