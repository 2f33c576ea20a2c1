/*
 * Collecting and comparing the paths of a configuration.  The main thread
 * collects; the process of the opener compares.
 *
 * Paths are compared as text, without resolving anything: a request for another
 * spelling of a covered path is refused, which costs nothing, since the main
 * process uses the spelling of the file.
 */
#include "opener/covered.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How many components below a folder are covered. */
#define CERT_DIR_DEPTH 2 /* SITE/privkey.pem, as certbot's live/ */
#define INCLUDE_DEPTH 1

struct covered_folder {
	char *path;
	unsigned depth;
};

struct covered_log {
	char *path;
	char *resolved;
};

struct covered_paths {
	char **items;
	size_t count;
};

struct covered {
	struct covered_paths files;
	struct covered_paths sockets;
	struct covered_folder *folders;
	size_t folder_count;
	struct covered_log *logs;
	size_t log_count;
	bool no_memory;
};

static void *
grow(struct covered *covered, void *items, size_t count, size_t size)
{
	void *grown = reallocarray(items, count + 1, size);

	if (grown == NULL)
		covered->no_memory = true;
	return grown;
}

static char *
copy(struct covered *covered, const char *text)
{
	char *made = strdup(text);

	if (made == NULL)
		covered->no_memory = true;
	return made;
}

static void
add_path(struct covered *covered, struct covered_paths *paths, const char *path)
{
	char **grown = grow(
	    covered, paths->items, paths->count, sizeof(grown[0]));

	if (grown == NULL)
		return;
	paths->items = grown;
	grown[paths->count] = copy(covered, path);
	paths->count += grown[paths->count] != NULL;
}

static void
add_folder(struct covered *covered, const char *path, unsigned depth)
{
	struct covered_folder *grown;
	size_t length;
	char *made;

	grown = grow(
	    covered, covered->folders, covered->folder_count, sizeof(grown[0]));
	if (grown == NULL)
		return;
	covered->folders = grown;
	made = copy(covered, path);
	if (made == NULL)
		return;
	for (length = strlen(made); length > 1 && made[length - 1] == '/';)
		made[--length] = '\0';
	grown[covered->folder_count++] = (struct covered_folder){ made, depth };
}

/* The folder without links, and the name.  NULL: there is no such folder. */
static char *
resolve_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX], real[PATH_MAX];
	char *resolved = NULL;

	if ((size_t)snprintf(folder, sizeof(folder), "%.*s",
		slash ? (int)(slash - path + 1) : 1,
		slash ? path : ".") >= sizeof(folder) ||
	    realpath(folder, real) == NULL)
		return NULL;
	if (asprintf(&resolved, "%s/%s", real, slash ? slash + 1 : path) < 0)
		return NULL;
	return resolved;
}

static void
add_log(struct covered *covered, const char *path)
{
	struct covered_log *grown;
	struct covered_log made;

	if (strncmp(path, "/dev/", 5) == 0)
		return;
	made.resolved = resolve_folder(path);
	if (made.resolved == NULL)
		return;
	made.path = copy(covered, path);
	grown = grow(
	    covered, covered->logs, covered->log_count, sizeof(grown[0]));
	if (grown != NULL)
		covered->logs = grown;
	if (grown == NULL || made.path == NULL) {
		free(made.path);
		free(made.resolved);
		return;
	}
	grown[covered->log_count++] = made;
}

static void
add(void *arg, const char *path, enum config_path_use use,
    const struct config_where *where)
{
	struct covered *covered = arg;

	(void)where;
	switch (use) {
	case PATH_FILE:
		add_path(covered, &covered->files, path);
		break;
	case PATH_INCLUDE:
		add_folder(covered, path, INCLUDE_DEPTH);
		break;
	case PATH_FOLDER:
		add_folder(covered, path, CERT_DIR_DEPTH);
		break;
	case PATH_LOG:
		add_log(covered, path);
		break;
	case PATH_SOCKET:
		add_path(covered, &covered->sockets, path);
		break;
	case PATH_PID:
	case PATH_STORE:
		break; /* of the start, and of the user */
	}
}

struct covered *
covered_new(const struct config *config)
{
	struct covered *covered = calloc(1, sizeof(*covered));

	if (covered == NULL)
		return NULL;
	config_each_path(config, add, covered);
	if (!covered->no_memory)
		return covered;
	covered_free(covered);
	return NULL;
}

static void
free_paths(struct covered_paths *paths)
{
	while (paths->count > 0)
		free(paths->items[--paths->count]);
	free(paths->items);
}

void
covered_free(struct covered *covered)
{
	size_t i;

	if (covered == NULL)
		return;
	free_paths(&covered->files);
	free_paths(&covered->sockets);
	for (i = 0; i < covered->folder_count; i++)
		free(covered->folders[i].path);
	free(covered->folders);
	for (i = 0; i < covered->log_count; i++) {
		free(covered->logs[i].path);
		free(covered->logs[i].resolved);
	}
	free(covered->logs);
	free(covered);
}

static bool
has_path(const struct covered_paths *paths, const char *path)
{
	size_t i;

	for (i = 0; i < paths->count; i++)
		if (strcmp(paths->items[i], path) == 0)
			return true;
	return false;
}

/* The number of components below the folder, 0: it is the folder itself; -1:
 * outside, or spelled with "." or "..". */
static int
depth_below(const char *folder, const char *path)
{
	size_t length = strlen(folder), component;
	int depth = 0;

	if (strncmp(path, folder, length) != 0)
		return -1;
	/* The path may be "FOLDER//name" if the file has "FOLDER/". */
	for (path += length; *path != '\0'; path += component) {
		if (*path != '/' && !(length == 1 && folder[0] == '/'))
			return -1;
		path += strspn(path, "/");
		component = strcspn(path, "/");
		if ((component == 1 && path[0] == '.') ||
		    (component == 2 && path[0] == '.' && path[1] == '.'))
			return -1;
		depth += component > 0;
	}
	return depth;
}

bool
covered_has_file(const struct covered *covered, const char *path)
{
	size_t i;
	int depth;

	if (has_path(&covered->files, path))
		return true;
	for (i = 0; i < covered->folder_count; i++) {
		depth = depth_below(covered->folders[i].path, path);
		if (depth > 0 && (unsigned)depth <= covered->folders[i].depth)
			return true;
	}
	return false;
}

bool
covered_has_folder(const struct covered *covered, const char *path)
{
	size_t i;
	int depth;

	for (i = 0; i < covered->folder_count; i++) {
		depth = depth_below(covered->folders[i].path, path);
		if (depth >= 0 && (unsigned)depth < covered->folders[i].depth)
			return true;
	}
	return false;
}

bool
covered_has_socket(const struct covered *covered, const char *path)
{
	return has_path(&covered->sockets, path);
}

const char *
covered_find_log(const struct covered *covered, const char *path)
{
	size_t i;

	for (i = 0; i < covered->log_count; i++)
		if (strcmp(covered->logs[i].path, path) == 0)
			return covered->logs[i].resolved;
	return NULL;
}
