/*
 * Reads the files of one configuration into sections of statements.  Main
 * thread.
 *
 * An include is read where it stands and begins in the section it stands in;
 * sections opened inside it end with it.  A file that is still open is
 * recognised by device and inode, so neither names nor links can form a cycle.
 *
 * Files are opened without blocking and must be regular, so that a pipe or a
 * device named by mistake cannot block a reload.
 *
 * The text that replaces ${...} is not expanded again, so neither the
 * environment nor a file can insert a further reference.  An unset variable is
 * an error, since an empty certificate path would be noticed much later.
 */
#include "config/reader.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "config/arena.h"
#include "config/diagnostics.h"
#include "config/ini.h"
#include "config/strings.h"
#include "config/stunnel.h"

#define FILE_SIZE_MAX (4u << 20)
#define VALUE_SIZE_MAX 65536 /* bytes of a value after expansion */
#define READER_FILES_MAX 512

/* A file's content (terminated, the NUL not counted) and its identity. */
struct file_bytes {
	const char *bytes; /* in the arena */
	size_t size;
	dev_t device;
	ino_t inode; /* 0: bytes of no file */
};

static bool
check_kind(const struct stat *status, size_t max, struct err *err)
{
	if (S_ISDIR(status->st_mode))
		err_set(err, "is a folder, not a file");
	else if (!S_ISREG(status->st_mode))
		err_set(err, "is not a regular file");
	else if (status->st_size > (off_t)max)
		err_set(err, "is larger than %zu bytes", max);
	else
		return true;
	return false;
}

/* Read up to `size` bytes.  Returns the number read, or -1 with errno. */
static ssize_t
read_all(int fd, char *out, size_t size)
{
	size_t have = 0;
	ssize_t got;

	while (have < size) {
		got = read(fd, out + have, size - have);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		have += (size_t)got;
	}
	return (ssize_t)have;
}

static bool
take_bytes(struct file_bytes *file, struct arena *arena, int fd, size_t max,
    struct err *err)
{
	struct stat status;
	ssize_t got;
	size_t room;
	char *bytes;

	if (fstat(fd, &status) < 0)
		return err_set_errno(err, errno, "cannot be read");
	if (!check_kind(&status, max, err))
		return false;
	/* Files of /proc report size 0. */
	room = status.st_size > 0 ? (size_t)status.st_size : 4096;
	file->bytes = bytes = arena_alloc(arena, room + 1);
	if (bytes == NULL)
		return err_no_memory(err);
	got = read_all(fd, bytes, room);
	if (got < 0)
		return err_set_errno(err, errno, "cannot be read");
	file->size = (size_t)got;
	file->device = status.st_dev;
	file->inode = status.st_ino;
	return true;
}

/* stat() first: open() alone has side effects on some devices. */
static int
open_regular(const char *path, size_t max, struct err *err)
{
	struct stat status;
	int fd;

	if (file_stat(path, &status) == 0 && !check_kind(&status, max, err))
		return -1;
	fd = file_open(path);
	if (fd < 0) {
		err_set_errno(err, errno, "cannot be opened");
		file_explain(err);
	}
	return fd;
}

static bool
read_file(struct file_bytes *file, struct arena *arena, const char *path,
    size_t max, struct err *err)
{
	int fd = open_regular(path, max, err);
	bool read;

	*file = (struct file_bytes){ .bytes = "" };
	if (fd < 0)
		return false;
	read = take_bytes(file, arena, fd, max, err);
	close(fd);
	return read;
}

char *
reader_path(struct arena *arena, const char *from, const char *path)
{
	const char *slash = strrchr(from, '/');

	if (path[0] == '/' || slash == NULL)
		return arena_copy(arena, path, strlen(path));
	return arena_format(arena, "%.*s/%s", (int)(slash - from), from, path);
}

struct expansion {
	struct arena *arena;
	struct diagnostics *diag;
	const char *from;
	size_t length;
	char out[VALUE_SIZE_MAX + 1];
};

static bool
put(struct expansion *expansion, const char *text, size_t length,
    struct err *err)
{
	if (length > VALUE_SIZE_MAX - expansion->length)
		return err_set(
		    err, "the value is longer than %d bytes", VALUE_SIZE_MAX);
	memcpy(expansion->out + expansion->length, text, length);
	expansion->length += length;
	return true;
}

static bool
has_control(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (iscntrl((unsigned char)text[i]) && text[i] != '\t')
			return true;
	return false;
}

static bool
put_file(struct expansion *expansion, const char *name, struct err *err)
{
	struct file_bytes file;
	char *path = reader_path(expansion->arena, expansion->from, name);
	size_t size;

	if (path == NULL)
		return err_no_memory(err);
	diag_input(expansion->diag, path);
	if (!read_file(&file, expansion->arena, path, VALUE_SIZE_MAX, err)) {
		err_prefix(err, "${file:%s}", name);
		return false;
	}
	size = file.size;
	while (size > 0 && isspace((unsigned char)file.bytes[size - 1]))
		size--;
	if (has_control(file.bytes, size))
		return err_set(
		    err, "${file:%s}: contains more than one line", name);
	return put(expansion, file.bytes, size, err);
}

static bool
is_name(const char *text)
{
	if (*text == '\0' || isdigit((unsigned char)*text))
		return false;
	for (; *text != '\0'; text++)
		if (!isalnum((unsigned char)*text) && *text != '_')
			return false;
	return true;
}

/* NAME, NAME:-fallback or NAME:?advice, as in a shell. */
struct variable {
	const char *name;
	const char *fallback; /* for an unset or empty one; NULL: none */
	const char *advice;   /* not NULL: unset and empty are errors */
};

static struct variable
split_variable(char *inner)
{
	struct variable variable = { .name = inner };
	char *colon = strchr(inner, ':');

	if (colon == NULL || (colon[1] != '-' && colon[1] != '?'))
		return variable;
	*colon = '\0';
	if (colon[1] == '-')
		variable.fallback = colon + 2;
	else
		variable.advice = colon + 2;
	return variable;
}

static bool
refuse_variable(
    const struct variable *variable, const char *value, struct err *err)
{
	const char *state = value == NULL ? "not set" : "empty";

	if (variable->advice == NULL)
		err_set(err,
		    "the environment variable %s is %s: set it or write "
		    "${%s:-default}",
		    variable->name, state, variable->name);
	else
		err_set(err, "the environment variable %s is %s%s%s",
		    variable->name, state, *variable->advice ? ": " : "",
		    variable->advice);
	return false;
}

static bool
put_variable(struct expansion *expansion, char *inner, struct err *err)
{
	const struct variable variable = split_variable(inner);
	const char *name = variable.name, *value;

	if (!is_name(name))
		return err_set(err,
		    "\"${%s}\" is not a reference: write ${NAME}, "
		    "${NAME:-default}, ${NAME:?advice} or ${file:PATH}, or "
		    "$${ for a plain ${",
		    name);
	value = getenv(name);
	if (variable.fallback != NULL && (value == NULL || *value == '\0'))
		value = variable.fallback;
	if (value == NULL || (variable.advice != NULL && *value == '\0'))
		return refuse_variable(&variable, value, err);
	if (has_control(value, strlen(value)))
		return err_set(err,
		    "the environment variable %s contains control characters",
		    name);
	return put(expansion, value, strlen(value), err);
}

/* `inner` is the text between the braces. */
static bool
put_reference(struct expansion *expansion, const char *inner, size_t length,
    struct err *err)
{
	char *copy = arena_copy(expansion->arena, inner, length);

	if (copy == NULL)
		return err_no_memory(err);
	if (strncmp(copy, "file:", 5) == 0)
		return put_file(expansion, copy + 5, err);
	return put_variable(expansion, copy, err);
}

/* *value points to "${" and is advanced behind the "}". */
static bool
expand_reference(
    struct expansion *expansion, const char **value, struct err *err)
{
	const char *inner = *value + 2;
	const char *end = strchr(inner, '}');

	if (end == NULL)
		return err_set(err, "a \"${\" is not closed by \"}\"");
	*value = end + 1;
	return put_reference(expansion, inner, (size_t)(end - inner), err);
}

static bool
expand(struct expansion *expansion, const char *value, struct err *err)
{
	size_t plain;

	while (*value != '\0') {
		if (strncmp(value, "$${", 3) == 0) {
			if (!put(expansion, "${", 2, err))
				return false;
			value += 3;
			continue;
		}
		if (strncmp(value, "${", 2) == 0) {
			if (!expand_reference(expansion, &value, err))
				return false;
			continue;
		}
		plain = 1 + strcspn(value + 1, "$");
		if (!put(expansion, value, plain, err))
			return false;
		value += plain;
	}
	return true;
}

static char *
trimmed(struct arena *arena, const char *text, size_t length)
{
	while (length > 0 && isspace((unsigned char)*text)) {
		text++;
		length--;
	}
	while (length > 0 && isspace((unsigned char)text[length - 1]))
		length--;
	return arena_copy(arena, text, length);
}

/* A value that would be read as a comment cannot be written in a file, so it is
 * refused here: every value can be printed and read back. */
static bool
has_comment(const char *text)
{
	return text[0] == ';' || strstr(text, " ;") != NULL ||
	       strstr(text, "\t;") != NULL;
}

static char *
finish(struct arena *arena, const struct expansion *expansion, struct err *err)
{
	char *out = trimmed(arena, expansion->out, expansion->length);

	if (out == NULL) {
		err_no_memory(err);
		return NULL;
	}
	if (has_comment(out)) {
		err_set(
		    err, "a value cannot contain a blank followed by \";\"");
		return NULL;
	}
	return out;
}

static char *
expand_value(struct diagnostics *diag, const char *from, const char *value,
    struct err *err)
{
	struct arena *arena = diag->arena;
	struct expansion *expansion;
	char *out = NULL;

	if (strstr(value, "${") == NULL) {
		out = arena_copy(arena, value, strlen(value));
		if (out == NULL)
			err_no_memory(err);
		return out;
	}
	expansion = calloc(1, sizeof(*expansion));
	if (expansion == NULL) {
		err_no_memory(err);
		return NULL;
	}
	expansion->arena = arena;
	expansion->diag = diag;
	expansion->from = from;
	if (expand(expansion, value, err))
		out = finish(arena, expansion, err);
	free(expansion);
	return out;
}

void
reader_print(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (text[0] == '$' && text[1] == '{')
			fputc('$', out);
		fputc(*text, out);
	}
}

/* The state shared by all files of one run. */
struct reader {
	struct source *source;
	struct arena *arena;
	struct diagnostics *diag;
	size_t files;
	const struct open_file *main;
};

/* One file being read, and the file that includes it. */
struct open_file {
	struct reader *reader;
	const struct open_file *parent;
	const char *name;
	const struct file_bytes *bytes;
	unsigned depth;
	size_t section; /* where statements are added */
};

static void include(struct open_file *file, const struct statement *statement);

static void
add_section(struct open_file *file, const char *name, unsigned line)
{
	struct reader *reader = file->reader;
	struct source *source = reader->source;
	struct section *sections = arena_grow(
	    reader->arena, source->sections, source->count, sizeof(*sections));
	char *copy = arena_copy(reader->arena, name, strlen(name));

	if (sections == NULL || copy == NULL) {
		diag_no_memory(reader->diag);
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
	struct reader *reader = file->reader;
	struct section *section;
	struct statement *items;

	if (reader->source->count == 0)
		return;
	section = &reader->source->sections[file->section];
	items = arena_grow(
	    reader->arena, section->items, section->count, sizeof(*items));
	if (items == NULL) {
		diag_no_memory(reader->diag);
		return;
	}
	section->items = items;
	items[section->count++] = *statement;
}

static void
take_pair(struct open_file *file, const struct ini_item *item)
{
	struct reader *reader = file->reader;
	struct statement statement = {
		.key = arena_copy(reader->arena, item->key, strlen(item->key)),
		.where = { .file = file->name, .line = item->line },
	};
	struct err err;

	if (statement.key == NULL) {
		diag_no_memory(reader->diag);
		return;
	}
	statement.value = expand_value(
	    reader->diag, file->name, item->value, &err);
	if (statement.value == NULL)
		diag_error(reader->diag, &statement.where, "%s: %s",
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
	const char *hint = item->word != NULL ? stunnel_foreign_hint(item->word)
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
		report_wrong(file->reader->diag, &where, item);
	else if (item->section != NULL)
		add_section(file, item->section, item->line);
	else
		take_pair(file, item);
}

static const struct open_file *
find_open(const struct open_file *file, const struct file_bytes *bytes)
{
	for (; file != NULL; file = file->parent)
		if (file->bytes->inode == bytes->inode &&
		    file->bytes->device == bytes->device)
			return file;
	return NULL;
}

/* Check the limits of includes.  false: reported. */
static bool
check_bounds(const struct open_file *parent, const struct config_where *where,
    const char *path)
{
	struct reader *reader = parent->reader;

	if (parent->depth + 1 >= READER_DEPTH_MAX)
		diag_error(reader->diag, where,
		    "include %s: more than %d files inside each other", path,
		    READER_DEPTH_MAX);
	else if (reader->files >= READER_FILES_MAX)
		diag_error(reader->diag, where,
		    "include %s: more than %d files in all", path,
		    READER_FILES_MAX);
	else
		return true;
	return false;
}

static void
include_file(struct open_file *parent, const struct config_where *where,
    const char *path)
{
	struct reader *reader = parent->reader;
	const struct open_file *twin;
	struct file_bytes bytes;
	struct err err;

	if (!check_bounds(parent, where, path))
		return;
	diag_input(reader->diag, path);
	if (!read_file(&bytes, reader->arena, path, FILE_SIZE_MAX, &err)) {
		diag_error(
		    reader->diag, where, "include %s: %s", path, err.text);
		return;
	}
	twin = find_open(parent, &bytes);
	if (twin != NULL) {
		diag_error(reader->diag, where,
		    "include %s: forms a cycle, because %s is still being read",
		    path, twin->name);
		return;
	}
	diag_file(reader->diag, path);
	reader->files++;
	ini_read(bytes.bytes, bytes.size, on_item,
	    &(struct open_file){ .reader = reader,
		.parent = parent,
		.name = path,
		.bytes = &bytes,
		.depth = parent->depth + 1,
		.section = parent->section });
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

/* Skip hidden files and backups of editors. */
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

/* Files that are skipped are easily missed: add a note. */
static void
note_passed_over(struct diagnostics *diag, const struct config_where *where,
    const char *folder, int count)
{
	struct dirent **entries = NULL;
	int others = file_scan(folder, &entries, is_conf, compare_names);

	if (others > 0)
		diag_note(diag, where,
		    "of the folder %s the files named *.ini are read, and %s "
		    "is not one: rename it",
		    folder, entries[0]->d_name);
	else if (count == 0)
		diag_note(diag, where,
		    "the folder %s contains no file named *.ini", folder);
	free_entries(entries, others);
}

static bool
is_regular(const char *path)
{
	struct stat status;

	return file_stat(path, &status) != 0 || S_ISREG(status.st_mode);
}

/* A stunnel.conf includes every regular file of a folder, other files only
 * *.ini. */
static void
include_folder(struct open_file *parent, const struct config_where *where,
    const char *folder)
{
	struct reader *reader = parent->reader;
	struct dirent **entries = NULL;
	bool all = stunnel_is_text(reader->main->name,
	    reader->main->bytes->bytes, reader->main->bytes->size);
	int count = file_scan(
	    folder, &entries, all ? is_any : is_ini, compare_names);
	char *path;

	diag_input_folder(reader->diag, folder);
	if (count < 0) {
		diag_error(reader->diag, where, "include %s: %s", folder,
		    strerror(errno));
		return;
	}
	if (!all)
		note_passed_over(reader->diag, where, folder, count);
	for (int i = 0; i < count; i++) {
		path = arena_format(
		    reader->arena, "%s/%s", folder, entries[i]->d_name);
		if (path == NULL)
			diag_no_memory(reader->diag);
		else if (!all || is_regular(path))
			include_file(parent, where, path);
	}
	free_entries(entries, count);
}

static void
include(struct open_file *file, const struct statement *statement)
{
	struct reader *reader = file->reader;
	struct stat status;
	bool found;
	char *path;

	if (statement->value[0] == '\0') {
		diag_error(reader->diag, &statement->where,
		    "include needs a file or a folder");
		return;
	}
	path = reader_path(reader->arena, file->name, statement->value);
	found = path != NULL && file_stat(path, &status) == 0;
	if (path == NULL)
		diag_no_memory(reader->diag);
	else if (found && S_ISDIR(status.st_mode))
		include_folder(file, &statement->where, path);
	else if (!found && strpbrk(path, "*?[") != NULL)
		diag_error(reader->diag, &statement->where,
		    "include %s: a pattern is not expanded: name the folder, "
		    "whose files are read in the order of their names",
		    path);
	else
		include_file(file, &statement->where, path);
}

static void
read_main(struct source *source, struct diagnostics *diag, const char *name,
    const struct file_bytes *bytes)
{
	struct reader reader = {
		.source = source,
		.arena = diag->arena,
		.diag = diag,
		.files = 1,
	};
	struct open_file file = {
		.reader = &reader,
		.name = name,
		.bytes = bytes,
	};

	reader.main = &file;
	add_section(&file, "", 0);
	ini_read(bytes->bytes, bytes->size, on_item, &file);
}

void
reader_load(struct source *source, struct diagnostics *diag, const char *path)
{
	struct config_where where = { path, 0 };
	struct file_bytes file;
	struct err err;

	diag_file(diag, path);
	diag_input(diag, path);
	if (read_file(&file, diag->arena, path, FILE_SIZE_MAX, &err))
		read_main(source, diag, path, &file);
	else
		diag_error(diag, &where, "%s", err.text);
}

void
reader_parse(struct source *source, struct diagnostics *diag, const char *name,
    const char *bytes, size_t size)
{
	struct file_bytes file = { .bytes = bytes, .size = size };

	diag_file(diag, name);
	read_main(source, diag, name, &file);
}
