/*
 * The life of a configuration: read, parsed and checked into an arena of its
 * own, then shared by reference count.  The main thread reads; any thread may
 * hold a reference.
 *
 * The count is beside the public struct and not in it, so the struct stays
 * const.
 */
#include "config/config.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/log.h"
#include "config/arena.h"
#include "config/check.h"
#include "config/diagnostics.h"
#include "config/parse.h"
#include "config/reader.h"
#include "config/schema.h"
#include "config/strings.h"
#include "config/value.h"

struct counted_config {
	atomic_uint references;
	struct arena *arena;
	struct config config;
};

/* The input: a file, or bytes with a name. */
struct config_input {
	const char *name;
	const char *bytes; /* NULL: read the file */
	size_t size;
};

static struct counted_config *
counted_new(const char *file)
{
	struct arena *arena = arena_new();
	struct counted_config *counted;

	if (arena == NULL)
		return NULL;
	counted = arena_alloc(arena, sizeof(*counted));
	if (counted == NULL) {
		arena_free(arena);
		return NULL;
	}
	atomic_init(&counted->references, 1);
	counted->arena = arena;
	counted->config.file = arena_copy(arena, file, strlen(file));
	return counted;
}

static void
read_input(struct counted_config *counted, struct diagnostics *diag,
    const struct config_input *input)
{
	struct source source = { 0 };
	struct parser parser = {
		.config = &counted->config,
		.arena = counted->arena,
		.diag = diag,
		.whole = { .file = counted->config.file },
	};

	if (counted->config.file == NULL) {
		diag_no_memory(diag);
		return;
	}
	if (input->bytes == NULL)
		reader_load(&source, diag, counted->config.file);
	else
		reader_parse(&source, diag, counted->config.file, input->bytes,
		    input->size);
	/* Without a source there is nothing to parse. */
	if (source.count > 0)
		parse_config(&parser, &source);
	if (input->bytes == NULL)
		check_files(&parser);
	counted->config.notes = diag->notes;
	counted->config.inputs = diag->inputs;
	counted->config.input_folders = diag->input_folders;
}

/* any: also return a configuration with errors. */
static const struct config *
read_config(
    const struct config_input *input, bool any, struct config_errors *errors)
{
	struct counted_config *counted = counted_new(input->name);
	struct diagnostics diag = { .no_memory = counted == NULL };

	*errors = (struct config_errors){ 0 };
	if (counted != NULL) {
		diag.arena = counted->arena;
		read_input(counted, &diag, input);
	}
	if (diag_is_clean(&diag))
		return &counted->config;
	diag_finish(&diag, errors);
	if (any && counted != NULL && !diag.no_memory)
		return &counted->config;
	if (counted != NULL)
		arena_free(counted->arena);
	return NULL;
}

const struct config *
config_load(const char *path, struct config_errors *errors)
{
	return read_config(
	    &(struct config_input){ .name = path }, false, errors);
}

const struct config *
config_load_any(const char *path, struct config_errors *errors)
{
	return read_config(
	    &(struct config_input){ .name = path }, true, errors);
}

const struct config *
config_parse(const char *name, const char *bytes, size_t size,
    struct config_errors *errors)
{
	return read_config(
	    &(struct config_input){ name, bytes != NULL ? bytes : "", size },
	    false, errors);
}

/* The count is outside the const struct, so it may be changed. */
static struct counted_config *
counted_of(const struct config *config)
{
	return container_of((uintptr_t)config, struct counted_config, config);
}

const struct config *
config_ref(const struct config *config)
{
	atomic_fetch_add_explicit(
	    &counted_of(config)->references, 1, memory_order_relaxed);
	return config;
}

void
config_unref(const struct config *config)
{
	struct counted_config *counted;

	if (config == NULL)
		return;
	counted = counted_of(config);
	if (atomic_fetch_sub_explicit(
		&counted->references, 1, memory_order_acq_rel) == 1)
		arena_free(counted->arena);
}

bool
config_where_begins(const struct config_where *where, const char *sentence)
{
	size_t length = where->file != NULL ? strlen(where->file) : 0;
	char line[16];

	snprintf(line, sizeof(line), ":%u:", where->line);
	return length > 0 && strncmp(sentence, where->file, length) == 0 &&
	       strncmp(sentence + length, line, strlen(line)) == 0;
}

const struct config_where *
config_where_of(const struct config_place *places, enum config_key key)
{
	static const struct config_where built_in;

	for (; places != NULL; places = places->next)
		if (places->key == key && places->is_valid)
			return &places->statement->where;
	return &built_in;
}

bool
config_is_set(const struct config_place *places, enum config_key key)
{
	return config_where_of(places, key)->line > 0;
}

const struct config_where *
config_ocsp_where(const struct config_listener *listener)
{
	static const enum config_key keys[] = { KEY_OCSP, KEY_OCSP_MODE,
		KEY_GLOBAL_OCSP };
	const struct config_where *where = NULL;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		where = config_where_of(listener->places, keys[i]);
		if (where->line > 0)
			break;
	}
	return where;
}

const struct config_path *
config_key_of(const struct config_listener *listener, size_t i)
{
	return i < listener->keys.count ? &listener->keys.items[i]
					: &listener->certs.items[i];
}

const struct config_path *
config_staple_file_of(const struct config_listener *listener, size_t i)
{
	const struct config_paths *files = &listener->staple_files;

	if (i >= files->count || files->items[i].path == NULL)
		return NULL;
	return &files->items[i];
}

static bool
is_same_site(const struct config_listener *a, const struct config_listener *b)
{
	if (strcmp(a->name, b->name) != 0 ||
	    !value_same_text(a->pattern, b->pattern) ||
	    a->certs_own != b->certs_own || a->host_count != b->host_count)
		return false;
	for (enum config_key i = 0; i < KEY_COUNT; i++) {
		const struct schema_row *row = schema_row(i);

		if (row->of_listener &&
		    !value_equal(row->type, schema_field_const(row, NULL, a),
			schema_field_const(row, NULL, b)))
			return false;
	}
	return true;
}

bool
config_listener_equal(
    const struct config_listener *a, const struct config_listener *b)
{
	if (!is_same_site(a, b))
		return false;
	for (size_t i = 0; i < a->host_count; i++)
		if (!is_same_site(&a->hosts[i], &b->hosts[i]))
			return false;
	return true;
}

/* ---- Paths ---- */

struct path_visit {
	config_path_fn *visit;
	void *arg;
};

static void
visit_files(const struct path_visit *visit, const struct config_paths *paths)
{
	for (size_t i = 0; i < paths->count; i++)
		if (paths->items[i].path != NULL)
			visit->visit(visit->arg, paths->items[i].path,
			    PATH_FILE, &paths->items[i].where);
}

static void
visit_key(const struct path_visit *visit, const char *path,
    enum config_path_use use, const struct config_place *places,
    enum config_key key)
{
	if (path != NULL)
		visit->visit(
		    visit->arg, path, use, config_where_of(places, key));
}

static void
visit_certs(const struct path_visit *visit, const struct config_listener *site)
{
	visit_files(visit, &site->certs);
	visit_files(visit, &site->keys);
	visit_files(visit, &site->staple_files);
}

static void
visit_listener(
    const struct path_visit *visit, const struct config_listener *listener)
{
	const struct config_place *places = listener->places;

	visit_certs(visit, listener);
	visit_key(visit, listener->cert_dir, PATH_FOLDER, places, KEY_CERT_DIR);
	visit_key(visit, listener->ca_file, PATH_FILE, places, KEY_CA_FILE);
	visit_key(visit, listener->crl_file, PATH_FILE, places, KEY_CRL_FILE);
}

/* Only what a host does not inherit: there may be ten thousand of them. */
static void
visit_host(const struct path_visit *visit, const struct config_listener *host,
    const struct config_listener *listener)
{
	if (host->certs_own)
		visit_certs(visit, host);
	if (host->ca_file != listener->ca_file)
		visit_key(
		    visit, host->ca_file, PATH_FILE, host->places, KEY_CA_FILE);
	if (host->crl_file != listener->crl_file)
		visit_key(visit, host->crl_file, PATH_FILE, host->places,
		    KEY_CRL_FILE);
}

static void
visit_sockets(const struct path_visit *visit, const struct config_accepts *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (addr_is_unix(&list->items[i].addr))
			visit->visit(visit->arg,
			    list->items[i].addr.un.sun_path, PATH_SOCKET,
			    &list->items[i].where);
}

static void
visit_global(const struct path_visit *visit, const struct config *config)
{
	const struct config_place *places = config->places;

	for (size_t i = 0; i < config->inputs.count; i++)
		visit->visit(
		    visit->arg, config->inputs.items[i], PATH_FILE, NULL);
	for (size_t i = 0; i < config->input_folders.count; i++)
		visit->visit(visit->arg, config->input_folders.items[i],
		    PATH_INCLUDE, NULL);
	visit_key(visit, config->ticket_key_file, PATH_FILE, places,
	    KEY_TLS_TICKET_KEY_FILE);
	visit_key(
	    visit, config->ocsp.ca_file, PATH_FILE, places, KEY_OCSP_CA_FILE);
	if (log_is_path(config->log.output))
		visit_key(visit, config->log.output, PATH_LOG, places,
		    KEY_LOG_OUTPUT);
	if (log_is_path(config->log.access))
		visit_key(visit, config->log.access, PATH_LOG, places,
		    KEY_LOG_ACCESS);
	visit_key(visit, config->pid_file, PATH_PID, places, KEY_GLOBAL_PID);
	visit_key(
	    visit, config->store_dir, PATH_STORE, places, KEY_GLOBAL_STORE_DIR);
	visit_sockets(visit, &config->admin.listen);
}

void
config_each_path(const struct config *config, config_path_fn *visit, void *arg)
{
	const struct path_visit calls = { visit, arg };

	visit_global(&calls, config);
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *listener = &config->listeners[i];

		visit_sockets(&calls, &listener->accept);
		visit_listener(&calls, listener);
		for (size_t k = 0; k < listener->host_count; k++)
			visit_host(&calls, &listener->hosts[k], listener);
	}
}

/* ---- Changes ---- */

struct config_strings
config_fixed_changes(const struct config *old, const struct config *fresh)
{
	struct config_strings changes = { 0 };

	for (enum config_key i = 0; i < KEY_COUNT; i++) {
		const struct schema_row *row = schema_row(i);

		if (!row->needs_start ||
		    value_equal(row->type, schema_field_const(row, old, NULL),
			schema_field_const(row, fresh, NULL)))
			continue;
		/* The list is for a warning: on an allocation failure it is cut
		 * short. */
		if (!strings_append(&changes, strdup(row->name)))
			break;
	}
	return changes;
}

void
config_strings_free(struct config_strings *strings)
{
	for (size_t i = 0; i < strings->count; i++)
		free(strings->items[i]);
	free(strings->items);
	*strings = (struct config_strings){ 0 };
}

void
config_errors_free(struct config_errors *errors)
{
	config_strings_free(&errors->list);
}
