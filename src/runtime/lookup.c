/*
 * Helper threads for getaddrinfo and the inbox they answer into.  The inbox is
 * counted, because a thread stuck in a dead name server may outlive everyone
 * who waited for it: the last one out closes the descriptor.  The descriptor
 * is written after the lock is released, as every lock here is a leaf.
 */
#include "runtime/lookup.h"

#include <errno.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/err.h"
#include "base/list.h"
#include "base/mutex.h"
#include "base/thread.h"

struct lookups {
	atomic_uint references; /* the owner and every thread */

	/* fixed at creation */
	int event;

	struct mutex lock;

	/* under lock */
	struct list answers;
	bool closed;
};

struct lookup {
	struct list node;
	struct lookups *lookups; /* a reference */
	char *host;
	struct lookup_answer answer;
};

struct lookups *
lookups_new(struct err *err)
{
	struct lookups *lookups = calloc(1, sizeof(*lookups));

	if (lookups == NULL) {
		err_set(err, "out of memory for name look-ups");
		return NULL;
	}
	lookups->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (lookups->event < 0) {
		err_set_errno(err, errno, "no descriptor for name look-ups");
		free(lookups);
		return NULL;
	}
	atomic_init(&lookups->references, 1);
	mutex_init(&lookups->lock);
	list_init(&lookups->answers);
	return lookups;
}

static void
unref(struct lookups *lookups)
{
	if (atomic_fetch_sub_explicit(
		&lookups->references, 1, memory_order_acq_rel) != 1)
		return;
	close(lookups->event);
	mutex_fini(&lookups->lock);
	free(lookups);
}

static void
free_lookup(struct lookup *lookup)
{
	lookup_answer_fini(&lookup->answer);
	free(lookup->host);
	free(lookup);
}

void
lookups_free(struct lookups *lookups)
{
	struct list unread;

	if (lookups == NULL)
		return;
	list_init(&unread);
	mutex_lock(&lookups->lock);
	lookups->closed = true;
	list_splice(&unread, &lookups->answers);
	mutex_unlock(&lookups->lock);

	LIST_FOREACH(&unread, node)
		free_lookup(container_of(node, struct lookup, node));
	unref(lookups);
}

int
lookups_fd(const struct lookups *lookups)
{
	return lookups->event;
}

static void
post(struct lookup *lookup)
{
	const uint64_t one = 1;
	struct lookups *lookups = lookup->lookups;
	bool closed;

	mutex_lock(&lookups->lock);
	closed = lookups->closed;
	if (!closed)
		list_append(&lookups->answers, &lookup->node);
	mutex_unlock(&lookups->lock);

	if (closed)
		free_lookup(lookup);
	else if (write(lookups->event, &one, sizeof(one)) < 0)
		errno = 0; /* only when it is readable already */
	unref(lookups);
}

static bool
has_address(const struct lookup_answer *answer, const struct addr *addr)
{
	size_t i;

	for (i = 0; i < answer->count; i++)
		if (addr_equal(&answer->addresses[i], addr))
			return true;
	return false;
}

static void
copy_addresses(struct lookup_answer *answer, const struct addrinfo *info)
{
	struct addr addr;

	answer->addresses = calloc(
	    LOOKUP_ADDRESSES_MAX, sizeof(answer->addresses[0]));
	if (answer->addresses == NULL) {
		snprintf(answer->why, sizeof(answer->why), "out of memory");
		return;
	}
	for (; info && answer->count < LOOKUP_ADDRESSES_MAX;
	     info = info->ai_next) {
		if (info->ai_family != AF_INET && info->ai_family != AF_INET6)
			continue;
		addr_from_sockaddr(&addr, info->ai_addr, info->ai_addrlen);
		if (!has_address(answer, &addr))
			answer->addresses[answer->count++] = addr;
	}
	if (answer->count == 0)
		snprintf(answer->why, sizeof(answer->why),
		    "the name has no address");
}

void
lookup_now(const char *host, struct lookup_answer *answer)
{
	/* No AI_ADDRCONFIG: it ignores loopback, and a container without a
	 * network still has that. */
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *info = NULL;
	int error;

	answer->addresses = NULL;
	answer->count = 0;
	answer->why[0] = '\0';
	error = getaddrinfo(host, NULL, &hints, &info);
	if (error == EAI_SYSTEM)
		snprintf(
		    answer->why, sizeof(answer->why), "%s", strerror(errno));
	else if (error != 0)
		snprintf(answer->why, sizeof(answer->why), "%s",
		    gai_strerror(error));
	else
		copy_addresses(answer, info);
	if (info)
		freeaddrinfo(info);
}

static void
run(void *arg)
{
	struct lookup *lookup = arg;

	lookup_now(lookup->host, &lookup->answer);
	post(lookup);
}

bool
lookups_start(
    struct lookups *lookups, const char *host, uint64_t id, struct err *err)
{
	struct lookup *lookup = calloc(1, sizeof(*lookup));
	struct thread thread;

	if (lookup == NULL)
		goto no_memory;
	list_init(&lookup->node);
	lookup->answer.id = id;
	lookup->lookups = lookups;
	lookup->host = strdup(host);
	if (lookup->host == NULL)
		goto no_memory;
	atomic_fetch_add_explicit(
	    &lookups->references, 1, memory_order_relaxed);
	if (!thread_start(&thread, "resolve", run, lookup, err)) {
		unref(lookups);
		free_lookup(lookup);
		return false;
	}
	thread_detach(&thread);
	return true;

no_memory:
	err_set(err, "out of memory for a name look-up");
	free(lookup);
	return false;
}

bool
lookups_take(struct lookups *lookups, struct lookup_answer *answer)
{
	struct lookup *lookup = NULL;
	uint64_t count;

	/* Cleared first: an answer posted after this wakes us again. */
	if (read(lookups->event, &count, sizeof(count)) < 0)
		errno = 0; /* EAGAIN: cleared already */
	mutex_lock(&lookups->lock);
	if (!list_is_empty(&lookups->answers)) {
		lookup = container_of(
		    lookups->answers.next, struct lookup, node);
		list_remove(&lookup->node);
	}
	mutex_unlock(&lookups->lock);

	if (lookup == NULL)
		return false;
	*answer = lookup->answer;
	lookup->answer.addresses = NULL;
	free_lookup(lookup);
	return true;
}

void
lookup_answer_fini(struct lookup_answer *answer)
{
	free(answer->addresses);
	answer->addresses = NULL;
	answer->count = 0;
}
