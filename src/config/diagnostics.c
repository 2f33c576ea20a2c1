/*
 * Errors and notes of all passes over a configuration.  Main thread.
 *
 * Passes visit the file in different orders, so errors are sorted by file and
 * line at the end.  Texts quote the file, so control bytes are replaced by "?".
 */
#include "config/diagnostics.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "config/arena.h"
#include "config/strings.h"

void
diag_no_memory(struct diagnostics *diag)
{
	diag->no_memory = true;
}

void
diag_file(struct diagnostics *diag, const char *file)
{
	const char **files = arena_grow(
	    diag->arena, diag->files, diag->file_count, sizeof(*files));

	if (files == NULL) {
		diag_no_memory(diag);
		return;
	}
	diag->files = files;
	files[diag->file_count++] = file;
}

static void
append(
    struct diagnostics *diag, struct config_strings *strings, const char *path)
{
	char **items = arena_grow(
	    diag->arena, strings->items, strings->count, sizeof(*items));
	char *copy = arena_copy(diag->arena, path, strlen(path));

	if (items == NULL || copy == NULL) {
		diag_no_memory(diag);
		return;
	}
	strings->items = items;
	items[strings->count++] = copy;
}

void
diag_input(struct diagnostics *diag, const char *path)
{
	append(diag, &diag->inputs, path);
}

void
diag_input_folder(struct diagnostics *diag, const char *path)
{
	append(diag, &diag->input_folders, path);
}

static unsigned
order_of(const struct diagnostics *diag, const char *file)
{
	unsigned i;

	for (i = 0; i < diag->file_count; i++)
		if (strcmp(diag->files[i], file) == 0)
			break;
	return i;
}

bool
diag_is_full(const struct diagnostics *diag)
{
	return diag->count >= DIAG_MAX;
}

static void
add(struct diagnostics *diag, const struct config_where *where,
    const char *text)
{
	struct diag_item *items;

	if (diag_is_full(diag)) {
		diag->dropped++;
		return;
	}
	items = arena_grow(
	    diag->arena, diag->items, diag->count, sizeof(*items));
	if (items == NULL) {
		diag_no_memory(diag);
		return;
	}
	diag->items = items;
	items[diag->count] = (struct diag_item){
		.where = *where,
		.order = order_of(diag, where->file),
		.arrival = diag->count,
		.text = text,
	};
	diag->count++;
}

/* A copy without control bytes; an allocation failure is recorded. */
static char *
keep_text(struct diagnostics *diag, const char *text)
{
	char *copy = arena_copy(diag->arena, text, strlen(text));

	if (copy == NULL) {
		diag_no_memory(diag);
		return NULL;
	}
	for (char *at = copy; *at != '\0'; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = '?';
	return copy;
}

void
diag_error(struct diagnostics *diag, const struct config_where *where,
    const char *format, ...)
{
	struct err err;
	va_list args;
	char *text;

	va_start(args, format);
	vsnprintf(err.text, sizeof(err.text), format, args);
	va_end(args);
	text = keep_text(diag, err.text);
	if (text != NULL)
		add(diag, where, text);
}

void
diag_note(struct diagnostics *diag, const struct config_where *where,
    const char *format, ...)
{
	struct config_strings *notes = &diag->notes;
	struct err err;
	va_list args;
	char *text, **items;

	va_start(args, format);
	vsnprintf(err.text, sizeof(err.text), format, args);
	va_end(args);
	if (where != NULL && where->line > 0)
		err_prefix(&err, "%s:%u", where->file, where->line);
	else if (where != NULL)
		err_prefix(&err, "%s", where->file);
	text = keep_text(diag, err.text);
	if (text == NULL)
		return;
	for (size_t i = 0; i < notes->count; i++)
		if (strcmp(notes->items[i], text) == 0)
			return;
	items = arena_grow(
	    diag->arena, notes->items, notes->count, sizeof(*items));
	if (items == NULL) {
		diag_no_memory(diag);
		return;
	}
	notes->items = items;
	items[notes->count++] = text;
}

bool
diag_is_clean(const struct diagnostics *diag)
{
	return diag->count == 0 && !diag->no_memory;
}

static int
compare(const void *a, const void *b)
{
	const struct diag_item *left = a, *right = b;

	if (left->order != right->order)
		return left->order < right->order ? -1 : 1;
	if (left->where.line != right->where.line)
		return left->where.line < right->where.line ? -1 : 1;
	/* The same line: in the order of the passes. */
	return (left->arrival > right->arrival) -
	       (left->arrival < right->arrival);
}

static char *
sentence(const struct diag_item *item)
{
	char *text;
	int length;

	if (item->where.line == 0)
		length = asprintf(
		    &text, "%s: %s", item->where.file, item->text);
	else
		length = asprintf(&text, "%s:%u: %s", item->where.file,
		    item->where.line, item->text);
	return length < 0 ? NULL : text;
}

void
diag_finish(struct diagnostics *diag, struct config_errors *errors)
{
	char *more;

	if (diag->count > 1)
		qsort(diag->items, diag->count, sizeof(*diag->items), compare);
	for (size_t i = 0; i < diag->count; i++)
		(void)strings_append(&errors->list, sentence(&diag->items[i]));
	if (diag->dropped > 0 &&
	    asprintf(&more, "and %zu more errors", diag->dropped) > 0)
		(void)strings_append(&errors->list, more);
	if (diag->no_memory)
		(void)strings_append(
		    &errors->list, strdup("not enough memory to read it"));
}
