/*
 * The tests' getaddrinfo.  Global state, since libcurl's threads come without
 * an argument of ours.  The real one is found behind this one.
 */
#include "tests/support/names.h"

#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int getaddrinfo_fn(const char *node, const char *service,
    const struct addrinfo *hints, struct addrinfo **found);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned asked, hanging, releases;
static char many[256];

static getaddrinfo_fn *
real(void)
{
	/* ISO C has no conversion from an object pointer to a function's. */
	union {
		void *object;
		getaddrinfo_fn *function;
	} symbol = { dlsym(RTLD_NEXT, "getaddrinfo") };

	if (symbol.object == NULL)
		abort();
	return symbol.function;
}

static void
hang(void)
{
	unsigned before;

	pthread_mutex_lock(&lock);
	before = releases;
	hanging++;
	while (releases == before)
		pthread_cond_wait(&changed, &lock);
	hanging--;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

/* freeaddrinfo walks the chain, so two may be joined. */
static int
find_here(
    const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
	int failed = real()("::1", service, hints, found);

	if (failed != 0)
		return real()("127.0.0.1", service, hints, found);
	if (hints->ai_family != AF_INET6)
		failed = real()(
		    "127.0.0.1", service, hints, &(*found)->ai_next);
	return failed;
}

/* libcurl 8.22 looks up one family at a time, and both for one name: IPv4
 * stands for the name. */
static bool
is_second(const struct addrinfo *hints)
{
	return hints->ai_family == AF_INET6;
}

static int
find_many(
    const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
	struct addrinfo **end = found;
	char list[sizeof(many)], *rest = list, *address;

	pthread_mutex_lock(&lock);
	memcpy(list, many, sizeof(list));
	pthread_mutex_unlock(&lock);
	*found = NULL;
	while ((address = strsep(&rest, " ")) != NULL) {
		if (real()(address, service, hints, end) != 0)
			continue;
		while (*end != NULL)
			end = &(*end)->ai_next;
	}
	return *found != NULL ? 0 : EAI_NONAME;
}

static int
look_up(const char *node, const char *service, const struct addrinfo *hints,
    struct addrinfo **found)
{
	struct addrinfo number = *hints;

	number.ai_flags |= AI_NUMERICHOST;
	if (real()(node, service, &number, found) == 0)
		return 0;
	pthread_mutex_lock(&lock);
	asked += !is_second(hints);
	pthread_mutex_unlock(&lock);
	if (strcmp(node, "here.test") == 0)
		return find_here(service, &number, found);
	if (strcmp(node, "many.test") == 0)
		return find_many(service, &number, found);
	if (strcmp(node, "hangs.test") == 0 && !is_second(hints))
		hang();
	return EAI_NONAME;
}

/* An alias, because the parameters' names of libc's are reserved. */
__typeof__(getaddrinfo) getaddrinfo __attribute__((alias("look_up")));

void
names_set(const char *addresses)
{
	pthread_mutex_lock(&lock);
	snprintf(many, sizeof(many), "%s", addresses);
	pthread_mutex_unlock(&lock);
}

unsigned
names_asked(void)
{
	unsigned count;

	pthread_mutex_lock(&lock);
	count = asked;
	pthread_mutex_unlock(&lock);
	return count;
}

unsigned
names_hanging(void)
{
	unsigned count;

	pthread_mutex_lock(&lock);
	count = hanging;
	pthread_mutex_unlock(&lock);
	return count;
}

void
names_release(void)
{
	pthread_mutex_lock(&lock);
	releases++;
	pthread_cond_broadcast(&changed);
	while (hanging > 0)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}
