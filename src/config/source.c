/*
 * Puts the files of one configuration together.  An include is read at the
 * place where it stands and begins in the section it stands in; headings
 * inside it end with it.  A file that is already being read is known by
 * device and inode, so no choice of names or links can make a circle.
 * Main thread.
 */
#include "config/source.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "config/arena.h"
#include "config/expand.h"
#include "config/file.h"
#include "config/ini.h"
#include "config/near.h"
#include "config/report.h"

/* What all files of one run share. */
struct gathering {
	struct source *source;
	struct arena *arena;
	struct report *report;
	size_t files;
};

/* One file being read, and who included it. */
struct open_file {
	struct gathering *gathering;
	const struct open_file *parent;
	const char *name;
	unsigned depth;
	size_t section; /* the one statements now belong to */
	bool has_identity;
	dev_t device;
	ino_t inode;
};

static void include(struct open_file *file, const struct statement *statement);

static void
add_section(struct open_file *file, const char *name, unsigned line)
{
	struct gathering *gathering = file->gathering;
	struct source *source = gathering->source;
	struct section *sections = arena_grow(gathering->arena,
	    source->sections, source->count, sizeof(*sections));
	char *copy = arena_copy(gathering->arena, name, strlen(name));

	if (sections == NULL || copy == NULL) {
		report_no_memory(gathering->report);
		return;
	}
	source->sections = sections;
	sections[source->count] = (struct section){
		.name = copy,
		.where = { .file = file->name, .line = line },
	};
	file->section = source->count++;
}

static void
add_statement(struct open_file *file, const struct statement *statement)
{
	struct gathering *gathering = file->gathering;
	struct section *section;
	struct statement *items;

	if (gathering->source->count == 0)
		return;
	section = &gathering->source->sections[file->section];
	items = arena_grow(
	    gathering->arena, section->items, section->count, sizeof(*items));
	if (items == NULL) {
		report_no_memory(gathering->report);
		return;
	}
	section->items = items;
	items[section->count++] = *statement;
}

static void
take_pair(struct open_file *file, const struct ini_item *item)
{
	struct gathering *gathering = file->gathering;
	struct statement statement = {
		.key = arena_copy(
		    gathering->arena, item->key, strlen(item->key)),
		.where = { .file = file->name, .line = item->line },
	};
	struct err err;

	if (statement.key == NULL) {
		report_no_memory(gathering->report);
		return;
	}
	statement.value = expand_value(
	    gathering->arena, file->name, item->value, &err);
	if (statement.value == NULL)
		report_error(gathering->report, &statement.where, "%s: %s",
		    statement.key, err.text);
	if (!near_same(statement.key, "include"))
		add_statement(file, &statement);
	else if (statement.value != NULL)
		include(file, &statement);
}

static void
on_item(void *arg, const struct ini_item *item)
{
	struct open_file *file = arg;
	struct config_where where = { file->name, item->line };

	if (item->wrong != NULL)
		report_error(
		    file->gathering->report, &where, "%s", item->wrong);
	else if (item->section != NULL)
		add_section(file, item->section, item->line);
	else
		take_pair(file, item);
}

static const struct open_file *
find_open(const struct open_file *file, const struct file_bytes *bytes)
{
	for (; file != NULL; file = file->parent)
		if (file->has_identity && file->device == bytes->device &&
		    file->inode == bytes->inode)
			return file;
	return NULL;
}

/* May `parent` include one more file?  The answer no is reported. */
static bool
check_bounds(const struct open_file *parent, const struct config_where *where,
    const char *path)
{
	struct gathering *gathering = parent->gathering;

	if (parent->depth + 1 >= SOURCE_DEPTH_MAX)
		report_error(gathering->report, where,
		    "include %s: more than %d files inside each other", path,
		    SOURCE_DEPTH_MAX);
	else if (gathering->files >= SOURCE_FILES_MAX)
		report_error(gathering->report, where,
		    "include %s: more than %d files in all", path,
		    SOURCE_FILES_MAX);
	else
		return true;
	return false;
}

static void
include_file(struct open_file *parent, const struct config_where *where,
    const char *path)
{
	struct gathering *gathering = parent->gathering;
	const struct open_file *twin;
	struct file_bytes bytes;
	struct err err;

	if (!check_bounds(parent, where, path))
		return;
	if (!file_read(&bytes, gathering->arena, path, FILE_SIZE_MAX, &err)) {
		report_error(
		    gathering->report, where, "include %s: %s", path, err.text);
		return;
	}
	twin = find_open(parent, &bytes);
	if (twin != NULL) {
		report_error(gathering->report, where,
		    "include %s: goes round in a circle, because %s is still "
		    "being read",
		    path, twin->name);
		return;
	}
	report_file(gathering->report, path);
	gathering->files++;
	ini_read(bytes.bytes, bytes.size, on_item,
	    &(struct open_file){ .gathering = gathering,
		.parent = parent,
		.name = path,
		.depth = parent->depth + 1,
		.section = parent->section,
		.has_identity = true,
		.device = bytes.device,
		.inode = bytes.inode });
}

static int
is_ini(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return entry->d_name[0] != '.' && length > 4 &&
	       strcmp(entry->d_name + length - 4, ".ini") == 0;
}

static int
compare_names(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void
include_folder(struct open_file *parent, const struct config_where *where,
    const char *folder)
{
	struct gathering *gathering = parent->gathering;
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, is_ini, compare_names);
	char *path;

	if (count < 0) {
		report_error(gathering->report, where, "include %s: %s", folder,
		    strerror(errno));
		return;
	}
	if (count == 0)
		report_note(gathering->report,
		    "%s:%u: the folder %s holds no file named *.ini",
		    where->file, where->line, folder);
	for (int i = 0; i < count; i++) {
		path = arena_format(
		    gathering->arena, "%s/%s", folder, entries[i]->d_name);
		if (path == NULL)
			report_no_memory(gathering->report);
		else
			include_file(parent, where, path);
		free(entries[i]);
	}
	free(entries);
}

static void
include(struct open_file *file, const struct statement *statement)
{
	struct gathering *gathering = file->gathering;
	struct stat status;
	char *path;

	if (statement->value[0] == '\0') {
		report_error(gathering->report, &statement->where,
		    "include needs a file or a folder");
		return;
	}
	path = file_beside(gathering->arena, file->name, statement->value);
	if (path == NULL)
		report_no_memory(gathering->report);
	else if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
		include_folder(file, &statement->where, path);
	else
		include_file(file, &statement->where, path);
}

static void
read_main(struct gathering *gathering, struct open_file *file,
    const char *bytes, size_t size)
{
	gathering->files = 1;
	add_section(file, "", 0);
	ini_read(bytes, size, on_item, file);
}

void
source_load(struct source *source, struct report *report, const char *path)
{
	struct gathering gathering = { source, report->arena, report, 0 };
	struct config_where where = { path, 0 };
	struct file_bytes bytes;
	struct err err;

	report_file(report, path);
	if (!file_read(&bytes, report->arena, path, FILE_SIZE_MAX, &err)) {
		report_error(report, &where, "%s", err.text);
		return;
	}
	read_main(&gathering,
	    &(struct open_file){ .gathering = &gathering,
		.name = path,
		.has_identity = true,
		.device = bytes.device,
		.inode = bytes.inode },
	    bytes.bytes, bytes.size);
}

void
source_parse(struct source *source, struct report *report, const char *name,
    const char *bytes, size_t size)
{
	struct gathering gathering = { source, report->arena, report, 0 };

	report_file(report, name);
	read_main(&gathering,
	    &(struct open_file){ .gathering = &gathering, .name = name }, bytes,
	    size);
}
