/*
 * Watching files: stamps, the set of watched files, inotify on their folders.
 * Main thread; stamp_of() on any thread.
 *
 * inotify events are hints: whether a file has changed is decided by comparing
 * stamps, so that a lost, merged or misleading event costs a comparison and
 * never a change.  Folders are watched before their contents are compared.
 * Watches are on folders and never on files, because a file that is replaced is
 * another inode.
 */
#include "runtime/watch.h"

#include <dirent.h>
#include <errno.h>
#include <ev.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

/* ---- Stamps ---- */

#define NS_PER_S INT64_C(1000000000)

static int64_t
nanoseconds(struct timespec time)
{
	return (int64_t)time.tv_sec * NS_PER_S + time.tv_nsec;
}

struct stamp
stamp_of(const char *path)
{
	struct stat status;

	if (stat(path, &status) != 0)
		return (struct stamp){ .errnum = errno };
	return (struct stamp){
		.dev = status.st_dev,
		.ino = status.st_ino,
		.size = status.st_size,
		.mtime_ns = nanoseconds(status.st_mtim),
		.ctime_ns = nanoseconds(status.st_ctim),
	};
}

bool
stamp_equal(const struct stamp *a, const struct stamp *b)
{
	if (a->errnum != 0 || b->errnum != 0)
		return a->errnum == b->errnum;
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

bool
stamp_is_settled(const struct stamp *stamp, int64_t now_ns)
{
	/* A missing file cannot appear with an equal stamp. */
	return stamp->errnum != 0 || (now_ns - stamp->mtime_ns >= NS_PER_S &&
					 now_ns - stamp->ctime_ns >= NS_PER_S);
}

/* ---- The set of watched files ---- */

/* In `errnum`: equals no stamp that stat can give. */
#define NO_SUCH_STAMP (-1)

static int
compare_files(const void *a, const void *b)
{
	const struct watch_file *first = a, *second = b;
	int order = strcmp(first->path, second->path);

	return order ? order : first->found - second->found;
}

/* Merge two entries of one path.  The named one comes first. */
static void
join_files(struct watch_file *kept, const struct watch_file *other)
{
	kept->is_folder |= other->is_folder;
	if (!other->is_known)
		return;
	if (kept->is_known && !stamp_equal(&kept->stamp, &other->stamp))
		kept->stamp.errnum = NO_SUCH_STAMP;
	else
		kept->stamp = other->stamp;
	kept->is_known = true;
}

static void
sort_files(struct watch_set *set)
{
	size_t i, kept = 0;

	if (set->count == 0)
		return;
	qsort(set->files, set->count, sizeof(set->files[0]), compare_files);
	for (i = 1; i < set->count; i++) {
		if (strcmp(set->files[kept].path, set->files[i].path) != 0) {
			set->files[++kept] = set->files[i];
			continue;
		}
		join_files(&set->files[kept], &set->files[i]);
		free(set->files[i].path);
	}
	set->count = kept + 1;
}

static char *
join_new(const char *folder, const char *name)
{
	size_t len = strlen(folder);
	char *path = NULL;

	while (len > 0 && folder[len - 1] == '/')
		len--;
	return asprintf(&path, "%.*s/%s", (int)len, folder, name) < 0 ? NULL
								      : path;
}

/* Takes the path, which may be NULL.  NULL: no memory. */
static struct watch_file *
add_file(struct watch_set *set, char *path)
{
	size_t capacity = set->capacity ? set->capacity * 2 : 64;
	struct watch_file *grown = set->files;

	if (path && set->count == set->capacity) {
		grown = realloc(set->files, capacity * sizeof(grown[0]));
		if (grown) {
			set->files = grown;
			set->capacity = capacity;
		}
	}
	if (path == NULL || grown == NULL) {
		free(path);
		return NULL;
	}
	grown[set->count] = (struct watch_file){ .path = path };
	return &grown[set->count++];
}

bool
watch_set_init(struct watch_set *set, const struct watch_path *paths,
    const struct stamp *read, size_t count)
{
	struct watch_file *file;
	size_t i;

	*set = (struct watch_set){ 0 };
	for (i = 0; i < count; i++) {
		file = add_file(set, strdup(paths[i].path));
		if (file == NULL) {
			watch_set_fini(set);
			return false;
		}
		file->is_folder = paths[i].is_folder;
		file->is_known = read != NULL;
		if (read)
			file->stamp = read[i];
	}
	sort_files(set);
	return true;
}

void
watch_set_fini(struct watch_set *set)
{
	size_t i;

	for (i = 0; i < set->count; i++)
		free(set->files[i].path);
	free(set->files);
	*set = (struct watch_set){ 0 };
}

/* The next named file, from i on; NULL: none. */
static const struct watch_file *
next_named(const struct watch_set *set, size_t *i)
{
	while (*i < set->count && set->files[*i].found)
		++*i;
	return *i < set->count ? &set->files[(*i)++] : NULL;
}

bool
watch_set_same(const struct watch_set *a, const struct watch_set *b)
{
	const struct watch_file *one, *other;
	size_t i = 0, k = 0;

	do {
		one = next_named(a, &i);
		other = next_named(b, &k);
		if (one == NULL || other == NULL)
			return one == other;
	} while (one->is_folder == other->is_folder &&
		 strcmp(one->path, other->path) == 0);
	return false;
}

static void
learn_file(struct watch_file *file, const struct watch_file *from, bool replace)
{
	if (!from->is_known || (file->is_known && !replace))
		return;
	file->stamp = from->stamp;
	file->settled = from->settled;
	file->is_known = true;
}

void
watch_set_learn(
    struct watch_set *set, const struct watch_set *from, bool replace)
{
	size_t i = 0, k = 0;
	int order;

	while (i < set->count && k < from->count) {
		order = strcmp(set->files[i].path, from->files[k].path);
		if (order == 0)
			learn_file(&set->files[i], &from->files[k], replace);
		i += order <= 0;
		k += order >= 0;
	}
}

/* Add everything in a folder; an unreadable one is empty. */
static bool
list_folder(struct watch_set *set, const char *path)
{
	DIR *dir = opendir(path);
	struct watch_file *file;
	struct dirent *entry;
	bool fine = true;

	if (dir == NULL)
		return errno != ENOMEM;
	while (fine && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0)
			continue;
		file = add_file(set, join_new(path, entry->d_name));
		fine = file != NULL;
		if (file)
			file->found = true;
	}
	closedir(dir);
	return fine;
}

bool
watch_set_expand(struct watch_set *set, const struct watch_set *from)
{
	const struct watch_file *named;
	struct watch_file *file;
	bool fine = true;
	size_t i = 0;

	*set = (struct watch_set){ 0 };
	while (fine && (named = next_named(from, &i)) != NULL) {
		file = add_file(set, strdup(named->path));
		if (file)
			file->is_folder = named->is_folder;
		fine = file &&
		       (!named->is_folder || list_folder(set, named->path));
	}
	if (!fine) {
		watch_set_fini(set);
		return false;
	}
	sort_files(set);
	watch_set_learn(set, from, true);
	return true;
}

/* Has it changed?  Store the new stamp. */
static bool
compare_stamp(
    struct watch_file *file, struct stamp now, bool touched, int64_t now_ns)
{
	bool differs = file->is_known && (!stamp_equal(&file->stamp, &now) ||
					     (touched && !file->settled));

	file->stamp = now;
	file->settled = stamp_is_settled(&now, now_ns);
	file->is_known = true;
	return differs;
}

struct watch_look
watch_set_look(struct watch_set *set, bool touched, int64_t now_ns)
{
	struct watch_look result = { 0 };
	struct watch_file *file;
	struct stamp now;
	size_t i;

	for (i = 0; i < set->count; i++) {
		file = &set->files[i];
		now = stamp_of(file->path);
		if (now.errnum == EACCES && file->is_known &&
		    file->stamp.errnum == 0)
			result.hidden = file->path;
		else if (compare_stamp(file, now, touched, now_ns))
			result.differs = true;
	}
	return result;
}

/* ---- Places of a path ---- */

#define LINKS_MAX 40 /* as many as the kernel follows */

enum walked {
	WALK_ARRIVED, /* `at` is the target folder */
	WALK_ENDED,   /* at a file, or at a missing component */
	WALK_NO_MEMORY
};

struct path_walk {
	struct watch_places *places;
	char *at;            /* PATH_MAX: a folder, free of links; "": root */
	char rest[PATH_MAX]; /* the rest of the path */
	unsigned links;
	bool to_folder; /* walk into the last component as well */
};

static bool
grow_places(struct watch_places *places)
{
	size_t capacity = places->capacity ? places->capacity * 2 : 64;
	struct watch_place *grown;

	if (places->count < places->capacity)
		return true;
	grown = realloc(places->items, capacity * sizeof(grown[0]));
	if (grown == NULL)
		return false;
	places->items = grown;
	places->capacity = capacity;
	return true;
}

/* Folder and name share one piece of memory: there may be many. */
static bool
note_place(struct watch_places *places, const char *folder, const char *name)
{
	struct watch_place place = { 0 };
	size_t len;

	if (folder[0] == '\0')
		folder = "/";
	len = strlen(folder) + 1;
	if (!grow_places(places))
		return false;
	place.folder = malloc(len + (name ? strlen(name) + 1 : 0));
	if (place.folder == NULL)
		return false;
	memcpy(place.folder, folder, len);
	if (name)
		place.name = strcpy(place.folder + len, name);
	places->items[places->count++] = place;
	return true;
}

/* Take the next component off the rest.  false: none. */
static bool
take_component(struct path_walk *walk, char *name)
{
	size_t skipped = strspn(walk->rest, "/");
	size_t len = strcspn(walk->rest + skipped, "/");

	memcpy(name, walk->rest + skipped, len);
	name[len] = '\0';
	skipped += len;
	skipped += strspn(walk->rest + skipped, "/");
	memmove(
	    walk->rest, walk->rest + skipped, strlen(walk->rest + skipped) + 1);
	return len > 0;
}

static bool
join_into(char *path, const char *folder, const char *name)
{
	return snprintf(path, PATH_MAX, "%s/%s", folder, name) < PATH_MAX;
}

/* Put the target of the link in front of the rest. */
static bool
follow_link(struct path_walk *walk, const char *link)
{
	char text[PATH_MAX];
	ssize_t len = readlink(link, text, sizeof(text));
	size_t rest = strlen(walk->rest);

	if (len <= 0 || (size_t)len + 1 + rest >= sizeof(walk->rest) ||
	    ++walk->links > LINKS_MAX)
		return false;
	memmove(walk->rest + len + 1, walk->rest, rest + 1);
	memcpy(walk->rest, text, (size_t)len);
	walk->rest[len] = '/';
	if (text[0] == '/')
		walk->at[0] = '\0';
	return true;
}

/* `at` is free of links, so its parent is its prefix. */
static void
climb(struct path_walk *walk)
{
	char *slash = strrchr(walk->at, '/');

	if (slash)
		*slash = '\0';
}

/* One component that is neither "." nor "..". */
static bool
step(struct path_walk *walk, const char *name, bool *ended)
{
	char path[PATH_MAX];
	struct stat status;
	bool found = join_into(path, walk->at, name) &&
		     lstat(path, &status) == 0;

	if (found && S_ISDIR(status.st_mode) &&
	    (walk->rest[0] != '\0' || walk->to_folder)) {
		strcpy(walk->at, path);
		return note_place(walk->places, path, NULL);
	}
	if (!note_place(walk->places, walk->at, name))
		return false;
	*ended = !found || !S_ISLNK(status.st_mode) || !follow_link(walk, path);
	return true;
}

static enum walked
go(struct path_walk *walk)
{
	char name[PATH_MAX];
	bool ended = false;

	while (!ended && take_component(walk, name)) {
		if (strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0)
			climb(walk);
		else if (!step(walk, name, &ended))
			return WALK_NO_MEMORY;
	}
	return ended ? WALK_ENDED : WALK_ARRIVED;
}

/* Walk to a folder, unless it is the last one. */
static bool
go_front(struct watch_places *places, const char *path, size_t len)
{
	struct path_walk walk = { .places = places, .to_folder = true };
	enum walked walked;

	if (len > 0 && strlen(places->front) == len &&
	    memcmp(places->front, path, len) == 0)
		return true;
	walk.at = places->front_real;
	if (path[0] == '/' || getcwd(walk.at, PATH_MAX) == NULL ||
	    strcmp(walk.at, "/") == 0)
		walk.at[0] = '\0';
	memcpy(walk.rest, path, len);
	walked = go(&walk);
	memcpy(places->front, path, len);
	places->front[len] = '\0';
	places->front_there = walked == WALK_ARRIVED;
	return walked != WALK_NO_MEMORY;
}

/* The length of a path without its last component. */
static size_t
measure_front(const char *path, size_t len)
{
	while (len > 0 && path[len - 1] != '/')
		len--;
	while (len > 0 && path[len - 1] == '/')
		len--;
	return len;
}

static bool
go_file(struct watch_places *places, const char *path, size_t len)
{
	char at[PATH_MAX];
	struct path_walk walk = { .places = places, .at = at };
	size_t front = measure_front(path, len);

	if (!go_front(places, path, front))
		return false;
	if (!places->front_there)
		return true;
	strcpy(at, places->front_real);
	memcpy(walk.rest, path + front, len - front);
	return go(&walk) != WALK_NO_MEMORY;
}

bool
watch_places_add(struct watch_places *places, const char *path, bool is_folder)
{
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	if (len >= PATH_MAX)
		return true;
	if (!is_folder)
		return go_file(places, path, len);
	return go_front(places, path, len) &&
	       (!places->front_there ||
		   note_place(places, places->front_real, ""));
}

/* In a folder: NULL, "", then the names. */
static int
compare_names(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return (a != NULL) - (b != NULL);
	return strcmp(a, b);
}

static int
compare_places(const void *a, const void *b)
{
	const struct watch_place *first = a, *second = b;
	int order = strcmp(first->folder, second->folder);

	return order ? order : compare_names(first->name, second->name);
}

void
watch_places_sort(struct watch_places *places)
{
	size_t i, kept = 0;

	if (places->count == 0)
		return;
	qsort(places->items, places->count, sizeof(places->items[0]),
	    compare_places);
	for (i = 1; i < places->count; i++) {
		if (compare_places(&places->items[kept], &places->items[i]) ==
		    0)
			free(places->items[i].folder);
		else
			places->items[++kept] = places->items[i];
	}
	places->count = kept + 1;
}

size_t
watch_places_run(const struct watch_places *places, size_t first)
{
	size_t end = first + 1;

	while (end < places->count && strcmp(places->items[end].folder,
					  places->items[first].folder) == 0)
		end++;
	return end - first;
}

bool
watch_places_want(
    const struct watch_place *places, size_t count, const char *name)
{
	struct watch_place key = { .folder = places[0].folder, .name = "" };

	if (bsearch(&key, places, count, sizeof(key), compare_places))
		return true;
	key.name = name;
	return bsearch(&key, places, count, sizeof(key), compare_places) !=
	       NULL;
}

void
watch_places_fini(struct watch_places *places)
{
	size_t i;

	for (i = 0; i < places->count; i++)
		free(places->items[i].folder);
	free(places->items);
	*places = (struct watch_places){ 0 };
}

/* ---- inotify ---- */

/* Changes of the folder itself; not of names in it. */
#define OF_SELF (IN_DELETE_SELF | IN_MOVE_SELF)
/* Changes of names in it; IN_ATTRIB: of the folder as well. */
#define OF_NAMES (IN_ATTRIB | IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVE)
#define EVENTS_LEN 16384
#define READS_MAX 16 /* at once; a writer may be faster than the reader */

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
compare_wds(const void *a, const void *b)
{
	const struct watch_folder *first = a, *second = b;

	return (first->wd > second->wd) - (first->wd < second->wd);
}

/* The first folder with that wd: one inode may have two names. */
static struct watch_folder *
find_folder(const struct watch_folders *folders, int wd)
{
	struct watch_folder key = { .wd = wd }, *found;

	if (folders->count == 0)
		return NULL;
	found = bsearch(&key, folders->folders, folders->count,
	    sizeof(folders->folders[0]), compare_wds);
	while (found > folders->folders && found[-1].wd == wd)
		found--;
	return found;
}

/* IN_MASK_ADD: the same inode may be watched by another name, for more. */
static void
add_folder(struct watch_folders *folders, struct watch_folder *folder)
{
	const struct watch_place *places = folders->places.items;
	uint32_t mask = OF_SELF | IN_ONLYDIR | IN_MASK_ADD;

	if (places[folder->first + folder->count - 1].name)
		mask |= OF_NAMES;
	folder->wd = inotify_add_watch(folders->fd, folder->path, mask);
}

/* One folder for each run of places. */
static bool
gather_folders(struct watch_folders *folders)
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
		add_folder(fresh, folder);
		if (folder->wd >= 0)
			result->added |= find_folder(old, folder->wd) == NULL;
		else if (result->errnum != ENOSPC)
			result->errnum = errno;
	}
	qsort(fresh->folders, fresh->count, sizeof(fresh->folders[0]),
	    compare_wds);
}

/* Remove the watches that are no longer needed. */
static void
drop_folders(const struct watch_folders *old, const struct watch_folders *fresh)
{
	size_t i;
	int wd;

	for (i = 0; i < old->count; i++) {
		wd = old->folders[i].wd;
		if (wd >= 0 && find_folder(fresh, wd) == NULL)
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
	if (!gather_folders(&fresh)) {
		watch_places_fini(&fresh.places);
		return false;
	}
	add_all(&fresh, folders, result);
	drop_folders(folders, &fresh);
	folders->fd = -1;
	watch_folders_fini(folders);
	*folders = fresh;
	return true;
}

static bool
matters(const struct watch_folders *folders, const struct inotify_event *event)
{
	const struct watch_folder *folder = find_folder(folders, event->wd);
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

/* ---- The watch ---- */

#define QUIET_S 0.3
#define MOST_S 3.0
#define COMPARE_S 60.0
/* links that move all the time are not followed for ever */
#define REFRESH_MAX 4

struct watch {
	/* fixed at creation */
	struct ev_loop *loop;
	struct log *log;
	watch_fn *changed;
	void *arg;
	struct watch_timing timing;

	struct watch_set set;
	struct watch_folders folders;
	struct ev_io events;
	struct ev_timer quiet;   /* the end of a burst of changes */
	struct ev_timer compare; /* always active */
	bool waits;              /* for quiet: a change is pending */
	ev_tstamp since;         /* of the first change of a burst */
	bool touched;            /* there was an event */
	bool differs;            /* changed() is to be called */
	bool partial;            /* not every folder is watched */
	bool warned_space;
	bool warned_hidden;
};

static void
wait_for_quiet(struct watch *watch)
{
	ev_tstamp now = ev_now(watch->loop), wait = watch->timing.quiet_s;
	ev_tstamp left;

	/* Do not ask the timer: due and not yet called, it is inactive. */
	if (!watch->waits)
		watch->since = now;
	watch->waits = true;
	left = watch->since + watch->timing.most_s - now;
	if (wait > left)
		wait = left > 0 ? left : 0;
	ev_timer_stop(watch->loop, &watch->quiet);
	ev_timer_set(&watch->quiet, wait, 0);
	ev_timer_start(watch->loop, &watch->quiet);
}

static void
warn_hidden(struct watch *watch, const char *path)
{
	if (path && !watch->warned_hidden)
		log_warning(watch->log, "watch",
		    "no access to a watched file; its changes are not seen "
		    "(give this user search permission on its folder)",
		    LOG_S("file", path));
	watch->warned_hidden = path != NULL;
}

/* Is there a new change? */
static bool
look(struct watch *watch, bool touched)
{
	struct watch_look result = watch_set_look(
	    &watch->set, touched, clock_wall_ms() * INT64_C(1000000));

	watch->differs |= result.differs;
	warn_hidden(watch, result.hidden);
	return result.differs;
}

static void
note_result(struct watch *watch, const struct watch_result *result)
{
	watch->partial = result->errnum != 0;
	if (result->errnum != ENOSPC || watch->warned_space)
		return;
	watch->warned_space = true;
	log_warning(watch->log, "watch",
	    "limit of inotify watches reached; the files of other folders are "
	    "checked every minute (raise the sysctl "
	    "fs.inotify.max_user_watches)");
}

static bool
gather_places(struct watch_places *places, const struct watch_set *set)
{
	size_t i;

	for (i = 0; i < set->count; i++)
		if (!watch_places_add(
			places, set->files[i].path, set->files[i].is_folder))
			return false;
	watch_places_sort(places);
	return true;
}

/* Watch the folders of these files. */
static bool
follow_folders(struct watch *watch, const struct watch_set *set,
    struct watch_result *result)
{
	struct watch_places places = { 0 };

	*result = (struct watch_result){ 0 };
	if (watch->folders.fd < 0)
		return true;
	if (!gather_places(&places, set)) {
		watch_places_fini(&places);
		return false;
	}
	return watch_folders_follow(&watch->folders, &places, result);
}

/* Follow the paths of `names` (may be this watch's own set).  false: no memory,
 * and nothing has changed. */
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
	note_result(watch, result);
	return true;
}

/*
 * As adopt, repeated while a folder is new: changes in it between the walk and
 * the watch were not seen.
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
	/* A failure leaves it partial, and the next time tries again. */
	if (watch->partial)
		(void)!refresh(watch, &watch->set);
	if (look(watch, false))
		wait_for_quiet(watch);
}

static void
start_comparing(struct watch *watch)
{
	watch->compare.repeat = watch->timing.compare_s;
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
	    "inotify not available; files are checked every minute (raise "
	    "the sysctl fs.inotify.max_user_instances or LimitNOFILE)",
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
	watch->timing = (struct watch_timing){ QUIET_S, MOST_S, COMPARE_S };
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
watch_set_timing(struct watch *watch, const struct watch_timing *timing)
{
	watch->timing = *timing;
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
