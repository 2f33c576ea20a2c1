/*
 * What a section said, key by key, and what follows from having said it.  A
 * layer knows its parent, so a question that concerns a default climbs to
 * where that was said.  Main thread.
 */
#include "config/arena.h"
#include "config/build.h"

bool
layer_init(struct build *build, struct layer *layer, const struct layer *parent)
{
	layer->parent = parent;
	layer->said = arena_alloc(
	    build->arena, schema_count() * sizeof(layer->said[0]));
	return layer->said != NULL;
}

const struct config_where *
layer_said_in(const struct build *build, const struct layer *layer,
    enum schema_section section, const char *key)
{
	size_t i = schema_index(schema_recall(build->memo, section, key));

	for (; layer != NULL; layer = layer->parent)
		if (layer->said[i] != NULL)
			return layer->said[i];
	return NULL;
}

const struct config_where *
layer_said(
    const struct build *build, const struct layer *layer, const char *key)
{
	return layer_said_in(build, layer, SCHEMA_LISTENER, key);
}

const struct config_where *
layer_said_here(
    const struct build *build, const struct layer *layer, const char *key)
{
	return layer->said[schema_index(
	    schema_recall(build->memo, SCHEMA_LISTENER, key))];
}

void
layer_drop_pairs(const struct build *build, const struct layer *layer,
    struct config_listener *listener)
{
	if (layer_said_here(build, layer, "cert") == NULL)
		return;
	if (layer_said_here(build, layer, "key") == NULL)
		listener->keys = (struct config_paths){ 0 };
	if (layer_said_here(build, layer, "staple_file") == NULL)
		listener->staple_files = (struct config_paths){ 0 };
}

void
layer_conclude(const struct build *build, const struct layer *layer,
    struct config_listener *listener)
{
	/* A profile goes before the built-in floor; what is said goes first,
	 * and TLS 1.2 ciphers say that TLS 1.2 is wanted. */
	if (listener->profile == PROFILE_MODERN &&
	    listener->max_version != TLS_VERSION_1_2 &&
	    layer_said(build, layer, "min_version") == NULL &&
	    layer_said(build, layer, "ciphers") == NULL)
		listener->min_version = TLS_VERSION_1_3;
	for (; layer != NULL; layer = layer->parent) {
		if (layer->no_tls12 && listener->min_version == TLS_VERSION_1_2)
			listener->min_version = TLS_VERSION_1_3;
		if (layer->no_tls13)
			listener->max_version = TLS_VERSION_1_2;
		if (layer->no_tickets)
			listener->tickets = false;
		if (layer->server_order)
			listener->server_order = SERVER_ORDER_YES;
	}
}
