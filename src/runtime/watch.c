/*
 * The watch itself: from an event to a call.  Main thread.  Events only say
 * when to look; whether anything has changed is decided by comparing stamps,
 * so that a lost, merged or misleading event costs a look and never a change.
 * Folders are always watched before what is in them is looked at.
 */
#include "runtime/watch.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "runtime/watch_folders.h"
#include "runtime/watch_inner.h"
#include "runtime/watch_paths.h"
#include "runtime/watch_set.h"

#define QUIET_S 0.3
#define MOST_S 3.0
#define COMPARE_S 60.0
#define REFRESH_MAX 4 /* links that move all the time are not chased */

struct watch {
	/* fixed at creation */
	struct ev_loop *loop;
	struct log *log;
	watch_fn *changed;
	void *arg;
	struct watch_patience patience;

	struct watch_set set;
	struct watch_folders folders;
	struct ev_io events;
	struct ev_timer quiet;   /* till it is over */
	struct ev_timer compare; /* always active */
	bool waits;              /* for quiet: something has happened */
	ev_tstamp since;         /* of the first thing that has */
	bool touched;            /* there was an event */
	bool differs;            /* changed() is owed */
	bool partial;            /* not every folder is watched */
	bool said_space;
	bool said_hidden;
};

static void
wait_for_quiet(struct watch *watch)
{
	ev_tstamp now = ev_now(watch->loop), wait = watch->patience.quiet_s;
	ev_tstamp left;

	/* The timer is no witness: due and not yet called, it is inactive. */
	if (!watch->waits)
		watch->since = now;
	watch->waits = true;
	left = watch->since + watch->patience.most_s - now;
	if (wait > left)
		wait = left > 0 ? left : 0;
	ev_timer_stop(watch->loop, &watch->quiet);
	ev_timer_set(&watch->quiet, wait, 0);
	ev_timer_start(watch->loop, &watch->quiet);
}

static void
say_hidden(struct watch *watch, const char *path)
{
	if (path && !watch->said_hidden)
		log_warning(watch->log, "watch",
		    "a watched file may no longer be looked at, changes are "
		    "not seen; let this user search its folder",
		    LOG_S("file", path));
	watch->said_hidden = path != NULL;
}

/* Is there a change that was not seen before? */
static bool
look(struct watch *watch, bool touched)
{
	struct watch_look result = watch_set_look(
	    &watch->set, touched, clock_wall_ms() * INT64_C(1000000));

	watch->differs |= result.differs;
	say_hidden(watch, result.hidden);
	return result.differs;
}

static void
judge(struct watch *watch, const struct watch_result *result)
{
	watch->partial = result->errnum != 0;
	if (result->errnum != ENOSPC || watch->said_space)
		return;
	watch->said_space = true;
	log_warning(watch->log, "watch",
	    "no more folders can be watched, their files are looked at every "
	    "minute; raise the sysctl fs.inotify.max_user_watches");
}

static bool
gather(struct watch_places *places, const struct watch_set *set)
{
	size_t i;

	for (i = 0; i < set->count; i++)
		if (!watch_places_add(
			places, set->files[i].path, set->files[i].is_folder))
			return false;
	watch_places_sort(places);
	return true;
}

/* Watch the folders that count for these files now. */
static bool
follow_folders(struct watch *watch, const struct watch_set *set,
    struct watch_result *result)
{
	struct watch_places places = { 0 };

	*result = (struct watch_result){ 0 };
	if (watch->folders.fd < 0)
		return true;
	if (!gather(&places, set)) {
		watch_places_fini(&places);
		return false;
	}
	return watch_folders_follow(&watch->folders, &places, result);
}

/* From now on what `names` names (perhaps our own set).  false: no memory, and
 * nothing has happened. */
static bool
adopt(struct watch *watch, const struct watch_set *names,
    struct watch_result *result)
{
	struct watch_set fresh;

	if (!watch_set_expand(&fresh, names))
		return false;
	if (!follow_folders(watch, &fresh, result)) {
		watch_set_fini(&fresh);
		return false;
	}
	watch_set_fini(&watch->set);
	watch->set = fresh;
	judge(watch, result);
	return true;
}

/*
 * As adopt, and again as long as a folder was new: what happened in it between
 * the walk and the watching was not seen.
 */
static bool
refresh(struct watch *watch, const struct watch_set *names)
{
	struct watch_result result;
	int i;

	if (!adopt(watch, names, &result))
		return false;
	for (i = 1; i < REFRESH_MAX; i++) {
		if (!result.added && result.errnum != ENOENT)
			break;
		if (!adopt(watch, &watch->set, &result))
			watch->partial = true;
	}
	return true;
}

static void
on_events(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct watch *watch = io->data;

	(void)loop;
	(void)events;
	if (!watch_folders_read(&watch->folders))
		return;
	watch->touched = true;
	wait_for_quiet(watch);
}

static void
on_quiet(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct watch *watch = timer->data;

	(void)loop;
	(void)events;
	if (!refresh(watch, &watch->set))
		watch->partial = true;
	(void)look(watch, watch->touched);
	watch->touched = false;
	watch->waits = false;
	if (!watch->differs)
		return;
	watch->differs = false;
	watch->changed(watch->arg);
}

static void
on_compare(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct watch *watch = timer->data;

	(void)loop;
	(void)events;
	/* A failure leaves it partial, and there is a next time. */
	if (watch->partial)
		(void)!refresh(watch, &watch->set);
	if (look(watch, false))
		wait_for_quiet(watch);
}

static void
start_comparing(struct watch *watch)
{
	watch->compare.repeat = watch->patience.compare_s;
	ev_timer_again(watch->loop, &watch->compare);
}

static void
open_folders(struct watch *watch)
{
	if (watch_folders_init(&watch->folders)) {
		ev_io_set(&watch->events, watch->folders.fd, EV_READ);
		ev_io_start(watch->loop, &watch->events);
		return;
	}
	log_warning(watch->log, "watch",
	    "the kernel gives no inotify, files are looked at every minute; "
	    "raise the sysctl fs.inotify.max_user_instances or LimitNOFILE",
	    LOG_S("reason", strerror(errno)));
}

struct watch *
watch_new(struct ev_loop *loop, struct log *log, watch_fn *changed, void *arg,
    struct err *err)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	if (watch == NULL) {
		err_set(err, "out of memory for the watch of files");
		return NULL;
	}
	watch->loop = loop;
	watch->log = log;
	watch->changed = changed;
	watch->arg = arg;
	watch->patience = (struct watch_patience){ QUIET_S, MOST_S, COMPARE_S };
	ev_init(&watch->events, on_events);
	ev_init(&watch->quiet, on_quiet);
	ev_init(&watch->compare, on_compare);
	watch->events.data = watch;
	watch->quiet.data = watch;
	watch->compare.data = watch;
	open_folders(watch);
	start_comparing(watch);
	return watch;
}

void
watch_be_patient(struct watch *watch, const struct watch_patience *patience)
{
	watch->patience = *patience;
	start_comparing(watch);
}

bool
watch_follow(struct watch *watch, const struct watch_path *paths,
    const struct stamp *read, size_t count)
{
	struct watch_set fresh;
	bool fine = true;

	if (!watch_set_init(&fresh, paths, read, count))
		return false;
	if (watch_set_same(&fresh, &watch->set)) {
		watch_set_learn(&watch->set, &fresh, true);
	} else {
		watch_set_learn(&fresh, &watch->set, false);
		fine = refresh(watch, &fresh);
	}
	watch_set_fini(&fresh);
	if (!fine)
		return false;
	if (look(watch, false))
		wait_for_quiet(watch);
	return true;
}

void
watch_free(struct watch *watch)
{
	if (watch == NULL)
		return;
	ev_io_stop(watch->loop, &watch->events);
	ev_timer_stop(watch->loop, &watch->quiet);
	ev_timer_stop(watch->loop, &watch->compare);
	watch_folders_fini(&watch->folders);
	watch_set_fini(&watch->set);
	free(watch);
}
