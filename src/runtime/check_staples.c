/*
 * What --test says of stapling.  Main thread.  The answers are those of the
 * library and of the verdict, so that they are those of a start.
 */
#include "runtime/check_staples.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "proxy/service.h"
#include "runtime/judge.h"
#include "runtime/process.h"
#include "runtime/stapling.h"
#include "runtime/verdict.h"
#include "tls/context.h"

static const char *
mode_name(enum config_ocsp_mode mode)
{
	static const char *const names[] = {
		[OCSP_MODE_AUTO] = "auto",
		[OCSP_MODE_MUST] = "must",
		[OCSP_MODE_ALWAYS] = "always",
		[OCSP_MODE_NEVER] = "never",
		[OCSP_MODE_PREFER] = "prefer",
	};

	return names[mode];
}

static void
say_source(const struct config *config, const struct config_listener *listener,
    const struct staple_info *info)
{
	size_t i;

	if (listener->staple_file)
		printf(", from %s", listener->staple_file);
	else
		printf(", %u responder%s", info->responders,
		    info->responders == 1 ? "" : "s");
	for (i = 0; !listener->staple_file && i < config->ocsp.urls.count; i++)
		printf("%s%s", i ? ", " : ": ", config->ocsp.urls.items[i]);
	if (config->store_dir)
		printf(", kept in %s", config->store_dir);
	else
		printf(", not kept over restarts (no store_dir)");
}

void
check_say_staple(const struct stapling *stapling, const struct service *service)
{
	const struct config_listener *listener = service->listener;
	struct staple_info info;
	char why[ERR_TEXT_MAX / 2];
	bool wanted;

	if (!stapling_state(
		stapling, tls_context_identity(service->tls), &info))
		return;
	wanted = verdict_wants(listener, &info);
	printf("  %s: ocsp = %s, certificate %s must-staple",
	    wanted && info.hindrance == STAPLE_UNASKED ? "stapled"
						       : "not stapled",
	    mode_name(listener->ocsp), info.must_staple ? "with" : "without");
	if (wanted && info.hindrance == STAPLE_UNASKED) {
		say_source(service->config, listener, &info);
	} else if (wanted || listener->ocsp == OCSP_MODE_PREFER) {
		judge_explain(&info, why, sizeof(why));
		printf(", %s", why);
	}
	printf("\n");
}

static bool
is_folder(const char *path)
{
	struct stat status;

	if (stat(path, &status) != 0)
		return false;
	errno = ENOTDIR;
	return S_ISDIR(status.st_mode);
}

bool
check_store(const struct config *config)
{
	if (config->store_dir == NULL || is_folder(config->store_dir) ||
	    (errno == ENOENT && process_can_write(config->store_dir)))
		return true;
	fprintf(stderr, "%s:%u: store_dir: %s cannot be used or made: %s\n",
	    config->store_dir_where.file, config->store_dir_where.line,
	    config->store_dir, strerror(errno));
	return false;
}
