/*
 * The queue between the staple thread and the disk, and the thread that empties
 * it.  Nothing is written under the lock.  A disk that hangs cannot be
 * interrupted: a thread that hangs in it when the writer is stopped keeps the
 * whole object, with its reference to the store, and frees it if it returns.
 * Failed writes wait in a second list, so that they do not delay the others and
 * are not repeated at once.
 *
 * Another process may have saved a newer response since ours was fetched.  The
 * file is verified and compared before each write; what remains is the moment
 * between that and the rename, and the next regular fetch repairs it.
 */
#include "staple/writer.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"
#include "base/mutex.h"
#include "base/thread.h"
#include "staple/cache.h"
#include "staple/cert.h"
#include "staple/response.h"
#include "staple/store.h"

enum {
	RETRY_MS = 60 * 1000,
	STOP_MS = 2000,
	SWEEP_MS = 24 * 3600 * 1000,
	FILE_MAX = 1024 * 1024, /* a larger one is no response */
	ID_SIZE = 2 * STAPLE_KEY_SIZE + 1
};

/* Belongs to the list it is in; while it is written, to the thread. */
struct save {
	struct list node;
	char id[ID_SIZE];
	struct staple_cert *cert;         /* owned; of a response */
	struct staple_response *response; /* owned; NULL: bytes for a store */
	struct staple_claim *claim;       /* until it was tried once; NULL */
	struct staple_store *store;       /* of the bytes; a reference */
	unsigned char *data;
	size_t len;
	bool failed; /* when it was last tried */
};

struct staple_writer {
	/* fixed at creation */
	struct mutex lock;
	pthread_cond_t work;  /* for the thread */
	pthread_cond_t ended; /* for staple_writer_stop */
	struct staple_store *store;
	struct staple_store *issuers; /* swept as well; NULL: none */
	struct staple_cache *cache;   /* its certificates have known files */
	staple_writer_fn *on_failure;
	void *arg;

	/* under lock */
	struct list queued;
	struct list failed;
	unsigned failures; /* saves, wherever they are, that have failed */
	int64_t retry_ms;  /* monotonic; when some wait in `failed` */
	bool is_reporting;
	bool is_stopping;
	bool is_ended;
	bool is_abandoned;

	/* the thread alone */
	struct staple_sweep *sweep; /* NULL: none is going on */
	bool sweeps_issuers;        /* of the current sweep, or of the next */
	int64_t sweep_ms;           /* monotonic; when the next one begins */

	/* the thread that starts and stops */
	struct thread thread;
};

static struct save *find_locked(struct staple_writer *writer, const char *id)
    REQUIRES(writer->lock);
static void wait_locked(struct staple_writer *writer) REQUIRES(writer->lock);
static struct save *settle_locked(struct staple_writer *writer,
    struct save *save, bool ok, int64_t now_ms) REQUIRES(writer->lock);

static void
free_save(struct save *save)
{
	if (save == NULL)
		return;
	staple_claim_release(save->claim);
	staple_response_unref(save->response);
	staple_cert_unref(save->cert);
	if (save->store != NULL)
		staple_store_close(save->store);
	free(save->data);
	free(save);
}

static void
free_saves(struct list *saves)
{
	LIST_FOREACH(saves, node) {
		free_save(container_of(node, struct save, node));
	}
	list_init(saves);
}

static void
destroy(struct staple_writer *writer)
{
	free_saves(&writer->queued);
	free_saves(&writer->failed);
	staple_sweep_close(writer->sweep);
	staple_store_close(writer->store);
	if (writer->issuers != NULL)
		staple_store_close(writer->issuers);
	staple_cache_unref(writer->cache);
	pthread_cond_destroy(&writer->ended);
	pthread_cond_destroy(&writer->work);
	mutex_fini(&writer->lock);
	free(writer);
}

static struct timespec
moment(int64_t mono_ms)
{
	return (struct timespec){ .tv_sec = mono_ms / 1000,
		.tv_nsec = mono_ms % 1000 * 1000000 };
}

static struct save *
find_in(struct list *saves, const char *id)
{
	LIST_FOREACH(saves, node) {
		struct save *save = container_of(node, struct save, node);

		if (strcmp(save->id, id) == 0)
			return save;
	}
	return NULL;
}

/* There is at most one, and the one that is being written besides. */
static struct save *
find_locked(struct staple_writer *writer, const char *id)
{
	struct save *save = find_in(&writer->queued, id);

	return save != NULL ? save : find_in(&writer->failed, id);
}

/* ---- the thread ---- */

/* Until there is work, or one of the two times has come. */
static void
wait_locked(struct staple_writer *writer)
{
	bool retries = !list_is_empty(&writer->failed) &&
		       writer->retry_ms < writer->sweep_ms;
	struct timespec until = moment(
	    retries ? writer->retry_ms : writer->sweep_ms);

	if (pthread_cond_timedwait(
		&writer->work, &writer->lock.native, &until) != ETIMEDOUT)
		return;
	if (retries)
		list_splice(&writer->queued, &writer->failed);
	else
		writer->sweep_ms = 0;
}

static bool
is_sweeping(const struct staple_writer *writer)
{
	return writer->sweep != NULL || writer->sweep_ms == 0;
}

/* A save, or NULL: sweep on.  false: it is time to end. */
static bool
next_work(struct staple_writer *writer, struct save **save)
{
	bool goes_on;

	*save = NULL;
	mutex_lock(&writer->lock);
	while (list_is_empty(&writer->queued) && !writer->is_stopping &&
	       !is_sweeping(writer))
		wait_locked(writer);
	if (!list_is_empty(&writer->queued)) {
		*save = container_of(writer->queued.next, struct save, node);
		list_remove(&(*save)->node);
	}
	goes_on = *save != NULL || !writer->is_stopping;
	mutex_unlock(&writer->lock);
	return goes_on;
}

/* Returns the save if it is not needed any more. */
static struct save *
settle_locked(
    struct staple_writer *writer, struct save *save, bool ok, int64_t now_ms)
{
	struct save *newer;

	writer->failures -= save->failed;
	if (ok)
		return save;
	writer->failures++;
	newer = find_locked(writer, save->id);
	if (newer != NULL) {
		newer->failed = true;
		return save;
	}
	/* The first failure sets the time; later ones must not prolong it. */
	if (list_is_empty(&writer->failed))
		writer->retry_ms = now_ms + RETRY_MS;
	save->failed = true;
	list_append(&writer->failed, &save->node);
	return NULL;
}

/* The result of a save, and whether it is reported. */
static bool
settle(struct staple_writer *writer, struct save *save, bool ok)
{
	int64_t now_ms = clock_mono_ms();
	bool failed_before, reporting;

	mutex_lock(&writer->lock);
	failed_before = writer->failures > 0;
	save = settle_locked(writer, save, ok, now_ms);
	reporting = !writer->is_abandoned &&
		    failed_before != (writer->failures > 0);
	writer->is_reporting = reporting;
	mutex_unlock(&writer->lock);
	free_save(save);
	return reporting;
}

static void
report(struct staple_writer *writer, const char *id, const char *failure)
{
	writer->on_failure(writer->arg, id, failure);
	mutex_lock(&writer->lock);
	writer->is_reporting = false;
	pthread_cond_signal(&writer->ended);
	mutex_unlock(&writer->lock);
}

/* Does the file hold a valid response of this certificate that ours must not
 * replace? */
static bool
is_newer(const struct save *save, const struct staple_bytes *bytes)
{
	/* A response without nextUpdate that is too old is older than ours. */
	const struct staple_clock clock = { .now_s = clock_wall_ms() / 1000,
		.default_lifetime_s = INT32_MAX };
	struct staple_result checked;
	struct staple_response *saved;
	bool newer;

	saved = staple_response_verify(
	    save->cert, bytes->data, bytes->len, &clock, &checked);
	newer = saved != NULL && !staple_response_may_replace(
				     saved, save->response, clock.now_s);
	staple_response_unref(saved);
	return newer;
}

/* Has another process saved this one, or a newer one? */
static bool
is_saved(struct staple_writer *writer, const struct save *save)
{
	struct staple_bytes bytes;
	const unsigned char *der;
	struct err err;
	bool saved;
	size_t len;

	if (!staple_store_read(
		writer->store, save->id, FILE_MAX, &bytes, &err) ||
	    bytes.data == NULL)
		return false;
	der = staple_response_der(save->response, &len);
	saved = (bytes.len == len && memcmp(bytes.data, der, len) == 0) ||
		is_newer(save, &bytes);
	free(bytes.data);
	return saved;
}

static void
write_save(struct staple_writer *writer, struct save *save)
{
	struct staple_store *store = writer->store;
	const unsigned char *der = save->data;
	size_t len = save->len;
	char id[ID_SIZE];
	struct err err;
	bool ok;

	memcpy(id, save->id, sizeof(id));
	if (save->response != NULL)
		der = staple_response_der(save->response, &len);
	else
		store = save->store;
	ok = (save->response != NULL && is_saved(writer, save)) ||
	     staple_store_write(store, id, der, len, &err);
	staple_claim_release(save->claim);
	save->claim = NULL;
	if (settle(writer, save, ok))
		report(writer, id, ok ? NULL : err.text);
}

static bool
read_digit(char digit, unsigned char *value)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = digit != '\0' ? strchr(digits, digit) : NULL;

	if (at == NULL)
		return false;
	*value = (unsigned char)(*value << 4 | (at - digits));
	return true;
}

/* The certificate is watched, wanted or not. */
static bool
is_known(void *arg, const char *id)
{
	struct staple_writer *writer = arg;
	unsigned char key[STAPLE_KEY_SIZE] = { 0 };
	struct staple_entry *entry;

	for (size_t i = 0; i < 2 * sizeof(key); i++) {
		if (!read_digit(id[i], &key[i / 2]))
			return false;
	}
	entry = staple_cache_find(writer->cache, key);
	staple_entry_unref(entry);
	return entry != NULL;
}

/* A step, so that a large folder delays neither a save nor the end. */
static void
sweep(struct staple_writer *writer)
{
	bool issuers = writer->sweeps_issuers;

	if (writer->sweep == NULL)
		writer->sweep = staple_sweep_open(
		    issuers ? writer->issuers : writer->store,
		    clock_wall_ms() / 1000, issuers ? NULL : is_known, writer);
	if (writer->sweep != NULL && staple_sweep_step(writer->sweep))
		return;
	staple_sweep_close(writer->sweep);
	writer->sweep = NULL;
	writer->sweeps_issuers = !issuers && writer->issuers != NULL;
	if (writer->sweeps_issuers)
		return;
	writer->sweep_ms = clock_mono_ms() + SWEEP_MS;
}

/* staple_writer_stop joins after is_ended; what it abandoned is freed here. */
static void
finish(struct staple_writer *writer)
{
	bool is_abandoned;

	mutex_lock(&writer->lock);
	writer->is_ended = true;
	is_abandoned = writer->is_abandoned;
	pthread_cond_signal(&writer->ended);
	mutex_unlock(&writer->lock);
	if (is_abandoned)
		destroy(writer);
}

static void
run(void *arg)
{
	struct staple_writer *writer = arg;
	struct save *save;

	while (next_work(writer, &save)) {
		if (save != NULL)
			write_save(writer, save);
		else
			sweep(writer);
	}
	finish(writer);
}

/* ---- functions of the owner ---- */

static void
init_conditions(struct staple_writer *writer)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&writer->work, &attr);
	pthread_cond_init(&writer->ended, &attr);
	pthread_condattr_destroy(&attr);
}

struct staple_writer *
staple_writer_start(struct staple_store *store, struct staple_store *issuers,
    struct staple_cache *cache, staple_writer_fn *on_failure, void *arg,
    struct err *err)
{
	struct staple_writer *writer = calloc(1, sizeof(*writer));

	if (writer == NULL) {
		err_set(err, "no memory to save responses");
		return NULL;
	}
	mutex_init(&writer->lock);
	init_conditions(writer);
	list_init(&writer->queued);
	list_init(&writer->failed);
	writer->store = staple_store_ref(store);
	if (issuers != NULL)
		writer->issuers = staple_store_ref(issuers);
	writer->cache = staple_cache_ref(cache);
	writer->on_failure = on_failure;
	writer->arg = arg;
	if (thread_start(&writer->thread, "staple-writer", run, writer, err))
		return writer;
	destroy(writer);
	return NULL;
}

/* The queued save keeps its position and takes the new contents. */
static void
swap_contents(struct save *queued, struct save *fresh)
{
	struct save old = *queued;

	/* What has failed may wait for a minute, and a claim must not. */
	if (!queued->failed) {
		queued->claim = fresh->claim;
		fresh->claim = old.claim;
	}
	queued->response = fresh->response;
	queued->store = fresh->store;
	queued->data = fresh->data;
	queued->len = fresh->len;
	fresh->response = old.response;
	fresh->store = old.store;
	fresh->data = old.data;
	fresh->len = old.len;
}

/* A SHA-256 each: an issuer and a response never have the same id. */
static void
enqueue(struct staple_writer *writer, struct save *save)
{
	struct save *queued;

	mutex_lock(&writer->lock);
	queued = find_locked(writer, save->id);
	if (queued != NULL) {
		swap_contents(queued, save);
	} else {
		list_append(&writer->queued, &save->node);
		save = NULL;
	}
	pthread_cond_signal(&writer->work);
	mutex_unlock(&writer->lock);
	free_save(save);
}

void
staple_writer_save(struct staple_writer *writer, struct staple_cert *cert,
    struct staple_response *response, struct staple_claim *claim)
{
	struct save *save = calloc(1, sizeof(*save));

	if (save == NULL) {
		staple_claim_release(claim);
		return;
	}
	memcpy(save->id, cert->id, sizeof(save->id));
	save->cert = staple_cert_ref(cert);
	save->response = staple_response_ref(response);
	save->claim = claim;
	enqueue(writer, save);
}

void
staple_writer_save_bytes(struct staple_writer *writer, const char *id,
    struct staple_store *store, const unsigned char *data, size_t len)
{
	struct save *save = calloc(1, sizeof(*save));

	if (save == NULL)
		return;
	snprintf(save->id, sizeof(save->id), "%s", id);
	save->store = staple_store_ref(store);
	save->len = len;
	save->data = malloc(len);
	if (save->data == NULL) {
		free_save(save);
		return;
	}
	memcpy(save->data, data, len);
	enqueue(writer, save);
}

/* Tell the thread to end and wait for it a while; false: it is stuck. */
static bool
end(struct staple_writer *writer)
{
	struct timespec until = moment(clock_mono_ms() + STOP_MS);
	struct thread thread = writer->thread;
	struct list lost;
	bool is_ended;

	list_init(&lost);
	mutex_lock(&writer->lock);
	writer->is_stopping = true;
	list_splice(&writer->queued, &writer->failed);
	pthread_cond_signal(&writer->work);
	while (!writer->is_ended && pthread_cond_timedwait(&writer->ended,
					&writer->lock.native, &until) == 0)
		;
	list_splice(&lost, &writer->queued);
	while (writer->is_reporting)
		pthread_cond_wait(&writer->ended, &writer->lock.native);
	is_ended = writer->is_ended;
	writer->is_abandoned = !is_ended;
	mutex_unlock(&writer->lock);
	/* From here on an abandoned writer belongs to its thread. */
	free_saves(&lost);
	if (is_ended)
		thread_join(&thread);
	else
		thread_detach(&thread);
	return is_ended;
}

void
staple_writer_stop(struct staple_writer *writer)
{
	if (writer != NULL && end(writer))
		destroy(writer);
}
