/*
 * Which certificates a listener and its hosts show: those its keys name, and
 * those in its folder.  Main thread.
 */
#include "runtime/build.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "runtime/cert_slot.h"
#include "runtime/generation_inner.h"
#include "runtime/stapling.h"

static bool
show(struct build *build, struct display *display,
    const struct config_listener *user, struct credential *credential)
{
	struct err err = { "out of memory" };

	if (credential == NULL)
		return false; /* reported */
	if (display_add(display, credential))
		return true;
	build_fail(build, BLAME_SYSTEM, &user->where, user, &err);
	return false;
}

/* ---- What stood in the same place ---- */

/* The old certificates of one listener or host, in order. */
struct ancestors {
	struct credential *const *items;
	size_t count;
};

/* Reloads rarely reorder: the same place is tried first. */
static size_t
find_listener(const struct config *config, const char *name, size_t i)
{
	size_t k;

	if (i < config->listener_count &&
	    strcmp(config->listeners[i].name, name) == 0)
		return i;
	for (k = 0; k < config->listener_count; k++)
		if (strcmp(config->listeners[k].name, name) == 0)
			return k;
	return SIZE_MAX;
}

/* Hosts are walked in their order, so the next one is the usual one. */
struct walk {
	const struct config_listener *listener; /* NULL: there was none */
	const struct display *display;
	size_t host; /* next one */
	size_t item; /* where its certificates begin */
};

static void
begin_walk(const struct build *build, struct walk *walk, size_t i)
{
	const struct config_listener *listener = &build->config->listeners[i];
	size_t at = SIZE_MAX;

	*walk = (struct walk){ 0 };
	if (build->old)
		at = find_listener(build->old->config, listener->name, i);
	if (at == SIZE_MAX)
		return;
	walk->listener = &build->old->config->listeners[at];
	walk->display = &build->old->displays[at];
	walk->item = walk->listener->certs.count + walk->display->folder_count;
}

static struct ancestors
ancestors_of_listener(const struct walk *walk)
{
	if (walk->listener == NULL)
		return (struct ancestors){ 0 };
	return (struct ancestors){
		walk->display->items,
		walk->listener->certs.count,
	};
}

static size_t
own_count(const struct config_listener *host)
{
	return host->certs_own ? host->certs.count : 0;
}

/* From the walk's place to the end; its place is then behind the one found,
 * or as it was. */
static struct ancestors
ancestors_of_host(struct walk *walk, const char *pattern)
{
	const struct config_listener *hosts;
	size_t host = walk->host, item = walk->item;
	struct ancestors found = { 0 };

	for (; walk->listener && host < walk->listener->host_count; host++) {
		hosts = walk->listener->hosts;
		if (strcmp(hosts[host].pattern, pattern) == 0) {
			found.items = walk->display->items + item;
			found.count = own_count(&hosts[host]);
			walk->host = host + 1;
			walk->item = item + found.count;
			return found;
		}
		item += own_count(&hosts[host]);
	}
	return found;
}

/* ---- What is shown ---- */

static void
show_own(struct build *build, struct display *display,
    const struct config_listener *user, const struct ancestors *ancestors)
{
	const struct config_path *staple_file;
	struct credential_key id = {
		.permissions = user->key_permissions,
		.policy = stapling_policy(user, false),
	};
	struct build_wish wish = { .user = user, .id = &id };
	size_t i;

	for (i = 0; i < user->certs.count; i++) {
		wish.cert = &user->certs.items[i];
		wish.key = config_key_of(user, i);
		wish.before = i < ancestors->count ? ancestors->items[i] : NULL;
		staple_file = config_staple_file_of(user, i);
		id.cert = wish.cert->path;
		id.key = wish.key->path;
		id.staple_file = staple_file ? staple_file->path : NULL;
		if (!show(build, display, user, build_credential(build, &wish)))
			return;
	}
}

static struct credential_key
id_in_folder(const struct config_listener *user, const struct folder_item *item)
{
	return (struct credential_key){
		.cert = item->cert,
		.key = item->key,
		.permissions = user->key_permissions,
		.policy = stapling_policy(user, true),
		.in_folder = true,
	};
}

/* At a start nothing is known yet, and all of it must be read.  Without memory
 * the files are read one by one. */
static void
read_ahead(const struct build *build, const struct config_listener *user,
    const struct folder *folder, struct preload *preload)
{
	struct credential_key *ids;
	size_t i;

	if (build->old || folder->count < PRELOAD_LEAST)
		return;
	ids = calloc(folder->count, sizeof(ids[0]));
	for (i = 0; ids && i < folder->count; i++)
		ids[i] = id_in_folder(user, &folder->items[i]);
	if (ids && !preload_run(preload, ids, folder->count))
		preload_free(preload);
	free(ids);
}

static void
show_folder(struct build *build, struct display *display,
    const struct config_listener *user, const struct folder *folder)
{
	struct preload preload = { 0 };
	struct credential_key id;
	struct build_wish wish = { .user = user, .id = &id };
	size_t i;

	read_ahead(build, user, folder, &preload);
	for (i = 0; i < folder->count; i++) {
		id = id_in_folder(user, &folder->items[i]);
		wish.read = i < preload.count ? &preload.items[i] : NULL;
		if (!show(build, display, user, build_credential(build, &wish)))
			break;
		display->folder_count++;
	}
	preload_free(&preload);
}

/* A folder that cannot be read any more, or holds nothing, is no reason to
 * show nothing: what was in it serves on. */
static void
show_old_folder(
    struct build *build, struct display *display, size_t i, struct err *err)
{
	const struct config_listener *user = &build->config->listeners[i];
	const struct display *old = &build->old->displays[i];
	struct credential *credential;
	size_t k;

	display->folder_kept = true;
	if (!old->folder_kept)
		log_error(build->parts->log, "tls",
		    "the certificates of cert_dir serve on as they were",
		    LOG_S("listener", user->name), LOG_S("error", err->text));
	for (k = 0; k < old->folder_count; k++) {
		credential = old->items[user->certs.count + k];
		if (!show(build, display, user,
			build_share(build, user, credential)))
			return;
		display->folder_count++;
	}
}

static void
show_all_of_folder(struct build *build, struct display *display, size_t i)
{
	const struct config_listener *user = &build->config->listeners[i];
	struct folder folder;
	struct err err = { "" };
	bool fine = folder_list(&folder, user->cert_dir, &err);

	if (fine && folder.count == 0 && user->certs.count == 0) {
		err_set(&err,
		    "%s holds no certificate (*.pem, *.crt, or folders "
		    "with fullchain.pem and privkey.pem)",
		    user->cert_dir);
		fine = false;
	}
	if (fine) {
		show_folder(build, display, user, &folder);
	} else if (build->cause == GENERATION_FILES) {
		show_old_folder(build, display, i, &err);
	} else {
		err_prefix(&err, "cert_dir");
		build_fail(
		    build, BLAME_CONFIG, &user->cert_dir_where, user, &err);
	}
	folder_free(&folder);
}

void
build_display(struct build *build, size_t i)
{
	const struct config_listener *listener = &build->config->listeners[i];
	struct display *display = &build->fresh->displays[i];
	const struct config_listener *host;
	struct ancestors ancestors;
	struct walk walk;
	size_t k;

	begin_walk(build, &walk, i);
	ancestors = ancestors_of_listener(&walk);
	show_own(build, display, listener, &ancestors);
	if (listener->cert_dir)
		show_all_of_folder(build, display, i);
	for (k = 0; k < listener->host_count; k++) {
		host = &listener->hosts[k];
		ancestors = ancestors_of_host(&walk, host->pattern);
		if (host->certs_own)
			show_own(build, display, host, &ancestors);
	}
}
