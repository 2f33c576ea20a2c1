/*
 * Checks of backends: which addresses are checked, when, and the connects in
 * flight.  Main thread.
 *
 * A target is an address with an interval and a timeout; all backends of all
 * listeners and hosts with these three share its check, so ten thousand hosts in
 * front of one backend cost one connect per interval.  The first checks of n new
 * targets are spread over the interval; after that each has its own jitter.
 *
 * A check is closed by a reset, as haproxy does it: a FIN would leave a local
 * port in TIME_WAIT for a minute after each check.  The backend sees a
 * connection that is reset without a byte.
 *
 * A shortage of descriptors, memory or local ports is no result: the address
 * keeps its state until its next check.
 */
#include "runtime/backend_check.h"

#include <errno.h>
#include <ev.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/log.h"
#include "proxy/backend.h"
#include "proxy/service.h"
#include "runtime/generation.h"

enum {
	IN_FLIGHT_MAX = 64,
	STARTS_MAX = 64, /* in one turn of the loop */
	ERROR_TEXT_MAX = 128
};

/* One address of one backend that is to be checked. */
struct check_user {
	struct addr addr;
	struct backends_check check;
	struct backends *backends; /* a reference */
	size_t index;
};

struct check_target {
	struct backend_checks *checks;
	/* those with one key, inside checks->users; at least one */
	const struct check_user *users;
	size_t user_count;
	/* `idle`, by its due time, or `in_flight`, by its deadline; NULL: new */
	struct heap *heap;
	struct heap_node node;
	int64_t start_ms;
	int fd; /* -1: idle */
	struct ev_io io;
};

/* Sorted by key: users, and targets. */
struct check_set {
	struct check_user *users;
	size_t user_count;
	struct check_target **targets;
	size_t target_count;
};

struct backend_checks {
	/* fixed at creation */
	struct ev_loop *loop;
	struct log *log;
	backend_check_failed_fn *on_failed;
	void *arg;

	struct check_set set;
	struct heap idle;
	struct heap in_flight;
	struct ev_timer timer;
	unsigned short random[3];
	bool name_failed; /* on_failed is to be called */
};

/* ---- Times ---- */

int64_t
backend_check_first_ms(
    int64_t now_ms, uint32_t interval_ms, size_t k, size_t n, double random)
{
	double share = (double)k / (double)n;

	return now_ms + (int64_t)(interval_ms * (share + random / 10));
}

int64_t
backend_check_next_ms(
    int64_t start_ms, int64_t now_ms, uint32_t interval_ms, double random)
{
	int64_t next_ms = start_ms +
			  (int64_t)(interval_ms * (0.9 + random / 5));

	return next_ms > now_ms ? next_ms : now_ms;
}

/* ---- Which addresses are checked ---- */

static int
compare_numbers(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* The key of a target: its address, interval and timeout. */
static int
compare_users(const void *a, const void *b)
{
	const struct check_user *left = a, *right = b;
	int order = compare_numbers(left->addr.len, right->addr.len);

	if (order == 0)
		order = memcmp(&left->addr.sa, &right->addr.sa, left->addr.len);
	if (order == 0)
		order = compare_numbers(
		    left->check.interval_ms, right->check.interval_ms);
	if (order == 0)
		order = compare_numbers(
		    left->check.timeout_ms, right->check.timeout_ms);
	return order;
}

static int
compare_pointers(const void *a, const void *b)
{
	struct backends *const *left = a, *const *right = b;

	return compare_numbers((uintptr_t)*left, (uintptr_t)*right);
}

/* The checked backends of a generation, each once; borrowed.  NULL: no memory. */
static struct backends **
list_backends(const struct generation *generation, size_t *count)
{
	size_t i, k, room = 0, kept = 0;
	struct backends **list;

	for (i = 0; i < generation_service_count(generation); i++)
		room += generation_service(generation, i)->site_count;
	list = calloc(room + 1, sizeof(list[0]));
	*count = 0;
	for (i = 0; list && i < generation_service_count(generation); i++) {
		const struct service *service = generation_service(
		    generation, i);

		for (k = 0; k < service->site_count; k++)
			if (backends_check(service->sites[k].backends).enabled)
				list[(*count)++] = service->sites[k].backends;
	}
	if (list == NULL || *count == 0)
		return list;
	qsort(list, *count, sizeof(list[0]), compare_pointers);
	for (i = 0; i < *count; i++)
		if (kept == 0 || list[i] != list[kept - 1])
			list[kept++] = list[i];
	*count = kept;
	return list;
}

static bool
add_users(struct check_set *set, size_t *room, struct backends *backends,
    size_t index)
{
	struct addr addresses[BACKEND_ADDRESSES_MAX];
	size_t i, count = backends_addresses(backends, index, addresses);
	struct check_user *grown;

	if (set->user_count + count > *room) {
		*room = 2 * *room + count;
		grown = realloc(set->users, *room * sizeof(grown[0]));
		if (grown == NULL)
			return false;
		set->users = grown;
	}
	for (i = 0; i < count; i++)
		set->users[set->user_count++] = (struct check_user){
			.addr = addresses[i],
			.check = backends_check(backends),
			.backends = backends_ref(backends),
			.index = index,
		};
	return true;
}

static bool
list_users(struct check_set *set, const struct generation *generation)
{
	size_t i, k, count, room = 0;
	struct backends **list = list_backends(generation, &count);
	bool fine = list != NULL;

	for (i = 0; fine && i < count; i++)
		for (k = 0; fine && k < backends_count(list[i]); k++)
			fine = add_users(set, &room, list[i], k);
	free(list);
	if (fine && set->user_count > 0)
		qsort(set->users, set->user_count, sizeof(set->users[0]),
		    compare_users);
	return fine;
}

/* ---- Targets ---- */

static struct check_target *
target_of(struct heap_node *node)
{
	return container_of(node, struct check_target, node);
}

static void
put(struct check_target *target, struct heap *heap, int64_t key)
{
	if (target->heap != NULL && target->heap != heap)
		heap_remove(target->heap, &target->node);
	target->heap = heap;
	heap_put(heap, &target->node, key);
}

/* A reset: see above. */
static void
close_connect(int fd)
{
	const struct linger reset = { .l_onoff = 1 };

	/* Only TCP has it; a Unix socket ignores it. */
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
}

static void
end_connect(struct check_target *target)
{
	ev_io_stop(target->checks->loop, &target->io);
	if (target->fd >= 0)
		close_connect(target->fd);
	target->fd = -1;
}

static void
log_change(struct backend_checks *checks, const struct check_user *user,
    enum backend_change change, int errnum, int64_t down_ms)
{
	const char *name = backends_name(user->backends, user->index);
	char text[ERROR_TEXT_MAX];

	if (change == BACKEND_CAME_UP)
		log_notice(checks->log, "check", "backend up again",
		    LOG_S("backend", name), LOG_N("down_ms", down_ms));
	else if (change == BACKEND_WENT_DOWN)
		log_warning(checks->log, "check", "backend down",
		    LOG_S("backend", name),
		    LOG_S("error",
			backend_error_text(errnum, text, sizeof(text))));
}

/* Give the result to every backend with this address. */
static void
report(struct check_target *target, int errnum, int64_t now_ms)
{
	struct backend_checks *checks = target->checks;
	enum backend_change change;
	int64_t down_ms = 0;
	uint16_t port;
	size_t i;

	for (i = 0; i < target->user_count; i++) {
		const struct check_user *user = &target->users[i];

		change = backends_checked(user->backends, user->index,
		    &user->addr, errnum, now_ms, &down_ms);
		log_change(checks, user, change, errnum, down_ms);
		if (errnum != 0 &&
		    backends_host(user->backends, user->index, &port) != NULL)
			checks->name_failed = true;
	}
}

static void
finish_check(struct check_target *target, int errnum, int64_t now_ms)
{
	struct backend_checks *checks = target->checks;

	end_connect(target);
	put(target, &checks->idle,
	    backend_check_next_ms(target->start_ms, now_ms,
		target->users->check.interval_ms, erand48(checks->random)));
	report(target, errnum, now_ms);
}

static void
start_check(struct check_target *target, int64_t now_ms)
{
	struct backend_checks *checks = target->checks;
	int errnum = backend_connect(&target->users->addr, &target->fd);

	target->start_ms = now_ms;
	if (target->fd >= 0)
		errnum = backend_connect_outcome(target->fd);
	if (errnum != EINPROGRESS) {
		finish_check(target, errnum, now_ms);
		return;
	}
	put(target, &checks->in_flight,
	    now_ms + target->users->check.timeout_ms);
	ev_io_set(&target->io, target->fd, EV_WRITE);
	ev_io_start(checks->loop, &target->io);
}

/* ---- Events ---- */

static void
set_timer(struct backend_checks *checks, int64_t now_ms)
{
	const struct heap_node *deadline = heap_first(&checks->in_flight);
	const struct heap_node *due = heap_first(&checks->idle);
	int64_t moment_ms = INT64_MAX;

	ev_timer_stop(checks->loop, &checks->timer);
	if (deadline != NULL)
		moment_ms = deadline->key;
	if (due != NULL && checks->in_flight.count < IN_FLIGHT_MAX &&
	    due->key < moment_ms)
		moment_ms = due->key;
	if (moment_ms == INT64_MAX)
		return;
	/* Round up: too early, nothing would be due and the loop would spin. */
	ev_timer_set(&checks->timer,
	    moment_ms > now_ms ? (double)(moment_ms - now_ms) / 1000.0 + 0.001
			       : 0.0,
	    0.0);
	ev_now_update(checks->loop);
	ev_timer_start(checks->loop, &checks->timer);
}

/* After every event. */
static void
go_on(struct backend_checks *checks)
{
	int64_t now_ms = clock_mono_ms();
	struct heap_node *node;
	int starts = 0;

	while ((node = heap_first(&checks->in_flight)) != NULL &&
	       node->key <= now_ms)
		finish_check(target_of(node), ETIMEDOUT, now_ms);
	while ((node = heap_first(&checks->idle)) != NULL &&
	       node->key <= now_ms && starts++ < STARTS_MAX &&
	       checks->in_flight.count < IN_FLIGHT_MAX)
		start_check(target_of(node), now_ms);
	set_timer(checks, now_ms);
	if (!checks->name_failed)
		return;
	checks->name_failed = false;
	checks->on_failed(checks->arg); /* last: it may change the targets */
}

static void
on_writable(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	struct check_target *target = watcher->data;
	struct backend_checks *checks = target->checks;
	int errnum = backend_connect_outcome(target->fd);

	(void)loop;
	(void)events;
	if (errnum == EINPROGRESS)
		return;
	finish_check(target, errnum, clock_mono_ms());
	go_on(checks);
}

static void
on_timer(struct ev_loop *loop, struct ev_timer *watcher, int events)
{
	(void)loop;
	(void)events;
	go_on(watcher->data);
}

/* ---- Following a generation ---- */

static struct check_target *
new_target(struct backend_checks *checks)
{
	struct check_target *target = calloc(1, sizeof(*target));

	if (target == NULL)
		return NULL;
	target->checks = checks;
	target->fd = -1;
	ev_init(&target->io, on_writable);
	target->io.data = target;
	return target;
}

static void
free_target(struct check_target *target)
{
	end_connect(target);
	if (target->heap != NULL)
		heap_remove(target->heap, &target->node);
	free(target);
}

static void
free_users(struct check_set *set)
{
	size_t i;

	for (i = 0; i < set->user_count; i++)
		backends_unref(set->users[i].backends);
	free(set->users);
}

/* The target of the old set with the same key, or NULL. */
static struct check_target *
find_target(const struct check_set *set, const struct check_user *key)
{
	size_t low = 0, high = set->target_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare_users(key, set->targets[middle]->users);

		if (order == 0)
			return set->targets[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* A target for each key of the users: new ones, which find_target() may replace.
 * false: no memory. */
static bool
make_targets(struct backend_checks *checks, struct check_set *set)
{
	size_t i, end;

	set->targets = calloc(set->user_count + 1, sizeof(set->targets[0]));
	if (set->targets == NULL)
		return false;
	for (i = 0; i < set->user_count; i = end) {
		struct check_target *target = new_target(checks);

		if (target == NULL)
			return false;
		for (end = i + 1; end < set->user_count; end++)
			if (compare_users(&set->users[i], &set->users[end]))
				break;
		target->users = &set->users[i];
		target->user_count = end - i;
		set->targets[set->target_count++] = target;
	}
	return heap_reserve(&checks->idle, set->target_count) &&
	       heap_reserve(&checks->in_flight, set->target_count);
}

static void
free_set(struct check_set *set)
{
	size_t i;

	for (i = 0; i < set->target_count; i++)
		free_target(set->targets[i]);
	free(set->targets);
	free_users(set);
}

/* Put the targets of `old` that are still checked into `fresh`, where they take
 * the place of the new ones, which are then freed with `old`. */
static void
keep_targets(struct check_set *fresh, struct check_set *old)
{
	size_t i, k = 0;

	for (i = 0; i < fresh->target_count; i++) {
		struct check_target *made = fresh->targets[i];
		struct check_target *kept = find_target(old, made->users);

		if (kept == NULL)
			continue;
		/* Both are sorted: the place of `kept` is further on. */
		while (old->targets[k] != kept)
			k++;
		fresh->targets[i] = kept;
		old->targets[k] = made;
		kept->users = made->users;
		kept->user_count = made->user_count;
	}
}

/* The first checks of new targets, spread over the interval. */
static void
schedule_new(struct backend_checks *checks)
{
	const struct check_set *set = &checks->set;
	int64_t now_ms = clock_mono_ms();
	size_t i, k = 0, count = 0;

	for (i = 0; i < set->target_count; i++)
		count += set->targets[i]->heap == NULL;
	for (i = 0; i < set->target_count; i++) {
		struct check_target *target = set->targets[i];

		if (target->heap != NULL)
			continue;
		put(target, &checks->idle,
		    backend_check_first_ms(now_ms,
			target->users->check.interval_ms, k++, count,
			erand48(checks->random)));
	}
	set_timer(checks, now_ms);
}

void
backend_checks_follow(
    struct backend_checks *checks, const struct generation *generation)
{
	struct check_set fresh = { .users = NULL };
	struct check_set old;

	if (checks == NULL)
		return;
	if (!list_users(&fresh, generation) || !make_targets(checks, &fresh)) {
		free_set(&fresh);
		log_warning(checks->log, "check",
		    "out of memory; checks of backends stay as they are");
		return;
	}
	old = checks->set;
	keep_targets(&fresh, &old);
	checks->set = fresh;
	free_set(&old);
	schedule_new(checks);
}

struct backend_checks *
backend_checks_new(struct ev_loop *loop, struct log *log,
    backend_check_failed_fn *on_failed, void *arg, struct err *err)
{
	struct backend_checks *checks = calloc(1, sizeof(*checks));

	if (checks == NULL) {
		err_set(err, "out of memory for checks of backends");
		return NULL;
	}
	checks->loop = loop;
	checks->log = log;
	checks->on_failed = on_failed;
	checks->arg = arg;
	ev_timer_init(&checks->timer, on_timer, 0.0, 0.0);
	checks->timer.data = checks;
	/* Jitter needs no secret: zeroes would do. */
	(void)!getrandom(checks->random, sizeof(checks->random), GRND_NONBLOCK);
	return checks;
}

void
backend_checks_free(struct backend_checks *checks)
{
	if (checks == NULL)
		return;
	ev_timer_stop(checks->loop, &checks->timer);
	free_set(&checks->set);
	heap_fini(&checks->idle);
	heap_fini(&checks->in_flight);
	free(checks);
}
