/*
 * Watching files: stamps, the watched files, inotify on the folders that lead
 * to them.  Main thread; stamp_of() on any thread.
 *
 * inotify events are hints: whether a file has changed is decided by comparing
 * stamps, so that a lost, merged or misleading event costs a comparison and
 * never a change.  Each folder is watched before anything in it is read, so no
 * change falls between the two.  Watches are on folders and never on files,
 * because a file that is replaced is another inode.
 */
#include "runtime/watch.h"

#include <dirent.h>
#include <errno.h>
#include <ev.h>
#include <limits.h>
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
#include "base/file.h"
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

	if (file_stat(path, &status) != 0)
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

/* ---- The watched files ---- */

struct watch_file {
	char *path;
	struct stamp stamp; /* the last one */
	bool settled;       /* when it was stamped */
	bool is_folder;     /* everything in it is watched as well */
};

/* A zeroed one is empty. */
struct watch_files {
	struct watch_file *items; /* by path */
	size_t count;
};

static int
compare_files(const void *a, const void *b)
{
	const struct watch_file *first = a, *second = b;

	return strcmp(first->path, second->path);
}

static int
compare_path(const void *path, const void *file)
{
	return strcmp(path, ((const struct watch_file *)file)->path);
}

static void
sort_files(struct watch_files *files)
{
	if (files->count > 1)
		qsort(files->items, files->count, sizeof(files->items[0]),
		    compare_files);
}

static const struct watch_file *
find_file(const struct watch_files *files, const char *path)
{
	if (files->count == 0)
		return NULL;
	return bsearch(path, files->items, files->count,
	    sizeof(files->items[0]), compare_path);
}

/* Takes the path, which may be NULL.  NULL: no memory. */
static struct watch_file *
add_file(struct watch_files *files, char *path)
{
	struct watch_file *grown = NULL;

	if (path)
		grown = realloc(
		    files->items, (files->count + 1) * sizeof(grown[0]));
	if (grown == NULL) {
		free(path);
		return NULL;
	}
	files->items = grown;
	grown[files->count] = (struct watch_file){ .path = path };
	return &grown[files->count++];
}

static void
free_files(struct watch_files *files)
{
	size_t i;

	for (i = 0; i < files->count; i++)
		free(files->items[i].path);
	free(files->items);
	*files = (struct watch_files){ 0 };
}

static bool
name_files(
    struct watch_files *files, const struct watch_path *paths, size_t count)
{
	struct watch_file *file;
	size_t i;

	for (i = 0; i < count; i++) {
		file = add_file(files, strdup(paths[i].path));
		if (file == NULL) {
			free_files(files);
			return false;
		}
		file->stamp = paths[i].read;
		file->is_folder = paths[i].is_folder;
	}
	sort_files(files);
	return true;
}

static bool
same_paths(const struct watch_files *a, const struct watch_files *b)
{
	bool same = a->count == b->count;
	size_t i;

	for (i = 0; same && i < a->count; i++)
		same = a->items[i].is_folder == b->items[i].is_folder &&
		       strcmp(a->items[i].path, b->items[i].path) == 0;
	return same;
}

/*
 * Stamp all of them anew: has one changed?  touched: there was an event, so an
 * equal stamp proves nothing unless it was settled.  A file that existed and may
 * not be accessed now has not changed, because it could not be read either:
 * *hidden is its path.
 */
static bool
have_changed(struct watch_files *files, bool touched, const char **hidden)
{
	int64_t now_ns = clock_wall_ms() * INT64_C(1000000);
	struct watch_file *file;
	struct stamp now;
	bool changed = false;
	size_t i;

	for (i = 0; i < files->count; i++) {
		file = &files->items[i];
		now = stamp_of(file->path);
		if (now.errnum == EACCES && file->stamp.errnum == 0) {
			*hidden = file->path;
			continue;
		}
		changed |= !stamp_equal(&file->stamp, &now) ||
			   (touched && !file->settled);
		file->stamp = now;
		file->settled = stamp_is_settled(&now, now_ns);
	}
	return changed;
}

/* ---- Hints: which events count ---- */

/* Changes of the folder itself; not of names in it. */
#define OF_SELF (IN_DELETE_SELF | IN_MOVE_SELF)
/* Changes of names in it; IN_ATTRIB: of the folder as well. */
#define OF_NAMES (IN_ATTRIB | IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVE)
#define EVERY_NAME "/" /* no event has it */
#define EVENTS_LEN 16384
#define READS_MAX 16 /* at once; a writer may be faster than the reader */

/* Events on this watch about this name count, and those about the folder. */
struct watch_hint {
	int wd;
	uint32_t name; /* its hash: an equal one of another name costs a look */
};

/* A zeroed one is empty. */
struct watch_hints {
	struct watch_hint *items; /* sorted once it is complete */
	size_t count;
};

/* FNV-1a. */
static uint32_t
hash_name(const char *name, size_t len)
{
	uint32_t hash = UINT32_C(2166136261);
	size_t i;

	for (i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)name[i]) * UINT32_C(16777619);
	return hash;
}

static int
compare_hints(const void *a, const void *b)
{
	const struct watch_hint *first = a, *second = b;

	if (first->wd != second->wd)
		return first->wd < second->wd ? -1 : 1;
	return (first->name > second->name) - (first->name < second->name);
}

/* Sort, each once: there is one for each component of each path. */
static void
sort_hints(struct watch_hints *hints)
{
	struct watch_hint *items = hints->items;
	size_t i, kept = 0;

	if (hints->count == 0)
		return;
	qsort(items, hints->count, sizeof(items[0]), compare_hints);
	for (i = 1; i < hints->count; i++)
		if (compare_hints(&items[kept], &items[i]) != 0)
			items[++kept] = items[i];
	hints->count = kept + 1;
}

static bool
has_hint(const struct watch_hints *hints, int wd, uint32_t name)
{
	const struct watch_hint key = { wd, name };

	return hints->count > 0 && bsearch(&key, hints->items, hints->count,
				       sizeof(key), compare_hints) != NULL;
}

/* Does this event count?  IN_IGNORED follows the removal of a watch by us, or
 * an event that counts. */
static bool
matters(const struct watch_hints *hints, const struct inotify_event *event)
{
	if (event->len == 0)
		return (event->mask & IN_IGNORED) == 0;
	return has_hint(hints, event->wd,
		   hash_name(event->name, strlen(event->name))) ||
	       has_hint(hints, event->wd, hash_name(EVERY_NAME, 1));
}

static bool
read_some(int fd, const struct watch_hints *hints, ssize_t *len)
{
	union {
		struct inotify_event event; /* for its alignment */
		char bytes[EVENTS_LEN];
	} buf;
	const struct inotify_event *event;
	const char *at = buf.bytes;
	bool matter = false;

	*len = read(fd, &buf, sizeof(buf));
	while (*len > 0 && at < buf.bytes + *len) {
		event = (const struct inotify_event *)(const void *)at;
		matter |= matters(hints, event);
		at += sizeof(*event) + event->len;
	}
	return matter;
}

/* Read pending events, a few buffers at most.  Did one of them matter, or were
 * any lost? */
static bool
read_events(int fd, const struct watch_hints *hints)
{
	bool matter = false;
	ssize_t len = 1;
	int i;

	for (i = 0; i < READS_MAX && len > 0; i++)
		matter |= read_some(fd, hints, &len);
	return matter;
}

/* Remove the watches that only `old` has. */
static void
drop_watches(
    int fd, const struct watch_hints *old, const struct watch_hints *fresh)
{
	size_t i, k = 0;
	int wd;

	for (i = 0; i < old->count; i++) {
		wd = old->items[i].wd;
		while (k < fresh->count && fresh->items[k].wd < wd)
			k++;
		if (k == fresh->count || fresh->items[k].wd != wd)
			(void)inotify_rm_watch(fd, wd); /* gone: fine */
	}
}

/* ---- The scan: watch what leads to each path, list folders ---- */

#define LINKS_MAX 40 /* as many as the kernel follows */

struct watch_scan {
	int fd; /* -1: no inotify */
	const struct watch_files *named;
	const struct watch_files *known; /* found by the last scan */
	struct watch_files found;        /* in folders, and not named */
	struct watch_hints hints;
	/* why some folder is not watched; ENOSPC wins; 0: all are */
	int errnum;
	bool no_memory;

	/* The last folder walked to, with the slash at its end (empty: the
	 * current one): the files of one folder cost one walk. */
	char front[PATH_MAX];
	char front_real[PATH_MAX]; /* without links */
	bool front_there;
};

/*
 * Watch the folder that is the first len bytes of path (none: the current one),
 * for events about `name`, of name_len bytes (none: for those about the folder).
 * false: there is no such folder, or it is a link.
 */
static bool
add_hint(struct watch_scan *scan, const char *path, size_t len,
    const char *name, size_t name_len)
{
	uint32_t mask = OF_SELF | IN_ONLYDIR | IN_DONT_FOLLOW | IN_MASK_ADD;
	struct watch_hint *grown;
	char folder[PATH_MAX];
	int wd;

	snprintf(folder, sizeof(folder), "%.*s", len ? (int)len : 1,
	    len ? path : ".");
	/* IN_MASK_ADD: it may be watched already, for more. */
	wd = inotify_add_watch(
	    scan->fd, folder, name_len ? mask | OF_NAMES : mask);
	if (wd < 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			return false;
		if (scan->errnum != ENOSPC)
			scan->errnum = errno;
		return true;
	}
	grown = realloc(
	    scan->hints.items, (scan->hints.count + 1) * sizeof(grown[0]));
	if (grown == NULL) {
		scan->no_memory = true;
		return true;
	}
	scan->hints.items = grown;
	grown[scan->hints.count++] = (struct watch_hint){ wd,
		hash_name(name, name_len) };
	return true;
}

/*
 * Watch a component, path[at] to path[end].  Is it a folder to walk into (there
 * is a slash after it)?  Else its name is watched, and then it is tried again:
 * it may have become a folder in between.
 */
static bool
enter_component(
    struct watch_scan *scan, const char *path, size_t at, size_t end)
{
	bool more = path[end] == '/';

	if (more && add_hint(scan, path, end, NULL, 0))
		return true;
	(void)add_hint(scan, path, at, path + at, end - at);
	return more && add_hint(scan, path, end, NULL, 0);
}

/* Put the target of the link, path[*at] to path[end], in its place in path (of
 * PATH_MAX bytes); *at is where the walk goes on.  false: there is no link. */
static bool
replace_link(char *path, size_t *at, size_t end)
{
	char link[PATH_MAX], target[PATH_MAX], whole[PATH_MAX];
	ssize_t len;

	snprintf(link, sizeof(link), "%.*s", (int)end, path);
	len = readlink(link, target, sizeof(target));
	if (len <= 0)
		return false;
	if (target[0] == '/')
		*at = 0;
	if (snprintf(whole, sizeof(whole), "%.*s%.*s%s", (int)*at, path,
		(int)len, target, path + end) >= (int)sizeof(whole))
		return false;
	strcpy(path, whole);
	return true;
}

/*
 * Watch what leads to the end of path (of PATH_MAX bytes), from path[at] on, and
 * replace the links in it.  true: it is a folder, with a slash at its end; false:
 * it is a file, or something is missing.
 */
static bool
walk(struct watch_scan *scan, char *path, size_t at)
{
	unsigned links = 0;
	size_t end;

	for (;;) {
		at += strspn(path + at, "/");
		end = at + strcspn(path + at, "/");
		if (end == at)
			return true;
		if (enter_component(scan, path, at, end))
			at = end;
		else if (++links > LINKS_MAX || !replace_link(path, &at, end))
			return false;
	}
}

/* Watch what leads to this path; is_folder: and everything in it. */
static void
add_hints(struct watch_scan *scan, const char *path, bool is_folder)
{
	const char *slash = strrchr(path, '/');
	size_t front = slash ? (size_t)(slash - path) + 1 : 0, len;
	char rest[PATH_MAX];

	if (scan->fd < 0 || strlen(path) >= PATH_MAX)
		return;
	if (strlen(scan->front) != front ||
	    memcmp(scan->front, path, front) != 0) {
		snprintf(scan->front, PATH_MAX, "%.*s", (int)front, path);
		strcpy(scan->front_real, scan->front);
		scan->front_there = walk(scan, scan->front_real, 0);
	}
	len = strlen(scan->front_real);
	if (!scan->front_there ||
	    snprintf(rest, sizeof(rest), "%s%s%s", scan->front_real,
		path + front, is_folder ? "/" : "") >= PATH_MAX)
		return;
	if (walk(scan, rest, len) && is_folder)
		(void)add_hint(scan, rest, strlen(rest), EVERY_NAME, 1);
}

/* A path in a folder.  Takes it; NULL: no memory. */
static void
add_found(struct watch_scan *scan, char *path)
{
	const struct watch_file *known;
	struct watch_file *file;

	if (path && find_file(scan->named, path)) {
		free(path);
		return;
	}
	file = add_file(&scan->found, path);
	if (file == NULL) {
		scan->no_memory = true;
		return;
	}
	add_hints(scan, path, false);
	known = find_file(scan->known, path);
	if (known) {
		file->stamp = known->stamp;
		file->settled = known->settled;
	} else {
		file->stamp = stamp_of(path);
	}
}

/* Add everything in a folder; an unreadable one is empty. */
static void
list_folder(struct watch_scan *scan, const char *path)
{
	size_t len = strlen(path);
	DIR *dir = file_open_folder(path);
	struct dirent *entry;
	char *joined;

	if (dir == NULL) {
		scan->no_memory |= errno == ENOMEM;
		return;
	}
	while (len > 0 && path[len - 1] == '/')
		len--;
	while (!scan->no_memory && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0)
			continue;
		if (asprintf(
			&joined, "%.*s/%s", (int)len, path, entry->d_name) < 0)
			joined = NULL;
		add_found(scan, joined);
	}
	closedir(dir);
}

static void
scan_paths(struct watch_scan *scan)
{
	const struct watch_file *file;
	size_t i;

	for (i = 0; i < scan->named->count && !scan->no_memory; i++) {
		file = &scan->named->items[i];
		if (i > 0 && strcmp(file[-1].path, file->path) == 0 &&
		    file[-1].is_folder == file->is_folder)
			continue; /* as a key in the file of its certificate */
		add_hints(scan, file->path, file->is_folder);
		if (file->is_folder)
			list_folder(scan, file->path);
	}
	sort_files(&scan->found);
	sort_hints(&scan->hints);
}

/* ---- The watch ---- */

#define QUIET_S 0.3
#define MOST_S 3.0
#define COMPARE_S 60.0

struct watch {
	/* fixed at creation */
	struct ev_loop *loop;
	struct log *log;
	watch_fn *changed;
	void *arg;
	struct watch_timing timing;

	int fd;                   /* of inotify; -1: none */
	struct watch_files named; /* by watch_follow */
	struct watch_files found; /* in the folders among them */
	struct watch_hints hints;
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

/* Is there a new change?  touched: there was an event. */
static bool
look(struct watch *watch, bool touched)
{
	const char *hidden = NULL;
	bool changed = have_changed(&watch->named, touched, &hidden);

	changed |= have_changed(&watch->found, touched, &hidden);
	watch->differs |= changed;
	warn_hidden(watch, hidden);
	return changed;
}

static void
note_errnum(struct watch *watch, int errnum)
{
	watch->partial = errnum != 0;
	if (errnum != ENOSPC || watch->warned_space)
		return;
	watch->warned_space = true;
	log_warning(watch->log, "watch",
	    "limit of inotify watches reached; the files of other folders are "
	    "checked every minute (raise the sysctl "
	    "fs.inotify.max_user_watches)");
}

/*
 * Watch what leads to these files, and what is in folders among them.  Watches
 * that stay have no gap.  false: no memory, and the old ones stay.
 */
static bool
rescan(struct watch *watch, const struct watch_files *named)
{
	struct watch_scan scan = { .fd = watch->fd,
		.named = named,
		.known = &watch->found,
		.front_there = true };

	scan_paths(&scan);
	if (scan.no_memory) {
		drop_watches(watch->fd, &scan.hints, &watch->hints);
		free(scan.hints.items);
		free_files(&scan.found);
		watch->partial = true; /* tried again */
		return false;
	}
	drop_watches(watch->fd, &watch->hints, &scan.hints);
	free(watch->hints.items);
	free_files(&watch->found);
	watch->hints = scan.hints;
	watch->found = scan.found;
	note_errnum(watch, scan.errnum);
	return true;
}

static void
on_events(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct watch *watch = io->data;

	(void)loop;
	(void)events;
	if (!read_events(watch->fd, &watch->hints))
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
	(void)rescan(watch, &watch->named);
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
	if (watch->partial)
		(void)rescan(watch, &watch->named);
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
open_inotify(struct watch *watch)
{
	watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (watch->fd >= 0) {
		ev_io_set(&watch->events, watch->fd, EV_READ);
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
	open_inotify(watch);
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
watch_follow(struct watch *watch, const struct watch_path *paths, size_t count)
{
	struct watch_files named = { 0 };

	if (!name_files(&named, paths, count))
		return false;
	if (!same_paths(&named, &watch->named) && !rescan(watch, &named)) {
		free_files(&named);
		return false;
	}
	free_files(&watch->named);
	watch->named = named;
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
	if (watch->fd >= 0)
		close(watch->fd);
	free(watch->hints.items);
	free_files(&watch->named);
	free_files(&watch->found);
	free(watch);
}
