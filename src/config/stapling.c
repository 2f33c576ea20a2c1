/*
 * What stapling makes of all keys together.  How a response is sent belongs
 * to the listener or host, which may override [ocsp]; what is fetched belongs
 * to the certificate, so a staple_file said in one place is that of every
 * listener and host with the same certificate.  Main thread.
 */
#include <string.h>

#include "config/arena.h"
#include "config/build.h"
#include "config/diagnostics.h"
#include "config/strings.h"

/* A host has its listener's values already, where it says nothing. */
static void
settle_site(struct config_listener *settings, const struct config_ocsp *ocsp)
{
	if (!settings->ocsp_set) {
		settings->ocsp = ocsp->mode;
		settings->ocsp_where = ocsp->mode_where;
	}
	if (settings->without_staple == OCSP_WITHOUT_BY_MODE)
		settings->without_staple = ocsp->without_staple;
	if (settings->on_revoked == OCSP_REVOKED_BY_MODE)
		settings->on_revoked = ocsp->on_revoked;
	/* One tenant's revoked certificate does not stop the others. */
	if (settings->ocsp_set && settings->on_revoked == OCSP_REVOKED_BY_MODE)
		settings->on_revoked = OCSP_REVOKED_REFUSE;
}

/* Are its certificates its own? */
static bool
shows_own(const struct config_listener *settings)
{
	return settings->pattern == NULL || settings->certs_own;
}

static size_t
count_certificates(const struct build *build)
{
	struct site site = { 0 };
	size_t count = 0;

	while (build_next_site(build, &site))
		if (shows_own(site.settings))
			count += site.settings->certs.count;
	return count;
}

/* The staple file of each certificate that has one; false: another than
 * before, which is reported. */
static bool
note_file(const struct build *build, const struct config_listener *settings,
    size_t i, struct string_map *files)
{
	const struct config_path *file = config_staple_file_of(settings, i);
	const char *cert = settings->certs.items[i].path;
	const struct config_path *first;
	char name[BUILD_NAME_MAX];
	const void **known;

	if (file == NULL)
		return true;
	known = string_map_at(files, cert);
	first = *known;
	if (first == NULL)
		*known = file;
	if (first == NULL || strcmp(first->path, file->path) == 0)
		return true;
	diag_error(build->diag, &file->where,
	    "staple_file of %s is another one than in %s:%u, but both are for "
	    "the certificate %s",
	    build_name(name, settings), first->where.file, first->where.line,
	    cert);
	return false;
}

static void
note_files(const struct build *build, struct string_map *files)
{
	struct site site = { 0 };

	while (build_next_site(build, &site)) {
		if (!shows_own(site.settings))
			continue;
		for (size_t i = 0; i < site.settings->certs.count; i++)
			if (!note_file(build, site.settings, i, files))
				break;
	}
}

/* Fill in what others said of the same certificates; certificates that
 * nobody said it of stay without. */
static bool
take_files(const struct build *build, struct config_listener *settings,
    const struct string_map *files)
{
	struct config_paths *list = &settings->staple_files;
	const struct config_path *file;

	for (size_t i = 0; i < settings->certs.count; i++) {
		file = string_map_find(files, settings->certs.items[i].path);
		if (file == NULL)
			continue;
		if (list->items == NULL)
			list->items = arena_alloc(build->arena,
			    settings->certs.count * sizeof(list->items[0]));
		if (list->items == NULL)
			return false;
		list->count = settings->certs.count;
		list->items[i] = *file;
	}
	return true;
}

static bool
share_files(const struct build *build)
{
	struct site site = { 0 };
	struct string_map files;

	if (!string_map_init(&files, build->arena, count_certificates(build)))
		return false;
	note_files(build, &files);
	while (build_next_site(build, &site)) {
		struct config_listener *settings = site.settings;

		if (!shows_own(settings))
			settings->staple_files = site.listener->staple_files;
		else if (settings->staple_files.count == 0 &&
			 !take_files(build, settings, &files))
			return false;
	}
	return true;
}

static void
check_mode(const struct build *build)
{
	const struct config_where *ocsp, *mode;

	ocsp = layer_said_in(build, &build->global, SCHEMA_GLOBAL, "ocsp");
	mode = layer_said_in(build, &build->ocsp, SCHEMA_OCSP, "mode");
	if (ocsp != NULL && mode != NULL)
		diag_error(build->diag, mode,
		    "mode contradicts ocsp in %s:%u: keep one of the two",
		    ocsp->file, ocsp->line);
}

static void
check_intervals(const struct build *build)
{
	const struct config_ocsp *ocsp = &build->config->ocsp;
	const struct config_where *where;
	char least[VALUE_DURATION_MAX], most[VALUE_DURATION_MAX];

	if (ocsp->min_interval_ms <= ocsp->max_interval_ms)
		return;
	where = layer_said_in(build, &build->ocsp, SCHEMA_OCSP, "min_interval");
	if (where == NULL)
		where = layer_said_in(
		    build, &build->ocsp, SCHEMA_OCSP, "max_interval");
	value_format_duration(least, ocsp->min_interval_ms);
	value_format_duration(most, ocsp->max_interval_ms);
	diag_error(build->diag, where,
	    "min_interval is %s, which is more than max_interval, %s", least,
	    most);
}

void
stapling_settle(const struct build *build)
{
	struct site site = { 0 };

	while (build_next_site(build, &site))
		settle_site(site.settings, &build->config->ocsp);
	if (!share_files(build))
		diag_no_memory(build->diag);
	check_mode(build);
	check_intervals(build);
}
