/*
 * Files that have changed by themselves: certificates and keys, client CAs and
 * revocation lists, staple files, shared ticket keys.  Main thread.  What the
 * watch says is only that something may have changed: the generation is built
 * again from the same configuration, which reads what has another stamp, and
 * is dropped if all stamps are the same.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "runtime/cert_slot.h"
#include "runtime/expiry.h"
#include "runtime/build.h"
#include "runtime/generation.h"
#include "runtime/resolve.h"
#include "runtime/server_inner.h"
#include "runtime/watch.h"
#include "tls/identity.h"
#include "tls/ticket.h"

/* Wall time may jump, so no longer sleep is set. */
#define EXPIRY_S 60.0

/* ---- What is watched ---- */

struct list {
	struct watch_path *paths;
	struct stamp *stamps; /* of what was read */
	size_t count;
};

static void
add_read(struct list *list, const char *path, const struct stamp *stamp)
{
	list->paths[list->count] = (struct watch_path){ .path = path };
	list->stamps[list->count++] = *stamp;
}

static void
add_now(struct list *list, const char *path, bool is_folder)
{
	struct stamp stamp;

	if (path == NULL)
		return;
	stamp = stamp_of(path);
	add_read(list, path, &stamp);
	list->paths[list->count - 1].is_folder = is_folder;
}

static void
add_credential(struct list *list, const struct credential *credential)
{
	add_read(list, credential->id.cert, &credential->cert_stamp);
	add_read(list, credential->id.key, &credential->key_stamp);
	add_now(list, credential->id.staple_file, false);
}

static void
add_trust(struct list *list, const struct trust_holding *holding)
{
	add_read(list, holding->user->ca_file, &holding->ca_stamp);
	if (holding->user->crl_file)
		add_read(list, holding->user->crl_file, &holding->crl_stamp);
}

/* The folders in each cert_dir, where certificates may come.  One that cannot
 * be read has none. */
static struct folder *
list_folders(const struct config *config, size_t *count)
{
	struct folder *folders = calloc(
	    config->listener_count + 1, sizeof(folders[0]));
	const struct config_listener *listener;
	struct err err;
	size_t i;

	*count = 0;
	for (i = 0; folders && i < config->listener_count; i++) {
		listener = &config->listeners[i];
		if (listener->watch && listener->cert_dir &&
		    folder_list(&folders[i], listener->cert_dir, &err))
			*count += folders[i].folder_count;
	}
	return folders;
}

static void
free_folders(struct folder *folders, size_t count)
{
	size_t i;

	for (i = 0; folders && i < count; i++)
		folder_free(&folders[i]);
	free(folders);
}

static void
fill(struct list *list, const struct generation *generation,
    const struct folder *folders)
{
	const struct config *config = generation->config;
	const struct config_listener *listener;
	size_t i, k;

	for (i = 0; i < generation->holding_count; i++)
		if (generation->holdings[i].user->watch)
			add_credential(
			    list, generation->holdings[i].credential);
	for (i = 0; i < generation->trust_count; i++)
		if (generation->trusts[i].user->watch)
			add_trust(list, &generation->trusts[i]);
	for (i = 0; i < config->listener_count; i++) {
		listener = &config->listeners[i];
		if (listener->watch)
			add_now(list, listener->cert_dir, true);
		for (k = 0; k < folders[i].folder_count; k++)
			add_now(list, folders[i].folders[k], true);
	}
	add_now(list, config->ticket_key_file, false);
}

static bool
follow(struct server *server)
{
	const struct generation *generation = server->current;
	size_t listeners = generation->config->listener_count, inner;
	struct folder *folders = list_folders(generation->config, &inner);
	size_t room = 3 * generation->holding_count +
		      2 * generation->trust_count + listeners + inner + 1;
	struct list list = {
		.paths = calloc(room, sizeof(list.paths[0])),
		.stamps = calloc(room, sizeof(list.stamps[0])),
	};
	bool fine = folders && list.paths && list.stamps;

	if (fine) {
		fill(&list, generation, folders);
		fine = watch_follow(
		    server->watch, list.paths, list.stamps, list.count);
	}
	free(list.paths);
	free(list.stamps);
	free_folders(folders, listeners);
	return fine;
}

void
files_follow(struct server *server)
{
	if (!follow(server))
		log_error(server->parts.log, "watch",
		    "out of memory: changed files are not picked up");
	expiry_look(server->current, server->parts.log, clock_wall_ms() / 1000);
}

/* ---- What has changed ---- */

/* Not yet looked at, or another file by now? */
static bool
is_news(struct server *server, const char *path)
{
	struct stamp stamp = stamp_of(path);

	if (stamp_equal(&stamp, &server->tickets_read))
		return false;
	server->tickets_read = stamp;
	return true;
}

/* Nobody else is to sign what we open from now on. */
static void
leave_fleet(struct server *server)
{
	struct err err;

	if (!server->tickets_shared)
		return;
	server->tickets_shared = false;
	server->tickets_read = (struct stamp){ 0 };
	if (!ticket_keys_rotate(server->parts.keys, &err))
		log_error(server->parts.log, "tls", err.text);
}

void
files_load_tickets(struct server *server, const struct config *config)
{
	const char *path = config->ticket_key_file;
	struct err err = { "" }, warning = { "" };

	if (path == NULL)
		leave_fleet(server);
	if (path == NULL || !is_news(server, path))
		return;
	server->tickets_shared = true;
	if (!ticket_keys_load(server->parts.keys, path,
		config->ticket_key_permissions, &warning, &err)) {
		log_error(server->parts.log, "tls",
		    "ticket keys not replaced, the old ones go on",
		    LOG_S("error", err.text));
		return;
	}
	if (warning.text[0])
		log_warning(server->parts.log, "tls", warning.text);
	if (server->state != SERVER_STARTING)
		log_notice(server->parts.log, "tls", "ticket keys replaced",
		    LOG_S("file", path));
}

static void
say_replaced(const struct server *server, const struct generation *fresh)
{
	const struct credential *credential;
	size_t i;

	for (i = 0; i < fresh->holding_count; i++) {
		credential = fresh->holdings[i].credential;
		if (credential->identity == NULL ||
		    generation_has(server->current, credential->identity))
			continue;
		log_notice(server->parts.log, "tls",
		    "changed certificate in service",
		    LOG_S("listener", fresh->holdings[i].user->name),
		    LOG_S("cert", identity_name(credential->identity)),
		    LOG_S("file", credential->id.cert));
	}
}

static struct generation *
build(struct server *server)
{
	struct generation_errors errors;
	struct generation *fresh = generation_build(server->current,
	    generation_config(server->current), &server->parts,
	    GENERATION_FILES, &errors);
	size_t i;

	for (i = 0; i < errors.all.list.count; i++)
		log_error(server->parts.log, "tls", errors.all.list.items[i]);
	generation_errors_free(&errors);
	return fresh;
}

/* One that has only read more is published, too: it remembers the stamps of
 * what is bad, so that this is read and reported once. */
static bool
is_to_publish(const struct generation *fresh, const struct generation *current)
{
	return generation_differs(fresh, current) ||
	       generation_read_more(fresh, current);
}

static void
look(struct server *server)
{
	struct generation *fresh = build(server);

	files_load_tickets(server, generation_config(server->current));
	/* The watch knows the stamps that led here, and follows links itself: to
	 * give it those of `current` again would be news at once. */
	if (fresh == NULL || !is_to_publish(fresh, server->current)) {
		generation_unref(fresh);
		return;
	}
	if (!resolver_follow(server->resolver, fresh)) {
		log_error(server->parts.log, "tls",
		    "out of memory: changed files are not in force");
		generation_unref(fresh);
		return;
	}
	say_replaced(server, fresh);
	server->pending = fresh;
	publish_pending(server, SERVER_FILES);
}

void
files_settle(struct server *server)
{
	if (!server->files_wanted || server->state != SERVER_RUNNING ||
	    server->pending || server->publishing)
		return;
	server->files_wanted = false;
	look(server);
}

static void
on_change(void *arg)
{
	struct server *server = arg;

	server->files_wanted = true;
	files_settle(server);
}

static void
on_expiry(struct ev_loop *ev, struct ev_timer *watcher, int events)
{
	struct server *server = watcher->data;

	(void)ev;
	(void)events;
	if (server->current)
		expiry_look(
		    server->current, server->parts.log, clock_wall_ms() / 1000);
}

bool
files_init(struct server *server, struct err *err)
{
	ev_timer_init(&server->expiry, on_expiry, EXPIRY_S, EXPIRY_S);
	server->expiry.data = server;
	ev_timer_start(server->ev, &server->expiry);
	server->watch = watch_new(
	    server->ev, server->parts.log, on_change, server, err);
	return server->watch != NULL;
}
