#include "plan.h"

#include <stdalign.h>
#include <string.h>

static void *
alloc(struct arena *a, size_t count, size_t size)
{
	size_t align = alignof(max_align_t);
	size_t at = (a->used + align - 1) & ~(align - 1);
	void *p;

	if (at > a->cap || count > (a->cap - at) / size)
		return NULL;
	p = a->base + at;
	a->used = at + count * size;
	memset(p, 0, count * size);
	return p;
}

/* At least min bytes of the frame belong to each of count things, so a count beyond what is left of it is a lie. */
static bool
plausible(struct reader *r, size_t count, size_t min)
{
	if (r->bad || count > (size_t)(r->end - r->p) / min) {
		r->bad = true;
		return false;
	}
	return true;
}

static char **
strings(struct reader *r, struct arena *a)
{
	uint32_t n = rd_u32(r);
	char **v;

	if (!plausible(r, n, 5))
		return NULL;
	v = alloc(a, (size_t)n + 1, sizeof *v);
	if (v == NULL) {
		r->bad = true;
		return NULL;
	}
	for (uint32_t i = 0; i < n; i++)
		v[i] = rd_str(r);
	return v;
}

static int
redirect_parse(struct reader *r, const struct plan *plan, struct redirect *d)
{
	d->fd = rd_u32(r);
	d->kind = rd_u8(r);
	d->arg = rd_u32(r);
	if (r->bad || d->fd > MAX_FD)
		return -1;
	switch (d->kind) {
	case R_INHERIT:
		return d->arg <= 2 ? 0 : -1;
	case R_NULL:
		return 0;
	case R_READ:
		return d->arg < plan->npipes && plan->pipes[d->arg].owner != 1 && d->arg != plan->terminal.input ? 0 : -1;
	case R_WRITE:
		return d->arg < plan->npipes && plan->pipes[d->arg].owner != 2 && d->arg != plan->terminal.output ? 0 : -1;
	case R_FILE:
		d->path = rd_str(r);
		return !r->bad && d->arg <= FILE_READ_WRITE ? 0 : -1;
	case R_DUP:
		return d->arg <= MAX_FD ? 0 : -1;
	case R_TERMINAL:
		return plan->terminal.columns != 0 ? 0 : -1;
	default:
		return -1;
	}
}

static int
redirects_parse(struct reader *r, struct arena *a, struct plan *plan, struct stage *s)
{
	s->nredirects = rd_u16(r);
	if (!plausible(r, s->nredirects, 9))
		return -1;
	s->redirects = alloc(a, s->nredirects, sizeof *s->redirects);
	if (s->redirects == NULL)
		return -1;
	for (uint16_t i = 0; i < s->nredirects; i++) {
		if (redirect_parse(r, plan, &s->redirects[i]) < 0)
			return -1;
		if (s->redirects[i].fd > plan->max_fd)
			plan->max_fd = s->redirects[i].fd;
	}
	return 0;
}

static int
limits_parse(struct reader *r, struct arena *a, struct stage *s)
{
	s->nlimits = rd_u8(r);
	if (!plausible(r, s->nlimits, 17))
		return -1;
	s->limits = alloc(a, s->nlimits, sizeof *s->limits);
	if (s->limits == NULL)
		return -1;
	for (uint8_t i = 0; i < s->nlimits; i++) {
		s->limits[i].resource = rd_u8(r);
		s->limits[i].soft = rd_u64(r);
		s->limits[i].hard = rd_u64(r);
		if (s->limits[i].resource > 15)
			return -1;
	}
	return 0;
}

static int
groups_parse(struct reader *r, struct arena *a, struct stage *s)
{
	s->ngroups = rd_u16(r);
	if (!plausible(r, s->ngroups, 4))
		return -1;
	s->groups = alloc(a, s->ngroups, sizeof *s->groups);
	if (s->groups == NULL)
		return -1;
	for (uint16_t i = 0; i < s->ngroups; i++)
		s->groups[i] = rd_u32(r);
	return 0;
}

static int
stage_parse(struct reader *r, struct arena *a, struct plan *plan, uint8_t index)
{
	struct stage *s = &plan->stages[index];
	uint8_t same;

	s->file = rd_str(r);
	s->argv = strings(r, a);
	same = rd_u8(r);
	if (r->bad || same > 1 || (same == 1 && index == 0))
		return -1;
	s->envp = same == 1 ? plan->stages[index - 1].envp : strings(r, a);
	s->cwd = rd_str(r);
	s->set = rd_u32(r);
	s->umask = rd_u32(r);
	s->nice = (int32_t)rd_u32(r);
	s->uid = rd_u32(r);
	s->gid = rd_u32(r);
	if (r->bad || s->set > 31)
		return -1;
	if (groups_parse(r, a, s) < 0 || limits_parse(r, a, s) < 0)
		return -1;
	return redirects_parse(r, a, plan, s);
}

static int
terminal_parse(struct reader *r, struct plan *plan)
{
	struct terminal_plan *t = &plan->terminal;

	t->input = t->output = NO_PIPE;
	if ((plan->flags & JOB_TERMINAL) == 0)
		return 0;
	t->columns = rd_u16(r);
	t->rows = rd_u16(r);
	t->input = rd_u16(r);
	t->output = rd_u16(r);
	if (r->bad || t->columns == 0 || t->rows == 0)
		return -1;
	if (t->input != NO_PIPE && (t->input >= plan->npipes || plan->pipes[t->input].owner != 2))
		return -1;
	return t->output == NO_PIPE || (t->output < plan->npipes && plan->pipes[t->output].owner == 1) ? 0 : -1;
}

int
plan_parse(struct reader *r, struct arena *a, struct plan *plan)
{
	memset(plan, 0, offsetof(struct plan, pipes));
	a->used = 0;
	plan->max_fd = 2;
	plan->id = rd_u32(r);
	plan->deadline_ms = rd_u64(r);
	if (plan->deadline_ms > DEADLINE_MAX)
		plan->deadline_ms = DEADLINE_MAX;
	plan->grace_ms = rd_u32(r);
	plan->flags = rd_u32(r);
	plan->kill_signal = rd_u8(r);
	plan->nstages = rd_u8(r);
	plan->npipes = rd_u16(r);
	if (r->bad || plan->id == 0 || plan->flags > JOB_TERMINAL || plan->kill_signal == 0 || plan->kill_signal > 64)
		return -1;
	if (plan->nstages == 0 || plan->nstages > MAX_STAGES || plan->npipes > MAX_PIPES)
		return -1;
	for (uint16_t i = 0; i < plan->npipes; i++) {
		plan->pipes[i].owner = rd_u8(r);
		plan->pipes[i].size = rd_u32(r);
		if (r->bad || plan->pipes[i].owner > 2 || plan->pipes[i].size > (1u << 30))
			return -1;
	}
	if (terminal_parse(r, plan) < 0)
		return -1;
	plan->stages = alloc(a, plan->nstages, sizeof *plan->stages);
	if (plan->stages == NULL)
		return -1;
	for (uint8_t i = 0; i < plan->nstages; i++) {
		if (stage_parse(r, a, plan, i) < 0)
			return -1;
	}
	return rd_done(r) ? 0 : -1;
}

bool
plan_inherits(const struct plan *plan)
{
	for (uint8_t i = 0; i < plan->nstages; i++) {
		const struct stage *s = &plan->stages[i];
		unsigned int named = 0;

		for (uint16_t k = 0; k < s->nredirects; k++) {
			if (s->redirects[k].kind == R_INHERIT)
				return true;
			if (s->redirects[k].fd <= 2)
				named |= 1u << s->redirects[k].fd;
		}
		if (named != 7u)
			return true;
	}
	return false;
}
