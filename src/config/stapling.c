/*
 * What stapling makes of all keys together.  How a response is sent belongs
 * to the listener, which may override [ocsp]; what is fetched belongs to the
 * certificate, so a staple_file said in one listener is that of every
 * listener with the same certificate.  Main thread.
 */
#include <string.h>

#include "config/build.h"
#include "config/report.h"

static void
settle_listener(
    struct config_listener *listener, const struct config_ocsp *ocsp)
{
	if (!listener->ocsp_set) {
		listener->ocsp = ocsp->mode;
		listener->ocsp_where = ocsp->mode_where;
	}
	listener->without_staple = ocsp->without_staple;
	listener->on_revoked = ocsp->on_revoked;
	/* One tenant's revoked certificate does not stop the others. */
	if (listener->ocsp_set && ocsp->on_revoked == OCSP_REVOKED_BY_MODE)
		listener->on_revoked = OCSP_REVOKED_REFUSE;
}

/* false: the two contradict each other. */
static bool
share_staple_file(struct report *report, struct config_listener *first,
    struct config_listener *second)
{
	if (first->cert == NULL || second->cert == NULL ||
	    strcmp(first->cert, second->cert) != 0)
		return true;
	if (second->staple_file == NULL) {
		second->staple_file = first->staple_file;
		second->staple_file_where = first->staple_file_where;
	} else if (first->staple_file == NULL) {
		first->staple_file = second->staple_file;
		first->staple_file_where = second->staple_file_where;
	} else if (strcmp(first->staple_file, second->staple_file) != 0) {
		report_error(report, &second->staple_file_where,
		    "staple_file of listener %.64s is another one than in "
		    "%s:%u, but both are for the certificate %s",
		    second->name, first->staple_file_where.file,
		    first->staple_file_where.line, second->cert);
		return false;
	}
	return true;
}

static void
share_staple_files(const struct build *build)
{
	struct config_listener *listeners = build->config->listeners;

	for (size_t i = 1; i < build->config->listener_count; i++)
		for (size_t j = 0; j < i; j++)
			if (!share_staple_file(
				build->report, &listeners[j], &listeners[i]))
				break;
}

static void
check_mode(const struct build *build)
{
	const struct config_where *ocsp, *mode;

	ocsp = apply_said_in(&build->global, SCHEMA_GLOBAL, "ocsp");
	mode = apply_said_in(&build->ocsp, SCHEMA_OCSP, "mode");
	if (ocsp != NULL && mode != NULL)
		report_error(build->report, mode,
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
	where = apply_said_in(&build->ocsp, SCHEMA_OCSP, "min_interval");
	if (where == NULL)
		where = apply_said_in(
		    &build->ocsp, SCHEMA_OCSP, "max_interval");
	value_format_duration(least, ocsp->min_interval_ms);
	value_format_duration(most, ocsp->max_interval_ms);
	report_error(build->report, where,
	    "min_interval is %s, which is more than max_interval, %s", least,
	    most);
}

void
stapling_settle(const struct build *build)
{
	struct config *config = build->config;

	for (size_t i = 0; i < config->listener_count; i++)
		settle_listener(&config->listeners[i], &config->ocsp);
	share_staple_files(build);
	check_mode(build);
	check_intervals(build);
}
