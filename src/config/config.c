/*
 * The life of a configuration: read, built and checked in one go into an
 * arena of its own, or not at all; then shared by count.  The count sits
 * beside the public struct rather than in it, so that readers see only what
 * the file said.  Main thread reads; any thread may hold a reference.
 */
#include "config/config.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "config/arena.h"
#include "config/check.h"
#include "config/diagnostics.h"
#include "config/parse.h"
#include "config/reader.h"
#include "config/schema.h"
#include "config/value.h"

struct holder {
	atomic_uint references;
	struct arena *arena;
	struct config config;
};

/* Where the text comes from: a path alone, or bytes under a name. */
struct input {
	const char *name;
	const char *bytes; /* NULL: read the file */
	size_t size;
};

static struct holder *
holder_new(const char *file)
{
	struct arena *arena = arena_new();
	struct holder *holder;

	if (arena == NULL)
		return NULL;
	holder = arena_alloc(arena, sizeof(*holder));
	if (holder == NULL) {
		arena_free(arena);
		return NULL;
	}
	atomic_init(&holder->references, 1);
	holder->arena = arena;
	holder->config.file = arena_copy(arena, file, strlen(file));
	return holder;
}

static void
read_input(
    struct holder *holder, struct diagnostics *diag, const struct input *input)
{
	struct source source = { 0 };
	struct parser parser = {
		.config = &holder->config,
		.arena = holder->arena,
		.diag = diag,
	};

	if (holder->config.file == NULL) {
		diag_no_memory(diag);
		return;
	}
	if (input->bytes == NULL)
		reader_load(&source, diag, holder->config.file);
	else
		reader_parse(&source, diag, holder->config.file, input->bytes,
		    input->size);
	/* A file that could not be read at all has nothing more to say. */
	if (source.count > 0)
		parse_config(&parser, &source);
	if (input->bytes == NULL)
		check_files(&parser);
	holder->config.notes = diag->notes;
}

/* any: also one with errors. */
static const struct config *
read_config(const struct input *input, bool any, struct config_errors *errors)
{
	struct holder *holder = holder_new(input->name);
	struct diagnostics diag = { .no_memory = holder == NULL };

	*errors = (struct config_errors){ 0 };
	if (holder != NULL) {
		diag.arena = holder->arena;
		read_input(holder, &diag, input);
	}
	if (diag_is_clean(&diag))
		return &holder->config;
	diag_finish(&diag, errors);
	if (any && holder != NULL && !diag.no_memory)
		return &holder->config;
	if (holder != NULL)
		arena_free(holder->arena);
	return NULL;
}

const struct config *
config_load(const char *path, struct config_errors *errors)
{
	return read_config(&(struct input){ .name = path }, false, errors);
}

const struct config *
config_load_any(const char *path, struct config_errors *errors)
{
	return read_config(&(struct input){ .name = path }, true, errors);
}

const struct config *
config_parse(const char *name, const char *bytes, size_t size,
    struct config_errors *errors)
{
	return read_config(
	    &(struct input){ name, bytes != NULL ? bytes : "", size }, false,
	    errors);
}

/* The count is not part of what is constant about a configuration. */
static struct holder *
holder_of(const struct config *config)
{
	return container_of((uintptr_t)config, struct holder, config);
}

const struct config *
config_ref(const struct config *config)
{
	atomic_fetch_add_explicit(
	    &holder_of(config)->references, 1, memory_order_relaxed);
	return config;
}

void
config_unref(const struct config *config)
{
	struct holder *holder;

	if (config == NULL)
		return;
	holder = holder_of(config);
	if (atomic_fetch_sub_explicit(
		&holder->references, 1, memory_order_acq_rel) == 1)
		arena_free(holder->arena);
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
	for (size_t i = 0; i < schema_count(); i++) {
		const struct schema_row *row = schema_row(i);

		if (row->of_listener &&
		    !row->type->equal(schema_field_const(row, NULL, a),
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

static bool
append_copy(struct config_strings *strings, const char *text)
{
	char **items = realloc(
	    strings->items, (strings->count + 1) * sizeof(*items));

	if (items == NULL)
		return false;
	strings->items = items;
	items[strings->count] = strdup(text);
	if (items[strings->count] == NULL)
		return false;
	strings->count++;
	return true;
}

struct config_strings
config_fixed_changes(const struct config *old, const struct config *fresh)
{
	struct config_strings changes = { 0 };

	for (size_t i = 0; i < schema_count(); i++) {
		const struct schema_row *row = schema_row(i);

		if (!row->needs_start ||
		    row->type->equal(schema_field_const(row, old, NULL),
			schema_field_const(row, fresh, NULL)))
			continue;
		/* The list is for a warning: a shorter one will do. */
		if (!append_copy(&changes, row->name))
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
