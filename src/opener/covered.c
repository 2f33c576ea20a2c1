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

struct covered {
	char **files;
	size_t file_count;
	struct covered_folder *folders;
	size_t folder_count;
	char **sockets;
	size_t socket_count;
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

/* NULL: nothing to add. */
static void
add_file(struct covered *covered, const char *path)
{
	char **grown;

	if (path == NULL)
		return;
	grown = grow(
	    covered, covered->files, covered->file_count, sizeof(grown[0]));
	if (grown == NULL)
		return;
	covered->files = grown;
	grown[covered->file_count] = copy(covered, path);
	covered->file_count += grown[covered->file_count] != NULL;
}

static void
add_folder(struct covered *covered, const char *path, unsigned depth)
{
	struct covered_folder *grown;
	size_t length;
	char *made;

	if (path == NULL)
		return;
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

static void
add_socket(struct covered *covered, const struct config_accept *accept)
{
	const struct addr *addr = &accept->addr;
	char path[sizeof(addr->un.sun_path) + 1] = { 0 };
	char **grown;

	if (!addr_is_unix(addr))
		return;
	memcpy(path, addr->un.sun_path, sizeof(addr->un.sun_path));
	grown = grow(
	    covered, covered->sockets, covered->socket_count, sizeof(grown[0]));
	if (grown == NULL)
		return;
	covered->sockets = grown;
	grown[covered->socket_count] = copy(covered, path);
	covered->socket_count += grown[covered->socket_count] != NULL;
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

	if (!log_is_path(path) || strncmp(path, "/dev/", 5) == 0)
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
add_paths(struct covered *covered, const struct config_paths *paths)
{
	size_t i;

	for (i = 0; i < paths->count; i++)
		add_file(covered, paths->items[i].path);
}

static void
add_settings(struct covered *covered, const struct config_listener *settings)
{
	size_t i;

	add_paths(covered, &settings->certs);
	add_paths(covered, &settings->keys);
	add_paths(covered, &settings->staple_files);
	add_file(covered, settings->ca_file);
	add_file(covered, settings->crl_file);
	add_folder(covered, settings->cert_dir, CERT_DIR_DEPTH);
	for (i = 0; i < settings->host_count; i++)
		add_settings(covered, &settings->hosts[i]);
}

struct covered *
covered_new(const struct config *config)
{
	struct covered *covered = calloc(1, sizeof(*covered));
	size_t i, k;

	if (covered == NULL)
		return NULL;
	for (i = 0; i < config->inputs.count; i++)
		add_file(covered, config->inputs.items[i]);
	for (i = 0; i < config->input_folders.count; i++)
		add_folder(
		    covered, config->input_folders.items[i], INCLUDE_DEPTH);
	add_file(covered, config->ticket_key_file);
	add_file(covered, config->ocsp.ca_file);
	add_log(covered, config->log.output);
	add_log(covered, config->log.access);
	for (k = 0; k < config->admin.listen.count; k++)
		add_socket(covered, &config->admin.listen.items[k]);
	for (i = 0; i < config->listener_count; i++) {
		add_settings(covered, &config->listeners[i]);
		for (k = 0; k < config->listeners[i].accept.count; k++)
			add_socket(
			    covered, &config->listeners[i].accept.items[k]);
	}
	if (!covered->no_memory)
		return covered;
	covered_free(covered);
	return NULL;
}

static void
free_texts(char **texts, size_t count)
{
	while (count > 0)
		free(texts[--count]);
	free(texts);
}

void
covered_free(struct covered *covered)
{
	size_t i;

	if (covered == NULL)
		return;
	free_texts(covered->files, covered->file_count);
	free_texts(covered->sockets, covered->socket_count);
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
has_text(char *const *texts, size_t count, const char *text)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (strcmp(texts[i], text) == 0)
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

	if (has_text(covered->files, covered->file_count, path))
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
	return has_text(covered->sockets, covered->socket_count, path);
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
