/*
 * Which certificates a listener and its hosts show: those its keys name, and
 * those in its folder.  Main thread.
 */
#include "runtime/build.h"

#include "base/err.h"
#include "base/log.h"
#include "runtime/credential.h"
#include "runtime/folder.h"
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

static void
show_own(struct build *build, struct display *display,
    const struct config_listener *user)
{
	const struct config_path *cert, *key, *staple_file;
	struct credential_key id = {
		.permissions = user->key_permissions,
		.policy = stapling_policy(user, false),
	};
	size_t i;

	for (i = 0; i < user->certs.count; i++) {
		cert = &user->certs.items[i];
		key = config_key_of(user, i);
		staple_file = config_staple_file_of(user, i);
		id.cert = cert->path;
		id.key = key->path;
		id.staple_file = staple_file ? staple_file->path : NULL;
		if (!show(build, display, user,
			build_credential(build, user, cert, key, &id)))
			return;
	}
}

static void
show_folder(struct build *build, struct display *display,
    const struct config_listener *user, const struct folder *folder)
{
	struct credential_key id = {
		.permissions = user->key_permissions,
		.policy = stapling_policy(user, true),
		.in_folder = true,
	};
	size_t i;

	for (i = 0; i < folder->count; i++) {
		id.cert = folder->items[i].cert;
		id.key = folder->items[i].key;
		if (!show(build, display, user,
			build_credential(build, user, NULL, NULL, &id)))
			return;
		display->folder_count++;
	}
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
		err_set(&err, "%s holds no certificate (*.pem, *.crt)",
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
	size_t k;

	show_own(build, display, listener);
	if (listener->cert_dir)
		show_all_of_folder(build, display, i);
	for (k = 0; k < listener->host_count; k++)
		if (listener->hosts[k].certs_own)
			show_own(build, display, &listener->hosts[k]);
}
