/*
 * The queue between the staple thread and the disk, and the thread that empties
 * it.  Nothing is written under the lock.  A disk that hangs cannot be
 * interrupted: a thread that is stuck in it when the writer is stopped is left
 * the whole object, with its reference to the store, and frees it should it
 * ever come back.  What failed waits in a list of its own, so that it neither
 * holds up the rest nor is tried in a hurry.
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
#include "staple/cert.h"
#include "staple/response.h"
#include "staple/store.h"

enum {
	RETRY_MS = 60 * 1000,
	STOP_MS = 2000,
	ID_SIZE = 2 * STAPLE_KEY_SIZE + 1
};

/* Belongs to the list it is in; while it is written, to the thread. */
struct job {
	struct list node;
	char id[ID_SIZE];
	struct staple_response *response; /* owned reference; or else */
	struct staple_store *store;       /* ...bytes for this one, a ref. */
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
	staple_writer_fn *told;
	void *arg;

	/* under lock */
	struct list queued;
	struct list failed;
	unsigned failures; /* jobs, wherever they are, that have failed */
	int64_t retry_ms;  /* monotonic; when some wait in `failed` */
	bool is_telling;
	bool is_stopping;
	bool is_ended;
	bool is_abandoned;

	/* whoever starts and stops */
	struct thread thread;
};

static struct job *find_locked(struct staple_writer *writer, const char *id)
    REQUIRES(writer->lock);
static void wait_locked(struct staple_writer *writer) REQUIRES(writer->lock);
static struct job *settle_locked(struct staple_writer *writer, struct job *job,
    bool ok, int64_t now_ms) REQUIRES(writer->lock);

static void
free_job(struct job *job)
{
	if (job == NULL)
		return;
	staple_response_unref(job->response);
	if (job->store != NULL)
		staple_store_close(job->store);
	free(job->data);
	free(job);
}

static void
free_jobs(struct list *jobs)
{
	LIST_FOREACH(jobs, node) {
		free_job(container_of(node, struct job, node));
	}
	list_init(jobs);
}

static void
destroy(struct staple_writer *writer)
{
	free_jobs(&writer->queued);
	free_jobs(&writer->failed);
	staple_store_close(writer->store);
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

static struct job *
find_in(struct list *jobs, const char *id)
{
	LIST_FOREACH(jobs, node) {
		struct job *job = container_of(node, struct job, node);

		if (strcmp(job->id, id) == 0)
			return job;
	}
	return NULL;
}

/* There is at most one, and the one that is being written besides. */
static struct job *
find_locked(struct staple_writer *writer, const char *id)
{
	struct job *job = find_in(&writer->queued, id);

	return job != NULL ? job : find_in(&writer->failed, id);
}

/* ---- the thread ---- */

static void
wait_locked(struct staple_writer *writer)
{
	struct timespec until = moment(writer->retry_ms);

	if (list_is_empty(&writer->failed))
		pthread_cond_wait(&writer->work, &writer->lock.native);
	else if (pthread_cond_timedwait(
		     &writer->work, &writer->lock.native, &until) == ETIMEDOUT)
		list_splice(&writer->queued, &writer->failed);
}

/* NULL: it is time to end. */
static struct job *
next_job(struct staple_writer *writer)
{
	struct job *job = NULL;

	mutex_lock(&writer->lock);
	while (list_is_empty(&writer->queued) && !writer->is_stopping)
		wait_locked(writer);
	if (!list_is_empty(&writer->queued)) {
		job = container_of(writer->queued.next, struct job, node);
		list_remove(&job->node);
	}
	mutex_unlock(&writer->lock);
	return job;
}

/* Returns the job if nobody needs it any more. */
static struct job *
settle_locked(
    struct staple_writer *writer, struct job *job, bool ok, int64_t now_ms)
{
	struct job *newer;

	writer->failures -= job->failed;
	if (ok)
		return job;
	writer->failures++;
	newer = find_locked(writer, job->id);
	if (newer != NULL) {
		newer->failed = true;
		return job;
	}
	/* The first to wait says how long: others must not prolong it. */
	if (list_is_empty(&writer->failed))
		writer->retry_ms = now_ms + RETRY_MS;
	job->failed = true;
	list_append(&writer->failed, &job->node);
	return NULL;
}

/* What came of a job; whether that is to be told. */
static bool
settle(struct staple_writer *writer, struct job *job, bool ok)
{
	int64_t now_ms = clock_mono_ms();
	bool failed_before, telling;

	mutex_lock(&writer->lock);
	failed_before = writer->failures > 0;
	job = settle_locked(writer, job, ok, now_ms);
	telling = !writer->is_abandoned &&
		  failed_before != (writer->failures > 0);
	writer->is_telling = telling;
	mutex_unlock(&writer->lock);
	free_job(job);
	return telling;
}

static void
tell(struct staple_writer *writer, const char *id, const char *failure)
{
	writer->told(writer->arg, id, failure);
	mutex_lock(&writer->lock);
	writer->is_telling = false;
	pthread_cond_signal(&writer->ended);
	mutex_unlock(&writer->lock);
}

static void
write_job(struct staple_writer *writer, struct job *job)
{
	struct staple_store *store = writer->store;
	const unsigned char *der = job->data;
	size_t len = job->len;
	char id[ID_SIZE];
	struct err err;
	bool ok;

	memcpy(id, job->id, sizeof(id));
	if (job->response != NULL)
		der = staple_response_der(job->response, &len);
	else
		store = job->store;
	ok = staple_store_write(store, id, der, len, &err);
	if (settle(writer, job, ok))
		tell(writer, id, ok ? NULL : err.text);
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
	struct job *job;

	while ((job = next_job(writer)) != NULL)
		write_job(writer, job);
	finish(writer);
}

/* ---- its owner ---- */

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
staple_writer_start(struct staple_store *store, staple_writer_fn *told,
    void *arg, struct err *err)
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
	writer->told = told;
	writer->arg = arg;
	if (thread_start(&writer->thread, "staple-writer", run, writer, err))
		return writer;
	destroy(writer);
	return NULL;
}

/* The queued job keeps its place and takes what is new. */
static void
swap_contents(struct job *queued, struct job *fresh)
{
	struct job old = *queued;

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
enqueue(struct staple_writer *writer, struct job *job)
{
	struct job *queued;

	mutex_lock(&writer->lock);
	queued = find_locked(writer, job->id);
	if (queued != NULL) {
		swap_contents(queued, job);
	} else {
		list_append(&writer->queued, &job->node);
		job = NULL;
	}
	pthread_cond_signal(&writer->work);
	mutex_unlock(&writer->lock);
	free_job(job);
}

void
staple_writer_save(struct staple_writer *writer, const char *id,
    struct staple_response *response)
{
	struct job *job = calloc(1, sizeof(*job));

	if (job == NULL)
		return;
	snprintf(job->id, sizeof(job->id), "%s", id);
	job->response = staple_response_ref(response);
	enqueue(writer, job);
}

void
staple_writer_save_bytes(struct staple_writer *writer, const char *id,
    struct staple_store *store, const unsigned char *data, size_t len)
{
	struct job *job = calloc(1, sizeof(*job));

	if (job == NULL)
		return;
	snprintf(job->id, sizeof(job->id), "%s", id);
	job->store = staple_store_ref(store);
	job->len = len;
	job->data = malloc(len);
	if (job->data == NULL) {
		free_job(job);
		return;
	}
	memcpy(job->data, data, len);
	enqueue(writer, job);
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
	while (writer->is_telling)
		pthread_cond_wait(&writer->ended, &writer->lock.native);
	is_ended = writer->is_ended;
	writer->is_abandoned = !is_ended;
	mutex_unlock(&writer->lock);
	/* From here on an abandoned writer belongs to its thread. */
	free_jobs(&lost);
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
