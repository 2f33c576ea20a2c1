/*
 * The watched files as one sorted array.  Main thread.  It is made anew rather
 * than changed, and knowledge is carried over by walking the old and the new
 * one side by side: ten thousand files cost a sort and a walk.
 */
#include "runtime/watch_set.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In `errnum`: equals no stamp that stat can give. */
#define NO_SUCH_STAMP (-1)

static int
compare(const void *a, const void *b)
{
	const struct watch_file *first = a, *second = b;
	int order = strcmp(first->path, second->path);

	return order ? order : first->found - second->found;
}

/* One path was said twice.  The one that was named comes first. */
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
sort(struct watch_set *set)
{
	size_t i, kept = 0;

	if (set->count == 0)
		return;
	qsort(set->files, set->count, sizeof(set->files[0]), compare);
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
join(const char *folder, const char *name)
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
add(struct watch_set *set, char *path)
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
		file = add(set, strdup(paths[i].path));
		if (file == NULL) {
			watch_set_fini(set);
			return false;
		}
		file->is_folder = paths[i].is_folder;
		file->is_known = read != NULL;
		if (read)
			file->stamp = read[i];
	}
	sort(set);
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

/* The next file that was named, from i on; NULL: none. */
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

/* Everything that is in a folder; one that cannot be read is empty. */
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
		file = add(set, join(path, entry->d_name));
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
		file = add(set, strdup(named->path));
		if (file)
			file->is_folder = named->is_folder;
		fine = file &&
		       (!named->is_folder || list_folder(set, named->path));
	}
	if (!fine) {
		watch_set_fini(set);
		return false;
	}
	sort(set);
	watch_set_learn(set, from, true);
	return true;
}

/* Has it changed?  Know it as it is now. */
static bool
look(struct watch_file *file, struct stamp now, bool touched, int64_t now_ns)
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
		else if (look(file, now, touched, now_ns))
			result.differs = true;
	}
	return result;
}
