/*
 * The states of backends: a tree by name, and in each state whether the backend
 * is down, since when, and its last error.  Any thread.
 *
 * A state stays in the tree for as long as a backend of a generation or of a
 * connection references it: a reload, or a second listener with the same name,
 * finds it there.  References are counted under the lock of the tree, because
 * the last one removes the state from it.
 */
#include "proxy/backend_state.h"

#include <search.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mutex.h"

struct backend_states {
	struct mutex lock;

	/* under lock */
	void *tree;
};

struct backend_state {
	/* fixed at creation */
	struct backend_states *states; /* borrowed; NULL: not in a tree */
	char *name;

	/* under the lock of `states` */
	unsigned references;

	atomic_bool down; /* written under lock; relaxed */
	struct mutex lock;

	/* under lock */
	int64_t since_ms;
	int errnum;
	int64_t error_ms;
};

static int
compare_names(const void *a, const void *b)
{
	const struct backend_state *left = a, *right = b;

	return strcmp(left->name, right->name);
}

struct backend_states *
backend_states_new(void)
{
	struct backend_states *states = calloc(1, sizeof(*states));

	if (states != NULL)
		mutex_init(&states->lock);
	return states;
}

void
backend_states_free(struct backend_states *states)
{
	if (states == NULL)
		return;
	mutex_fini(&states->lock);
	free(states);
}

static void
free_state(struct backend_state *state)
{
	mutex_fini(&state->lock);
	free(state->name);
	free(state);
}

static struct backend_state *
new_state(struct backend_states *states, const char *name)
{
	struct backend_state *state = calloc(1, sizeof(*state));

	if (state == NULL)
		return NULL;
	state->states = states;
	state->references = 1;
	atomic_init(&state->down, false);
	mutex_init(&state->lock);
	state->name = strdup(name);
	if (state->name != NULL)
		return state;
	free_state(state);
	return NULL;
}

struct backend_state *
backend_state_get(struct backend_states *states, const char *name)
{
	struct backend_state *fresh = new_state(states, name);
	struct backend_state **found, *state = fresh;

	if (states == NULL || fresh == NULL)
		return fresh;
	mutex_lock(&states->lock);
	found = tsearch(fresh, &states->tree, compare_names);
	if (found == NULL)
		state = NULL;
	else if (*found != fresh) {
		state = *found;
		state->references++;
	}
	mutex_unlock(&states->lock);
	if (state != fresh)
		free_state(fresh);
	return state;
}

void
backend_state_unref(struct backend_state *state)
{
	struct backend_states *states;
	bool last = true;

	if (state == NULL)
		return;
	states = state->states;
	if (states != NULL) {
		mutex_lock(&states->lock);
		last = --state->references == 0;
		if (last)
			tdelete(state, &states->tree, compare_names);
		mutex_unlock(&states->lock);
	}
	if (last)
		free_state(state);
}

bool
backend_state_fail(
    struct backend_state *state, int errnum, bool all, int64_t now_ms)
{
	bool went_down;

	mutex_lock(&state->lock);
	state->errnum = errnum;
	state->error_ms = now_ms;
	went_down = all &&
		    !atomic_load_explicit(&state->down, memory_order_relaxed);
	if (went_down) {
		atomic_store_explicit(&state->down, true, memory_order_relaxed);
		state->since_ms = now_ms;
	}
	mutex_unlock(&state->lock);
	return went_down;
}

bool
backend_state_succeed(
    struct backend_state *state, int64_t now_ms, int64_t *down_ms)
{
	bool came_up;

	/* The usual case takes no lock. */
	if (!atomic_load_explicit(&state->down, memory_order_relaxed))
		return false;
	mutex_lock(&state->lock);
	came_up = atomic_load_explicit(&state->down, memory_order_relaxed);
	if (came_up) {
		atomic_store_explicit(
		    &state->down, false, memory_order_relaxed);
		*down_ms = now_ms - state->since_ms;
		state->since_ms = now_ms;
	}
	mutex_unlock(&state->lock);
	return came_up;
}

struct backend_status
backend_state_read(struct backend_state *state)
{
	struct backend_status status;

	mutex_lock(&state->lock);
	status.down = atomic_load_explicit(&state->down, memory_order_relaxed);
	status.since_ms = state->since_ms;
	status.errnum = state->errnum;
	status.error_ms = state->error_ms;
	mutex_unlock(&state->lock);
	return status;
}
