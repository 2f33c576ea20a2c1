/*
 * inotify on folders, never on files: whoever replaces a file gives its name
 * to another inode.  Main thread.  A file that is written to counts once it
 * is closed: until then it is half of something, and a writer that never
 * closes is left to the comparing of stamps, rather than having every log file
 * in a watched folder wake us with each line.
 */
#include "runtime/watch_folders.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* What is done to the folder itself; names in it wake nobody. */
#define OF_SELF (IN_DELETE_SELF | IN_MOVE_SELF)
/* What is done to what is in it; IN_ATTRIB: to the folder as well. */
#define OF_NAMES (IN_ATTRIB | IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVE)
#define EVENTS_LEN 16384
#define READS_MAX 16 /* at once; somebody may write faster than we read */

bool
watch_folders_init(struct watch_folders *folders)
{
	*folders = (struct watch_folders){ 0 };
	folders->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	return folders->fd >= 0;
}

void
watch_folders_fini(struct watch_folders *folders)
{
	if (folders->fd >= 0)
		close(folders->fd);
	free(folders->folders);
	watch_places_fini(&folders->places);
	*folders = (struct watch_folders){ .fd = -1 };
}

static int
compare(const void *a, const void *b)
{
	const struct watch_folder *first = a, *second = b;

	return (first->wd > second->wd) - (first->wd < second->wd);
}

/* The first folder with that wd: one inode may have two names. */
static struct watch_folder *
find(const struct watch_folders *folders, int wd)
{
	struct watch_folder key = { .wd = wd }, *found;

	if (folders->count == 0)
		return NULL;
	found = bsearch(&key, folders->folders, folders->count,
	    sizeof(folders->folders[0]), compare);
	while (found > folders->folders && found[-1].wd == wd)
		found--;
	return found;
}

/* IN_MASK_ADD: the same inode may be watched by another name, for more. */
static void
add(struct watch_folders *folders, struct watch_folder *folder)
{
	const struct watch_place *places = folders->places.items;
	uint32_t mask = OF_SELF | IN_ONLYDIR | IN_MASK_ADD;

	if (places[folder->first + folder->count - 1].name)
		mask |= OF_NAMES;
	folder->wd = inotify_add_watch(folders->fd, folder->path, mask);
}

/* One folder for each run of places. */
static bool
gather(struct watch_folders *folders)
{
	const struct watch_places *places = &folders->places;
	struct watch_folder *folder;
	size_t i, count = 0;

	for (i = 0; i < places->count; i += watch_places_run(places, i))
		count++;
	folders->folders = calloc(count + 1, sizeof(folders->folders[0]));
	if (folders->folders == NULL)
		return false;
	for (i = 0; i < places->count; i += folder->count) {
		folder = &folders->folders[folders->count++];
		folder->path = places->items[i].folder;
		folder->first = i;
		folder->count = watch_places_run(places, i);
	}
	return true;
}

static void
add_all(struct watch_folders *fresh, const struct watch_folders *old,
    struct watch_result *result)
{
	struct watch_folder *folder;
	size_t i;

	for (i = 0; i < fresh->count; i++) {
		folder = &fresh->folders[i];
		add(fresh, folder);
		if (folder->wd >= 0)
			result->added |= find(old, folder->wd) == NULL;
		else if (result->errnum != ENOSPC)
			result->errnum = errno;
	}
	qsort(fresh->folders, fresh->count, sizeof(fresh->folders[0]), compare);
}

/* Let go of what is not watched any more. */
static void
drop(const struct watch_folders *old, const struct watch_folders *fresh)
{
	size_t i;
	int wd;

	for (i = 0; i < old->count; i++) {
		wd = old->folders[i].wd;
		if (wd >= 0 && find(fresh, wd) == NULL)
			(void)inotify_rm_watch(old->fd, wd); /* gone: fine */
	}
}

bool
watch_folders_follow(struct watch_folders *folders, struct watch_places *places,
    struct watch_result *result)
{
	struct watch_folders fresh = { .fd = folders->fd, .places = *places };

	*places = (struct watch_places){ 0 };
	*result = (struct watch_result){ 0 };
	if (!gather(&fresh)) {
		watch_places_fini(&fresh.places);
		return false;
	}
	add_all(&fresh, folders, result);
	drop(folders, &fresh);
	folders->fd = -1;
	watch_folders_fini(folders);
	*folders = fresh;
	return true;
}

static bool
matters(const struct watch_folders *folders, const struct inotify_event *event)
{
	const struct watch_folder *folder = find(folders, event->wd);
	const struct watch_folder *end = folders->folders + folders->count;

	if (event->mask & IN_Q_OVERFLOW)
		return true;
	for (; folder && folder < end && folder->wd == event->wd; folder++) {
		if (event->len == 0 ||
		    watch_places_want(&folders->places.items[folder->first],
			folder->count, event->name))
			return true;
	}
	return false;
}

static bool
read_some(struct watch_folders *folders, ssize_t *len)
{
	union {
		struct inotify_event event; /* for its alignment */
		char bytes[EVENTS_LEN];
	} buf;
	const struct inotify_event *event;
	const char *at = buf.bytes;
	bool matter = false;

	*len = read(folders->fd, &buf, sizeof(buf));
	while (*len > 0 && at < buf.bytes + *len) {
		event = (const struct inotify_event *)(const void *)at;
		matter |= matters(folders, event);
		at += sizeof(*event) + event->len;
	}
	return matter;
}

bool
watch_folders_read(struct watch_folders *folders)
{
	bool matter = false;
	ssize_t len = 1;
	int i;

	for (i = 0; i < READS_MAX && len > 0; i++)
		matter |= read_some(folders, &len);
	return matter;
}
