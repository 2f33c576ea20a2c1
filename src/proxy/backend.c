/*
 * Choose a backend address and connect to it without blocking.  Walks run on
 * listener threads; the main thread builds backends and puts resolved addresses
 * in.  The backend lock guards one pointer per backend.
 *
 * An address that failed rests, not its name: a name with one dead address is
 * still served from the others, and a backend is down when all its addresses
 * have failed.  Each address has the outcome of its last connect beside the end
 * of its rest: with checks it rests until a connect succeeds, without them for
 * retry_after, because then a client's connect is the only test.  A walk skips resting addresses in its first round and tries
 * those, and only those, in a second one: a connection is refused only after
 * every address was tried.  Resolvers rotate their answers, so a rest is
 * carried over to a new answer by address, not by position.  A stale read of it
 * costs one more try.
 */
#include "proxy/backend.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/mutex.h"
#include "proxy/backend_state.h"

/* ---- the addresses of one backend ---- */

struct candidate {
	struct addr addr;              /* fixed at creation */
	_Atomic int64_t rest_until_ms; /* relaxed; monotonic, 0: never failed */
	atomic_bool failed;            /* the last connect; relaxed */
};

/* The addresses of one backend: counted; only the outcomes of connects ever
 * change. */
struct backend_addresses {
	atomic_uint references;
	size_t count;
	struct candidate items[];
};

/* Copies `list`, each address with this port.  NULL: no memory. */
static struct backend_addresses *
new_addresses(const struct addr *list, size_t count, uint16_t port)
{
	struct backend_addresses *addresses;

	addresses = calloc(
	    1, sizeof(*addresses) + count * sizeof(addresses->items[0]));
	if (addresses == NULL)
		return NULL;
	atomic_init(&addresses->references, 1);
	addresses->count = count;
	for (size_t i = 0; i < count; i++) {
		addresses->items[i].addr = list[i];
		addr_set_port(&addresses->items[i].addr, port);
	}
	return addresses;
}

static struct backend_addresses *
ref_addresses(struct backend_addresses *addresses)
{
	if (addresses != NULL)
		atomic_fetch_add_explicit(
		    &addresses->references, 1, memory_order_relaxed);
	return addresses;
}

static void
unref_addresses(struct backend_addresses *addresses)
{
	if (addresses != NULL &&
	    atomic_fetch_sub_explicit(
		&addresses->references, 1, memory_order_acq_rel) == 1)
		free(addresses);
}

/* The same addresses in the same order? */
static bool
are_equal(const struct backend_addresses *a, const struct backend_addresses *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (!addr_equal(&a->items[i].addr, &b->items[i].addr))
			return false;
	}
	return true;
}

static int64_t
rest_until(const struct candidate *candidate)
{
	return atomic_load_explicit(
	    &candidate->rest_until_ms, memory_order_relaxed);
}

static bool
has_failed(const struct candidate *candidate)
{
	return atomic_load_explicit(&candidate->failed, memory_order_relaxed);
}

static void
set_outcome(struct candidate *candidate, bool failed, int64_t rest_until_ms)
{
	atomic_store_explicit(&candidate->failed, failed, memory_order_relaxed);
	atomic_store_explicit(
	    &candidate->rest_until_ms, rest_until_ms, memory_order_relaxed);
}

static bool
have_all_failed(const struct backend_addresses *addresses)
{
	for (size_t i = 0; i < addresses->count; i++) {
		if (!has_failed(&addresses->items[i]))
			return false;
	}
	return true;
}

static struct candidate *
find(struct backend_addresses *addresses, const struct addr *addr)
{
	for (size_t i = 0; i < addresses->count; i++) {
		if (addr_equal(&addresses->items[i].addr, addr))
			return &addresses->items[i];
	}
	return NULL;
}

/* An address that rests in `old` rests in `fresh`, too. */
static void
keep_rests(struct backend_addresses *fresh, struct backend_addresses *old)
{
	for (size_t i = 0; i < fresh->count; i++) {
		const struct candidate *known;

		known = find(old, &fresh->items[i].addr);
		if (known != NULL)
			set_outcome(&fresh->items[i], has_failed(known),
			    rest_until(known));
	}
}

/* ---- backends ---- */

struct backend {
	/* fixed at creation */
	char *text;
	char *host; /* NULL: a fixed address */
	uint16_t port;
	struct backend_state *state; /* a reference */

	/* relaxed */
	atomic_bool failed;           /* see backends_failed */
	atomic_uint_least64_t errors; /* connects that failed */

	/* under backends->lock */
	struct backend_addresses *addresses; /* NULL: not resolved yet */
};

struct backends {
	atomic_uint references;
	atomic_uint turn; /* relaxed; the first of the next walk with rr */

	/* fixed at creation */
	enum config_balance balance;
	uint32_t retry_after_ms;
	struct backends_check check;
	size_t count;

	struct mutex lock;
	struct backend items[];
};

static bool
is_resting(const struct backends *backends, const struct candidate *candidate,
    int64_t now_ms)
{
	return (backends->check.enabled && has_failed(candidate)) ||
	       rest_until(candidate) > now_ms;
}

/* true: the backend is down from now on. */
static bool
note_failure(struct backends *backends, size_t i,
    const struct backend_addresses *addresses, int errnum, int64_t now_ms)
{
	return backend_state_fail(backends->items[i].state, errnum,
	    have_all_failed(addresses), now_ms);
}

static struct backend_addresses *
current_addresses(struct backends *backends, size_t i)
{
	struct backend_addresses *addresses;

	mutex_lock(&backends->lock);
	addresses = ref_addresses(backends->items[i].addresses);
	mutex_unlock(&backends->lock);
	return addresses;
}

/* Takes the caller's reference to `fresh`. */
static void
give_addresses(
    struct backends *backends, size_t i, struct backend_addresses *fresh)
{
	struct backend_addresses *old;

	mutex_lock(&backends->lock);
	old = backends->items[i].addresses;
	backends->items[i].addresses = fresh;
	mutex_unlock(&backends->lock);
	unref_addresses(old);
}

static bool
init_backend(struct backend *backend, const struct config_connect *connect,
    struct backend_states *states)
{
	bool fixed = connect->fixed.len > 0;

	backend->state = backend_state_get(states, connect->text);
	if (backend->state == NULL)
		return false;
	backend->port = fixed ? addr_port(&connect->fixed) : connect->port;
	backend->text = strdup(connect->text);
	if (backend->text == NULL)
		return false;
	if (fixed) {
		backend->addresses = new_addresses(
		    &connect->fixed, 1, backend->port);
		return backend->addresses != NULL;
	}
	backend->host = strdup(connect->host);
	return backend->host != NULL;
}

struct backends *
backends_new(
    const struct config_listener *config, struct backend_states *states)
{
	size_t count = config->connect.count;
	struct backends *backends;

	backends = calloc(
	    1, sizeof(*backends) + count * sizeof(backends->items[0]));
	if (backends == NULL)
		return NULL;
	atomic_init(&backends->references, 1);
	mutex_init(&backends->lock);
	backends->balance = config->balance;
	backends->retry_after_ms = config->retry_after_ms;
	backends->check = (struct backends_check){
		.enabled = config->check == CHECK_TCP,
		.interval_ms = config->check_interval_ms,
		.timeout_ms = config->timeout_connect_ms,
	};
	backends->count = count;
	for (size_t i = 0; i < count; i++) {
		if (!init_backend(
			&backends->items[i], &config->connect.items[i], states))
			goto fail;
	}
	return backends;
fail:
	backends_unref(backends);
	return NULL;
}

struct backends *
backends_ref(struct backends *backends)
{
	atomic_fetch_add_explicit(
	    &backends->references, 1, memory_order_relaxed);
	return backends;
}

void
backends_unref(struct backends *backends)
{
	if (backends == NULL || atomic_fetch_sub_explicit(&backends->references,
				    1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < backends->count; i++) {
		unref_addresses(backends->items[i].addresses);
		backend_state_unref(backends->items[i].state);
		free(backends->items[i].host);
		free(backends->items[i].text);
	}
	mutex_fini(&backends->lock);
	free(backends);
}

static bool
is_same_target(const struct backend *a, const struct backend *b)
{
	if (a->host == NULL || b->host == NULL)
		return a->host == b->host && strcmp(a->text, b->text) == 0;
	return a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

/* When checks begin, the last outcome may be of long ago: until the first check
 * an address rests for retry_after alone. */
static void
forget_outcomes(struct backend_addresses *addresses)
{
	for (size_t i = 0; i < addresses->count; i++)
		set_outcome(&addresses->items[i], false,
		    rest_until(&addresses->items[i]));
}

void
backends_inherit(struct backends *fresh, struct backends *old)
{
	bool checks_begin = fresh->check.enabled && !old->check.enabled;

	for (size_t i = 0; i < fresh->count; i++) {
		for (size_t j = 0; j < old->count; j++) {
			struct backend_addresses *known;

			if (!is_same_target(&fresh->items[i], &old->items[j]))
				continue;
			atomic_store_explicit(&fresh->items[i].errors,
			    atomic_load_explicit(
				&old->items[j].errors, memory_order_relaxed),
			    memory_order_relaxed);
			known = current_addresses(old, j);
			if (known != NULL && checks_begin)
				forget_outcomes(known);
			if (known != NULL)
				give_addresses(fresh, i, known);
			break;
		}
	}
}

size_t
backends_count(const struct backends *backends)
{
	return backends->count;
}

const char *
backends_name(const struct backends *backends, size_t i)
{
	return backends->items[i].text;
}

const char *
backends_host(const struct backends *backends, size_t i, uint16_t *port)
{
	*port = backends->items[i].port;
	return backends->items[i].host;
}

bool
backends_resolved(struct backends *backends, size_t i)
{
	bool resolved;

	mutex_lock(&backends->lock);
	resolved = backends->items[i].addresses != NULL;
	mutex_unlock(&backends->lock);
	return resolved;
}

bool
backends_put(struct backends *backends, size_t i, const struct addr *addresses,
    size_t count)
{
	struct backend_addresses *fresh, *old;

	if (count == 0)
		return false;
	fresh = new_addresses(addresses, count, backends->items[i].port);
	if (fresh == NULL)
		return false;
	old = current_addresses(backends, i);
	if (old != NULL && are_equal(fresh, old)) {
		unref_addresses(fresh);
	} else {
		if (old != NULL)
			keep_rests(fresh, old);
		give_addresses(backends, i, fresh);
	}
	unref_addresses(old);
	return true;
}

/* Without checks a backend that failed and is not tried again, because another
 * one serves, would count as down for ever: it is "up" after its rest. */
static enum backend_condition
condition_of(const struct backend_view *view, bool down)
{
	if (view->checked)
		return down ? BACKEND_DOWN : BACKEND_UP;
	return view->resting < view->addresses ? BACKEND_UP : BACKEND_RESTING;
}

void
backends_view(struct backends *backends, size_t i, int64_t now_ms,
    struct backend_view *view)
{
	struct backend_addresses *addresses = current_addresses(backends, i);
	const struct backend *backend = &backends->items[i];
	struct backend_status status = backend_state_read(backend->state);

	*view = (struct backend_view){
		.name = backend->text,
		.errors = atomic_load_explicit(
		    &backend->errors, memory_order_relaxed),
		.condition = BACKEND_UNRESOLVED,
		.checked = backends->check.enabled,
		.since_ms = status.since_ms,
		.errnum = status.errnum,
		.error_ms = status.error_ms,
	};
	if (addresses == NULL)
		return;
	view->addresses = addresses->count;
	for (size_t k = 0; k < addresses->count; k++)
		if (is_resting(backends, &addresses->items[k], now_ms))
			view->resting++;
	unref_addresses(addresses);
	view->condition = condition_of(view, status.down);
	if (view->condition == BACKEND_UP && status.down)
		view->since_ms = 0;
}

/* ---- checks ---- */

struct backends_check
backends_check(const struct backends *backends)
{
	return backends->check;
}

size_t
backends_addresses(
    struct backends *backends, size_t i, struct addr out[BACKEND_ADDRESSES_MAX])
{
	struct backend_addresses *addresses = current_addresses(backends, i);
	size_t count = 0;

	if (addresses == NULL)
		return 0;
	for (; count < addresses->count && count < BACKEND_ADDRESSES_MAX;
	     count++)
		out[count] = addresses->items[count].addr;
	unref_addresses(addresses);
	return count;
}

/* No descriptor or memory: the next address would fail, too. */
static bool
is_exhausted(int errnum)
{
	return errnum == EMFILE || errnum == ENFILE || errnum == ENOMEM ||
	       errnum == ENOBUFS;
}

/* No fault of the backend's: also no local port or source address. */
static bool
is_local_error(int errnum)
{
	return is_exhausted(errnum) || errnum == EADDRNOTAVAIL;
}

static enum backend_change
note_failed_check(struct backends *backends, size_t i,
    struct backend_addresses *addresses, int errnum, int64_t now_ms)
{
	struct backend *backend = &backends->items[i];

	if (backend->host != NULL)
		atomic_store_explicit(
		    &backend->failed, true, memory_order_relaxed);
	return note_failure(backends, i, addresses, errnum, now_ms)
		   ? BACKEND_WENT_DOWN
		   : BACKEND_UNCHANGED;
}

enum backend_change
backends_checked(struct backends *backends, size_t i, const struct addr *addr,
    int errnum, int64_t now_ms, int64_t *down_ms)
{
	struct backend_addresses *addresses = current_addresses(backends, i);
	struct candidate *candidate = addresses ? find(addresses, addr) : NULL;
	enum backend_change change = BACKEND_UNCHANGED;

	if (candidate != NULL && errnum == 0) {
		set_outcome(candidate, false, 0);
		if (backend_state_succeed(
			backends->items[i].state, now_ms, down_ms))
			change = BACKEND_CAME_UP;
	} else if (candidate != NULL && !is_local_error(errnum)) {
		set_outcome(candidate, true, now_ms + backends->retry_after_ms);
		change = note_failed_check(
		    backends, i, addresses, errnum, now_ms);
	}
	unref_addresses(addresses);
	return change;
}

bool
backends_failed(const struct backends *backends, size_t i)
{
	return atomic_load_explicit(
	    &backends->items[i].failed, memory_order_relaxed);
}

void
backends_clear_failed(struct backends *backends, size_t i)
{
	atomic_store_explicit(
	    &backends->items[i].failed, false, memory_order_relaxed);
}

/* ---- the walk ---- */

void
backend_walk_init(struct backend_walk *walk, struct backends *backends)
{
	*walk = (struct backend_walk){ .backends = backends };
	if (backends->balance == BALANCE_RR && backends->count > 0)
		walk->first = atomic_fetch_add_explicit(
				  &backends->turn, 1, memory_order_relaxed) %
			      backends->count;
}

void
backend_walk_fini(struct backend_walk *walk)
{
	unref_addresses(walk->addresses);
	walk->addresses = NULL;
}

/* Enter the next backend with an address; false: none is left. */
static bool
enter_next_backend(struct backend_walk *walk)
{
	struct backends *backends = walk->backends;

	backend_walk_fini(walk);
	while (walk->addresses == NULL) {
		if (walk->step == backends->count) {
			if (walk->second_round || !walk->passed_over)
				return false;
			walk->second_round = true;
			walk->step = 0;
			walk->met = 0;
		}
		walk->current = (walk->first + walk->step++) % backends->count;
		walk->addresses = current_addresses(backends, walk->current);
		if (walk->addresses == NULL)
			walk->saw_unresolved = true;
	}
	walk->next_address = 0;
	return true;
}

/*
 * Is this candidate to be tried now?  `tried` numbers addresses in the order of
 * the walk: beyond its 64 bits, or when a backend got new addresses in between,
 * an address may be tried twice or not again, which does no harm.
 */
static bool
is_due(struct backend_walk *walk, struct candidate *candidate, int64_t now)
{
	uint64_t bit = walk->met < 64 ? UINT64_C(1) << walk->met : 0;

	walk->met++;
	if (walk->second_round)
		return bit != 0 && (walk->tried & bit) == 0;
	if (is_resting(walk->backends, candidate, now)) {
		walk->passed_over = true;
		return false;
	}
	walk->tried |= bit;
	return true;
}

bool
backend_walk_has_more(const struct backend_walk *walk)
{
	return walk->addresses != NULL &&
	       walk->next_address < walk->addresses->count;
}

/* Of the backend being tried. */
static struct candidate *
next_address(struct backend_walk *walk, int64_t now_ms)
{
	struct candidate *candidate;

	while (backend_walk_has_more(walk)) {
		candidate = &walk->addresses->items[walk->next_address++];
		if (is_due(walk, candidate, now_ms))
			return candidate;
	}
	return NULL;
}

static struct candidate *
next_candidate(struct backend_walk *walk, int64_t now_ms)
{
	struct candidate *candidate;

	while ((candidate = next_address(walk, now_ms)) == NULL) {
		if (!enter_next_backend(walk))
			return NULL;
	}
	return candidate;
}

int
backend_connect(const struct addr *addr, int *fd)
{
	int errnum;

	*fd = socket(
	    addr->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return errno;
	if (connect(*fd, &addr->sa, addr->len) == 0)
		return 0;
	errnum = errno;
	/* POSIX: an interrupted connect goes on by itself. */
	if (errnum == EINPROGRESS || errnum == EINTR)
		return EINPROGRESS;
	close(*fd);
	*fd = -1;
	return errnum;
}

typedef struct candidate *next_fn(struct backend_walk *walk, int64_t now_ms);

static enum backend_answer
open_next(struct backend_walk *walk, next_fn *next, int64_t now_ms, int *fd)
{
	int errnum;

	*fd = -1;
	/* The next one would fail for the same reason. */
	if (walk->exhausted)
		return BACKEND_NONE;
	walk->candidate = next(walk, now_ms);
	if (walk->candidate == NULL)
		return BACKEND_NONE;
	errnum = backend_connect(&walk->candidate->addr, fd);
	if (errnum == 0)
		return BACKEND_CONNECTED;
	if (errnum == EINPROGRESS)
		return BACKEND_CONNECTING;
	walk->exhausted = is_exhausted(errnum);
	backend_walk_failed(walk, walk->candidate, errnum, now_ms);
	return BACKEND_FAILED;
}

enum backend_answer
backend_walk_next(struct backend_walk *walk, int64_t now_ms, int *fd)
{
	return open_next(walk, next_candidate, now_ms, fd);
}

enum backend_answer
backend_walk_more(struct backend_walk *walk, int64_t now_ms, int *fd)
{
	struct backend_walk before = *walk;
	enum backend_answer answer = open_next(walk, next_address, now_ms, fd);

	/* Without a descriptor or memory for one more, the connect in progress
	 * goes on; the address can be tried after it. */
	if (!walk->exhausted || before.exhausted)
		return answer;
	*walk = before;
	return BACKEND_NONE;
}

static int
socket_error(int fd)
{
	int errnum = 0;
	socklen_t len = sizeof(errnum);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &len) < 0)
		return errno;
	return errnum;
}

/*
 * The kernel may choose the port that is connected to as the local one.  If no
 * process listens there, TCP connects the socket to itself (a simultaneous
 * open, RFC 9293 section 3.5).
 */
static bool
is_own_peer(int fd, const struct sockaddr_storage *peer, socklen_t len)
{
	struct sockaddr_storage local = { .ss_family = AF_UNSPEC };
	socklen_t local_len = sizeof(local);
	struct addr a, b;

	if (peer->ss_family == AF_UNIX ||
	    getsockname(fd, (struct sockaddr *)&local, &local_len) != 0)
		return false;
	addr_from_sockaddr(&a, (const struct sockaddr *)peer, len);
	addr_from_sockaddr(&b, (const struct sockaddr *)&local, local_len);
	return addr_equal(&a, &b);
}

/*
 * A connect on the same machine, TCP too, is decided as soon as it was begun:
 * getpeername shows that at once, without a watcher and a turn of the loop.
 */
int
backend_connect_outcome(int fd)
{
	struct sockaddr_storage peer = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(peer);
	int errnum;

	if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0)
		return is_own_peer(fd, &peer, len) ? ECONNREFUSED : 0;
	if (errno != ENOTCONN)
		return errno;
	errnum = socket_error(fd);
	return errnum != 0 ? errnum : EINPROGRESS;
}

/* The first failure since the last look-up requests the next one. */
static void
request_look_up(struct backend_walk *walk)
{
	struct backend *backend = &walk->backends->items[walk->current];

	if (backend->host == NULL || atomic_exchange_explicit(&backend->failed,
					 true, memory_order_relaxed))
		return;
	if (walk->look_up != NULL)
		*walk->look_up = true;
}

void
backend_walk_overtaken(
    struct backend_walk *walk, struct candidate *candidate, int64_t now_ms)
{
	set_outcome(candidate, true, now_ms + walk->backends->retry_after_ms);
	request_look_up(walk);
}

void
backend_walk_failed(struct backend_walk *walk, struct candidate *candidate,
    int errnum, int64_t now_ms)
{
	walk->last_errno = errnum;
	if (is_local_error(errnum))
		return;
	atomic_fetch_add_explicit(&walk->backends->items[walk->current].errors,
	    1, memory_order_relaxed);
	backend_walk_overtaken(walk, candidate, now_ms);
	if (note_failure(
		walk->backends, walk->current, walk->addresses, errnum, now_ms))
		walk->went_down = true;
}

bool
backend_walk_connected(struct backend_walk *walk, struct candidate *candidate,
    int64_t now_ms, int64_t *down_ms)
{
	/* The usual case writes nothing that threads share. */
	if (has_failed(candidate) || rest_until(candidate) != 0)
		set_outcome(candidate, false, 0);
	return backend_state_succeed(
	    walk->backends->items[walk->current].state, now_ms, down_ms);
}

const char *
backend_error_text(int errnum, char *out, size_t max)
{
	/* unix(7): what connect reports there instead of waiting. */
	if (errnum == EAGAIN)
		return "its listen queue is full";
	return strerror_r(errnum, out, max);
}

const char *
backend_walk_name(const struct backend_walk *walk)
{
	if (walk->step == 0)
		return NULL;
	return walk->backends->items[walk->current].text;
}
