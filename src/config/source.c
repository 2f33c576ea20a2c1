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
#include "config/diagnostics.h"
#include "config/expand.h"
#include "config/file.h"
#include "config/heading.h"
#include "config/ini.h"
#include "config/strings.h"
#include "config/words.h"

/* What all files of one run share. */
struct gathering {
	struct source *source;
	struct arena *arena;
	struct diagnostics *diag;
	size_t files;
	/* The first file, for is_stunnel. */
	const char *name;
	const char *bytes;
	size_t size;
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
		diag_no_memory(gathering->diag);
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
		diag_no_memory(gathering->diag);
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
		diag_no_memory(gathering->diag);
		return;
	}
	statement.value = expand_value(
	    gathering->arena, file->name, item->value, &err);
	if (statement.value == NULL)
		diag_error(gathering->diag, &statement.where, "%s: %s",
		    statement.key, err.text);
	if (!fuzzy_same(statement.key, "include"))
		add_statement(file, &statement);
	else if (statement.value != NULL)
		include(file, &statement);
}

static void
report_wrong(struct diagnostics *diag, const struct config_where *where,
    const struct ini_item *item)
{
	const char *hint = item->word != NULL ? words_foreign(item->word)
					      : NULL;

	if (hint != NULL)
		diag_error(diag, where, "%s (\"%.64s\" is %s)", item->wrong,
		    item->word, hint);
	else
		diag_error(diag, where, "%s", item->wrong);
}

static void
on_item(void *arg, const struct ini_item *item)
{
	struct open_file *file = arg;
	struct config_where where = { file->name, item->line };

	if (item->wrong != NULL)
		report_wrong(file->gathering->diag, &where, item);
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
		diag_error(gathering->diag, where,
		    "include %s: more than %d files inside each other", path,
		    SOURCE_DEPTH_MAX);
	else if (gathering->files >= SOURCE_FILES_MAX)
		diag_error(gathering->diag, where,
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
		diag_error(
		    gathering->diag, where, "include %s: %s", path, err.text);
		return;
	}
	twin = find_open(parent, &bytes);
	if (twin != NULL) {
		diag_error(gathering->diag, where,
		    "include %s: goes round in a circle, because %s is still "
		    "being read",
		    path, twin->name);
		return;
	}
	diag_file(gathering->diag, path);
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

/* What a first look at a file finds. */
struct glance {
	bool has_word; /* of stunnel's */
	bool has_ours; /* a section that stunnel does not have */
};

static void
on_glance(void *arg, const struct ini_item *item)
{
	struct glance *glance = arg;

	if (item->section != NULL)
		glance->has_ours |= heading_is_ours(item->section);
	else if (item->key != NULL)
		glance->has_word |= words_is_stunnel(item->key);
}

/* Is the first file a stunnel.conf?  The files of its folders are not read
 * yet, so it has to show in itself. */
static bool
is_stunnel(const struct gathering *gathering)
{
	struct glance glance = { 0 };

	ini_read(gathering->bytes, gathering->size, on_glance, &glance);
	return !glance.has_ours &&
	       (glance.has_word || words_is_stunnel_file(gathering->name));
}

static bool
ends_in(const char *name, const char *end)
{
	size_t length = strlen(name), end_length = strlen(end);

	return length > end_length &&
	       strcmp(name + length - end_length, end) == 0;
}

static int
is_ini(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && ends_in(entry->d_name, ".ini");
}

static int
is_conf(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && ends_in(entry->d_name, ".conf");
}

/* Not what editors leave behind. */
static int
is_any(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && !ends_in(entry->d_name, "~");
}

static int
compare_names(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void
free_entries(struct dirent **entries, int count)
{
	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
}

/* Files in a folder that are not read are no mistake, but easily missed. */
static void
note_passed_over(struct diagnostics *diag, const struct config_where *where,
    const char *folder, int count)
{
	struct dirent **entries = NULL;
	int others = scandir(folder, &entries, is_conf, compare_names);

	if (others > 0)
		diag_note(diag,
		    "%s:%u: of the folder %s the files named *.ini are read, "
		    "and %s is not one: rename it",
		    where->file, where->line, folder, entries[0]->d_name);
	else if (count == 0)
		diag_note(diag,
		    "%s:%u: the folder %s holds no file named *.ini",
		    where->file, where->line, folder);
	free_entries(entries, others);
}

static bool
is_regular(const char *path)
{
	struct stat status;

	return stat(path, &status) != 0 || S_ISREG(status.st_mode);
}

/* stunnel reads every regular file of a folder. */
static void
include_folder(struct open_file *parent, const struct config_where *where,
    const char *folder)
{
	struct gathering *gathering = parent->gathering;
	struct dirent **entries = NULL;
	bool all = is_stunnel(gathering);
	int count = scandir(
	    folder, &entries, all ? is_any : is_ini, compare_names);
	char *path;

	if (count < 0) {
		diag_error(gathering->diag, where, "include %s: %s", folder,
		    strerror(errno));
		return;
	}
	if (!all)
		note_passed_over(gathering->diag, where, folder, count);
	for (int i = 0; i < count; i++) {
		path = arena_format(
		    gathering->arena, "%s/%s", folder, entries[i]->d_name);
		if (path == NULL)
			diag_no_memory(gathering->diag);
		else if (!all || is_regular(path))
			include_file(parent, where, path);
	}
	free_entries(entries, count);
}

static void
include(struct open_file *file, const struct statement *statement)
{
	struct gathering *gathering = file->gathering;
	struct stat status;
	bool found;
	char *path;

	if (statement->value[0] == '\0') {
		diag_error(gathering->diag, &statement->where,
		    "include needs a file or a folder");
		return;
	}
	path = file_beside(gathering->arena, file->name, statement->value);
	found = path != NULL && stat(path, &status) == 0;
	if (path == NULL)
		diag_no_memory(gathering->diag);
	else if (found && S_ISDIR(status.st_mode))
		include_folder(file, &statement->where, path);
	else if (!found && strpbrk(path, "*?[") != NULL)
		diag_error(gathering->diag, &statement->where,
		    "include %s: a pattern is not expanded: name the folder, "
		    "whose files are read in the order of their names",
		    path);
	else
		include_file(file, &statement->where, path);
}

static void
read_main(struct gathering *gathering, struct open_file *file,
    const char *bytes, size_t size)
{
	gathering->files = 1;
	gathering->name = file->name;
	gathering->bytes = bytes;
	gathering->size = size;
	add_section(file, "", 0);
	ini_read(bytes, size, on_item, file);
}

void
source_load(struct source *source, struct diagnostics *diag, const char *path)
{
	struct gathering gathering = {
		.source = source,
		.arena = diag->arena,
		.diag = diag,
	};
	struct config_where where = { path, 0 };
	struct file_bytes bytes;
	struct err err;

	diag_file(diag, path);
	if (!file_read(&bytes, diag->arena, path, FILE_SIZE_MAX, &err)) {
		diag_error(diag, &where, "%s", err.text);
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
source_parse(struct source *source, struct diagnostics *diag, const char *name,
    const char *bytes, size_t size)
{
	struct gathering gathering = {
		.source = source,
		.arena = diag->arena,
		.diag = diag,
	};

	diag_file(diag, name);
	read_main(&gathering,
	    &(struct open_file){ .gathering = &gathering, .name = name }, bytes,
	    size);
}
