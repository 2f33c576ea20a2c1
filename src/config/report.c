/*
 * Errors collected over all passes of reading.  Each pass sees the file from
 * another side, so errors are sorted at the end; and as the texts may quote a
 * hostile file, control bytes are taken out of them.  Main thread.
 */
#include "config/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "config/arena.h"

void
report_no_memory(struct report *report)
{
	report->no_memory = true;
}

void
report_file(struct report *report, const char *file)
{
	const char **files = arena_grow(
	    report->arena, report->files, report->file_count, sizeof(*files));

	if (files == NULL) {
		report_no_memory(report);
		return;
	}
	report->files = files;
	files[report->file_count++] = file;
}

static unsigned
order_of(const struct report *report, const char *file)
{
	unsigned i;

	for (i = 0; i < report->file_count; i++)
		if (strcmp(report->files[i], file) == 0)
			break;
	return i;
}

static void
blank_controls(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

bool
report_is_full(const struct report *report)
{
	return report->count >= REPORT_MAX;
}

static void
add(struct report *report, const struct config_where *where, const char *text)
{
	struct report_item *items;

	if (report_is_full(report)) {
		report->dropped++;
		return;
	}
	items = arena_grow(
	    report->arena, report->items, report->count, sizeof(*items));
	if (items == NULL) {
		report_no_memory(report);
		return;
	}
	report->items = items;
	items[report->count] = (struct report_item){
		.where = *where,
		.order = order_of(report, where->file),
		.arrival = report->count,
		.text = text,
	};
	report->count++;
}

void
report_error(struct report *report, const struct config_where *where,
    const char *format, ...)
{
	struct err err;
	va_list args;
	char *text;

	va_start(args, format);
	vsnprintf(err.text, sizeof(err.text), format, args);
	va_end(args);
	blank_controls(err.text);
	text = arena_copy(report->arena, err.text, strlen(err.text));
	if (text == NULL)
		report_no_memory(report);
	else
		add(report, where, text);
}

void
report_note(struct report *report, const char *format, ...)
{
	struct config_strings *notes = &report->notes;
	struct err err;
	va_list args;
	char **items;

	va_start(args, format);
	vsnprintf(err.text, sizeof(err.text), format, args);
	va_end(args);
	blank_controls(err.text);
	for (size_t i = 0; i < notes->count; i++)
		if (strcmp(notes->items[i], err.text) == 0)
			return;
	items = arena_grow(
	    report->arena, notes->items, notes->count, sizeof(*items));
	if (items == NULL) {
		report_no_memory(report);
		return;
	}
	notes->items = items;
	items[notes->count] = arena_copy(
	    report->arena, err.text, strlen(err.text));
	if (items[notes->count] == NULL)
		report_no_memory(report);
	else
		notes->count++;
}

bool
report_is_clean(const struct report *report)
{
	return report->count == 0 && !report->no_memory;
}

static int
compare(const void *a, const void *b)
{
	const struct report_item *left = a, *right = b;

	if (left->order != right->order)
		return left->order < right->order ? -1 : 1;
	if (left->where.line != right->where.line)
		return left->where.line < right->where.line ? -1 : 1;
	/* The same line: the pass that came first speaks first. */
	return (left->arrival > right->arrival) -
	       (left->arrival < right->arrival);
}

static char *
sentence(const struct report_item *item)
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

static void
give(struct config_errors *errors, char *text)
{
	struct config_strings *list = &errors->list;
	char **items;

	if (text == NULL)
		return;
	items = realloc(list->items, (list->count + 1) * sizeof(*items));
	if (items == NULL) {
		free(text);
		return;
	}
	list->items = items;
	items[list->count++] = text;
}

void
report_finish(struct report *report, struct config_errors *errors)
{
	char *more;

	if (report->count > 1)
		qsort(report->items, report->count, sizeof(*report->items),
		    compare);
	for (size_t i = 0; i < report->count; i++)
		give(errors, sentence(&report->items[i]));
	if (report->dropped > 0 &&
	    asprintf(&more, "and %zu more errors", report->dropped) > 0)
		give(errors, more);
	if (report->no_memory)
		give(errors, strdup("not enough memory to read it"));
}
