/*
 * A path, walked as the kernel walks it: component by component, a symlink
 * replaced by what it says.  Main thread.  The walk is ours because the kernel
 * tells where a path ends and not which links it met on the way; what
 * changes during the walk is the business of the caller, who watches first
 * and walks again.
 */
#include "runtime/watch_paths.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINKS_MAX 40 /* as many as the kernel follows */

enum walked {
	WALK_ARRIVED, /* `at` is the folder that was asked for */
	WALK_ENDED,   /* at a file, or where something is missing */
	WALK_NO_MEMORY
};

struct walk {
	struct watch_places *places;
	char *at;            /* PATH_MAX: a folder, free of links; "": root */
	char rest[PATH_MAX]; /* from there on */
	unsigned links;
	bool to_folder; /* the last component is one to walk into */
};

static bool
grow(struct watch_places *places)
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
note(struct watch_places *places, const char *folder, const char *name)
{
	struct watch_place place = { 0 };
	size_t len;

	if (folder[0] == '\0')
		folder = "/";
	len = strlen(folder) + 1;
	if (!grow(places))
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

/* Take the next component off the rest.  false: there is none. */
static bool
take(struct walk *walk, char *name)
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
join(char *path, const char *folder, const char *name)
{
	return snprintf(path, PATH_MAX, "%s/%s", folder, name) < PATH_MAX;
}

/* Put what the link says in front of the rest. */
static bool
follow(struct walk *walk, const char *link)
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

/* `at` has no links in it, so its parent is what stands in front. */
static void
climb(struct walk *walk)
{
	char *slash = strrchr(walk->at, '/');

	if (slash)
		*slash = '\0';
}

/* One component that is neither "." nor "..". */
static bool
step(struct walk *walk, const char *name, bool *ended)
{
	char path[PATH_MAX];
	struct stat status;
	bool found = join(path, walk->at, name) && lstat(path, &status) == 0;

	if (found && S_ISDIR(status.st_mode) &&
	    (walk->rest[0] != '\0' || walk->to_folder)) {
		strcpy(walk->at, path);
		return note(walk->places, path, NULL);
	}
	if (!note(walk->places, walk->at, name))
		return false;
	*ended = !found || !S_ISLNK(status.st_mode) || !follow(walk, path);
	return true;
}

static enum walked
go(struct walk *walk)
{
	char name[PATH_MAX];
	bool ended = false;

	while (!ended && take(walk, name)) {
		if (strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0)
			climb(walk);
		else if (!step(walk, name, &ended))
			return WALK_NO_MEMORY;
	}
	return ended ? WALK_ENDED : WALK_ARRIVED;
}

/* Walk to a folder, unless the last one was the same. */
static bool
go_front(struct watch_places *places, const char *path, size_t len)
{
	struct walk walk = { .places = places, .to_folder = true };
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
	struct walk walk = { .places = places, .at = at };
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
	       (!places->front_there || note(places, places->front_real, ""));
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
compare(const void *a, const void *b)
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
	qsort(places->items, places->count, sizeof(places->items[0]), compare);
	for (i = 1; i < places->count; i++) {
		if (compare(&places->items[kept], &places->items[i]) == 0)
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

	if (bsearch(&key, places, count, sizeof(key), compare))
		return true;
	key.name = name;
	return bsearch(&key, places, count, sizeof(key), compare) != NULL;
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
