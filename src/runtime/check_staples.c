/*
 * What --test says of stapling.  Main thread.  The answers are those of the
 * library and of the verdict, so that they are those of a start.
 */
#include "runtime/check_staples.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "runtime/credential.h"
#include "runtime/generation.h"
#include "runtime/judge.h"
#include "runtime/process.h"
#include "runtime/stapling.h"
#include "runtime/verdict.h"

static void
say_source(const struct config *config, const char *staple_file,
    const struct staple_info *info)
{
	size_t i;

	if (staple_file)
		printf(", from %s", staple_file);
	else
		printf(", %u responder%s", info->responders,
		    info->responders == 1 ? "" : "s");
	for (i = 0; !staple_file && i < config->ocsp.urls.count; i++)
		printf("%s%s", i ? ", " : ": ", config->ocsp.urls.items[i]);
	if (config->store_dir)
		printf(", kept in %s", config->store_dir);
	else
		printf(", not kept over restarts (no store_dir)");
}

static void
say_staple(const struct config *config, const struct holding *holding,
    const struct staple_info *info)
{
	const struct credential_key *id = &holding->credential->id;
	bool wanted = verdict_wants(&id->policy, info);
	char why[ERR_TEXT_MAX / 2];

	printf("certificate %s: %s: ocsp = %s, certificate %s must-staple",
	    info->name,
	    wanted && info->hindrance == STAPLE_UNASKED ? "stapled"
							: "not stapled",
	    stapling_mode_name(id->policy.mode),
	    info->must_staple ? "with" : "without");
	if (wanted && info->hindrance == STAPLE_UNASKED) {
		say_source(config, id->staple_file, info);
	} else if (wanted || id->policy.mode == STAPLE_PREFER) {
		judge_explain(info, why, sizeof(why));
		printf(", %s", why);
	}
	printf("\n");
}

void
check_say_staples(
    const struct stapling *stapling, const struct generation *generation)
{
	const struct credential *credential;
	const struct identity *identity;
	const struct holding *holding;
	struct staple_info info;
	size_t i;

	for (i = 0; i < generation_holding_count(generation); i++) {
		holding = generation_holding(generation, i);
		credential = holding->credential;
		identity = credential->identity ? credential->identity
						: credential->renewal;
		if (identity && stapling_state(stapling, identity, &info))
			say_staple(
			    generation_config(generation), holding, &info);
	}
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

/* Can a start make the folders in it, as far as they are not there yet? */
static bool
can_hold_folders(const char *store_dir)
{
	static const char *const names[] = { "ocsp", "issuer" };
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", store_dir, names[i]);
		if (!is_folder(path) &&
		    (errno != ENOENT || !process_can_write(path)))
			return false;
	}
	return true;
}

bool
check_store(const struct config *config)
{
	if (config->store_dir == NULL ||
	    (is_folder(config->store_dir)
		    ? can_hold_folders(config->store_dir)
		    : errno == ENOENT && process_can_write(config->store_dir)))
		return true;
	fprintf(stderr, "%s:%u: store_dir: %s cannot be used or made: %s\n",
	    config->store_dir_where.file, config->store_dir_where.line,
	    config->store_dir, strerror(errno));
	return false;
}
